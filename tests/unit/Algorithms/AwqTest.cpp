// AWQ's search against one written out plainly in f64: every candidate of the paper tried on all rows, the first of the
// best kept.
#include "lib/Algorithms/Awq.h"
#include "lib/Numerics/RoundToNearest.h"
#include "tests/unit/Algorithms/InOrder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

using namespace qopt;

namespace {

constexpr int64_t kInputs = 128, kFactors = 64, kGroup = 32;

void backwards(int64_t count, const std::function<void(int64_t)> &body) {
  for (int64_t i = count; i-- > 0;)
    body(i);
}

struct Choice {
  double alpha, error;
  bool usesWeights;
};

struct Problem {
  explicit Problem(const char *schemeText) {
    Result<Scheme> parsed = parseScheme(schemeText);
    EXPECT_TRUE(parsed) << parsed.error().format();
    scheme = parsed->weights;
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (int64_t count : rows) {
      auto &w = weights.emplace_back(count * kInputs);
      for (float &value : w)
        value = normal(random) * 0.05F;
    }
    // Activations with channels of very different size, and H = Σ xxᵀ.
    std::vector<double> sum(kInputs * kInputs);
    meanAbs.resize(kInputs);
    constexpr int64_t kTokens = 300;
    for (int64_t t = 0; t < kTokens; ++t) {
      std::vector<double> x(kInputs);
      for (int64_t k = 0; k < kInputs; ++k)
        x[k] = normal(random) * std::exp(3.0 * std::sin(static_cast<double>(k)));
      for (int64_t i = 0; i < kInputs; ++i) {
        meanAbs[i] += std::fabs(x[i]) / kTokens;
        for (int64_t j = 0; j < kInputs; ++j)
          sum[i * kInputs + j] += x[i] * x[j];
      }
    }
    hessian.assign(sum.begin(), sum.end());
  }

  /// Two channels that are 2 apart share a factor.
  static int64_t factorOf(int64_t channel) { return channel / 4 * 2 + channel % 2; }

  Result<AwqScale> trySearch(const ParallelFor &parallel, const AwqObjective &objective) const {
    AwqInputs inputs{hessian, meanAbs, {}, kFactors};
    for (int64_t channel = 0; channel < kInputs; ++channel)
      inputs.factorOf.push_back(factorOf(channel));
    std::vector<AwqLinear> linears;
    for (size_t i = 0; i < weights.size(); ++i)
      linears.push_back({weights[i], rows[i], scheme});
    return searchAwqScale(linears, inputs, parallel, objective);
  }
  AwqScale search(const ParallelFor &parallel, const AwqObjective &objective = nullptr) const {
    Result<AwqScale> found = trySearch(parallel, objective);
    EXPECT_TRUE(found) << found.error().format();
    return *found;
  }

  std::vector<double> perFactor(const std::vector<double> &channels) const {
    std::vector<double> mean(kFactors);
    for (int64_t k = 0; k < kInputs; ++k)
      mean[factorOf(k)] += channels[k] / 2;
    return mean;
  }

  /// s of each channel; α below 0: 1.
  std::vector<float> scaleOf(double alpha, bool usesWeights) const {
    std::vector<double> w(kInputs);
    int64_t count = 0;
    for (size_t i = 0; i < weights.size(); ++i)
      for (int64_t r = 0; r < rows[i]; ++r, ++count)
        for (int64_t k = 0; k < kInputs; ++k) {
          float most = 0;
          for (int64_t j = k / kGroup * kGroup; j < k / kGroup * kGroup + kGroup; ++j)
            most = std::max(most, std::fabs(weights[i][r * kInputs + j]));
          w[k] += double{std::fabs(weights[i][r * kInputs + k])} / most;
        }
    for (double &value : w)
      value /= static_cast<double>(count);
    std::vector<double> x = perFactor(meanAbs), mean = perFactor(w), s(kFactors, 1);
    for (int64_t f = 0; f < kFactors && alpha >= 0; ++f)
      s[f] = std::max(std::pow(x[f], alpha) / (usesWeights ? std::pow(mean[f], 1 - alpha) + 1e-4 : 1), 1e-4);
    double middle = std::sqrt(*std::min_element(s.begin(), s.end()) * *std::max_element(s.begin(), s.end()));
    std::vector<float> scale(kInputs);
    for (int64_t k = 0; k < kInputs; ++k)
      scale[k] = static_cast<float>(s[factorOf(k)] / middle);
    return scale;
  }

  /// Σ tr(ΔW·H·ΔWᵀ)
  double error(const std::vector<float> &s) const {
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      std::vector<float> scaled(weights[i].size()), rounded(weights[i].size());
      for (size_t j = 0; j < scaled.size(); ++j)
        scaled[j] = weights[i][j] * s[j % kInputs];
      EXPECT_TRUE(roundRowsToNearest(scheme, rows[i], kInputs, scaled, rounded));
      for (int64_t r = 0; r < rows[i]; ++r) {
        std::vector<double> delta(kInputs);
        for (int64_t k = 0; k < kInputs; ++k)
          delta[k] = double{rounded[r * kInputs + k]} / s[k] - weights[i][r * kInputs + k];
        for (int64_t j = 0; j < kInputs; ++j)
          for (int64_t k = 0; k < kInputs; ++k)
            sum += delta[j] * hessian[j * kInputs + k] * delta[k];
      }
    }
    return sum;
  }

  Choice best() const {
    Choice best = {0, error(scaleOf(-1, false)), false};
    for (bool usesWeights : {true, false})
      for (int step = 0; step <= 20; ++step)
        if (double e = error(scaleOf(step / 20.0, usesWeights)); e < best.error)
          best = {step / 20.0, e, usesWeights};
    return best;
  }

  WeightScheme scheme;
  std::vector<int64_t> rows = {500, 40}; // more than two chunks, and less than one
  std::vector<std::vector<float>> weights;
  std::vector<double> meanAbs;
  AlignedVector<float> hessian;
};

} // namespace

class AwqSearch : public testing::TestWithParam<const char *> {};

TEST_P(AwqSearch, FindsTheBestOfAllCandidates) {
  Problem problem(GetParam());
  Choice wanted = problem.best();
  AwqScale found = problem.search(inOrder);
  constexpr double slack = 1e-4; // sums in f32
  ASSERT_FALSE(found.isIdentity());
  EXPECT_EQ(found.alpha, wanted.alpha);
  EXPECT_EQ(found.usesWeights, wanted.usesWeights);
  EXPECT_NEAR(found.error, wanted.error, slack * wanted.error);
  double unscaled = problem.error(problem.scaleOf(-1, false));
  EXPECT_NEAR(found.unscaledError, unscaled, slack * unscaled);
  EXPECT_LT(found.error, 0.9 * found.unscaledError);
  std::vector<float> scale = problem.scaleOf(wanted.alpha, wanted.usesWeights);
  for (int64_t k = 0; k < kInputs; ++k)
    EXPECT_NEAR(found.factor[Problem::factorOf(k)], scale[k], 1e-6 * scale[k]) << k;
  AwqScale again = problem.search(backwards);
  EXPECT_EQ(again.factor, found.factor);
  EXPECT_EQ(again.error, found.error);
}
INSTANTIATE_TEST_SUITE_P(Schemes, AwqSearch, testing::Values("w4a16:g32", "w3a16:g32:asym"));

TEST(AwqSearch, TakesTheFirstOfEquals) {
  Problem problem("w4a16:g32");
  AwqScale found = problem.search(inOrder, [](std::span<const float>) { return Result<double>(2.0); });
  EXPECT_TRUE(found.isIdentity());
  EXPECT_EQ(found.factor, std::vector<float>(kFactors, 1.0F));
  int calls = 0;
  found = problem.search(inOrder, [&](std::span<const float>) { return Result<double>(calls++ < 5 ? 2.0 : 1.0); });
  EXPECT_FALSE(found.isIdentity());
  EXPECT_EQ(found.alpha, 0.2); // the sixth that is tried: after 1, α 0 to 0.15 with the weights' means
  EXPECT_TRUE(found.usesWeights);
}

TEST(AwqSearch, RefusesAnErrorThatIsNoNumber) {
  Problem problem("w4a16:g32");
  Result<AwqScale> found = problem.trySearch(
      inOrder, [](std::span<const float>) { return Result<double>(std::numeric_limits<double>::quiet_NaN()); });
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().format().find("expected an error of the output that is a number, but got NaN"),
            std::string::npos);
}
