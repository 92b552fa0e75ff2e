// The search for α against one written out plainly in f64: every α tried on every token, the first of the best kept.
#include "lib/Algorithms/SmoothQuant.h"
#include "tests/unit/Algorithms/InOrder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

using namespace qopt;

namespace {

constexpr int64_t kTokens = 48, kChannels = 64, kFactors = 32;

struct Problem {
  Problem(double outlier, std::vector<Scheme> schemes) : schemes(std::move(schemes)) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < kTokens * kChannels; ++i)
      x.push_back(normal(random) * static_cast<float>(factorOf(i % kChannels) == 5 ? outlier : 1));
    for (size_t i = 0; i < this->schemes.size(); ++i) {
      rows.push_back(70 + 10 * static_cast<int64_t>(i)); // more than a chunk
      auto &w = weights.emplace_back();
      for (int64_t k = 0; k < rows.back() * kChannels; ++k)
        w.push_back(normal(random) * 0.05F);
    }
    greatest.assign(kFactors, 0), greatestWeight.assign(kFactors, 0);
    for (size_t i = 0; i < x.size(); ++i)
      raise(greatest, i, x[i]);
    for (const auto &w : weights)
      for (size_t i = 0; i < w.size(); ++i)
        raise(greatestWeight, i, w[i]);
  }

  /// Two channels in a row of 4 share a factor, as query heads of a value head do.
  static int64_t factorOf(int64_t channel) { return channel / 4 * 2 + channel % 2; }
  static void raise(std::vector<float> &most, size_t index, float value) {
    float &of = most[factorOf(static_cast<int64_t>(index) % kChannels)];
    of = std::max(of, std::fabs(value));
  }

  SmoothQuantChoice search() const {
    SmoothQuantInputs inputs{{x.data(), kTokens, kChannels, kChannels}, greatest, greatestWeight, {}};
    for (int64_t channel = 0; channel < kChannels; ++channel)
      inputs.factorOf.push_back(factorOf(channel));
    std::vector<SmoothQuantLinear> linears;
    for (size_t i = 0; i < schemes.size(); ++i)
      linears.push_back({weights[i], rows[i], schemes[i]});
    Result<SmoothQuantChoice> choice = searchSmoothQuantScale(linears, inputs, inOrder);
    EXPECT_TRUE(choice) << choice.error().format();
    return *choice;
  }

  /// The objective with s = x^α / w^(1-α), or with 1 where α is negative.
  double error(double alpha) const {
    std::vector<float> s(kChannels, 1);
    for (int64_t k = 0; k < kChannels && alpha >= 0; ++k)
      s[k] = static_cast<float>(std::pow(double{greatest[factorOf(k)]}, alpha) /
                                std::pow(double{greatestWeight[factorOf(k)]}, 1 - alpha));
    double sum = 0;
    for (size_t i = 0; i < schemes.size(); ++i) {
      std::vector<double> rounded = roundedWeights(weights[i], rows[i], schemes[i].weights, s);
      for (int64_t t = 0; t < kTokens; ++t) {
        std::vector<double> token = roundedToken(t, schemes[i].activations, s);
        for (int64_t r = 0; r < rows[i]; ++r) {
          double difference = 0;
          for (int64_t k = 0; k < kChannels; ++k)
            difference +=
                token[k] * rounded[r * kChannels + k] - double{x[t * kChannels + k]} * weights[i][r * kChannels + k];
          sum += difference * difference;
        }
      }
    }
    return sum;
  }

  std::vector<double> roundedToken(int64_t token, ActivationKind kind, const std::vector<float> &s) const {
    std::vector<double> values(kChannels);
    for (int64_t k = 0; k < kChannels; ++k)
      values[k] = double{x[token * kChannels + k]} / s[k];
    if (kind == ActivationKind::F32)
      return values;
    double most = 0;
    for (int64_t k = 0; k < kChannels; ++k) // static ranges cover all that was seen, dynamic ones the token
      most = std::max(most,
                      kind == ActivationKind::I8Static ? double{greatest[factorOf(k)]} / s[k] : std::fabs(values[k]));
    for (double &value : values)
      value = std::clamp(std::nearbyint(value / (most / 127)), -127.0, 127.0) * (most / 127);
    return values;
  }

  /// Symmetric, one scale in f32 a row. The greatest weight of a row lies in the middle between two codes, so codes are
  /// found in f32, as lib/Numerics does.
  static std::vector<double> roundedWeights(const std::vector<float> &w, int64_t rows, const WeightScheme &scheme,
                                            const std::vector<float> &s) {
    std::vector<double> values(w.size());
    for (int64_t r = 0; r < rows; ++r) {
      float most = 0;
      for (int64_t k = 0; k < kChannels; ++k)
        most = std::max(most, std::fabs(w[r * kChannels + k] * s[k]));
      auto levels = static_cast<float>((1 << scheme.bits) - 1), least = -static_cast<float>(1 << (scheme.bits - 1));
      float step = most / (levels / 2);
      for (int64_t k = 0; k < kChannels; ++k)
        values[r * kChannels + k] =
            double{step} * std::clamp(std::nearbyint(w[r * kChannels + k] * s[k] / step), least, -least - 1);
    }
    return values;
  }

  std::vector<Scheme> schemes;
  std::vector<int64_t> rows;
  std::vector<float> x, greatest, greatestWeight;
  std::vector<std::vector<float>> weights;
};

Scheme schemeOf(const char *text) {
  Result<Scheme> scheme = parseScheme(text);
  EXPECT_TRUE(scheme) << scheme.error().format();
  return *scheme;
}

void expectBest(const Problem &problem) {
  SmoothQuantChoice choice = problem.search();
  // Activations are rounded in f64 here: a code that this moves is worth some 1e-4 of the whole.
  constexpr double slack = 2e-3;
  double unscaled = problem.error(-1);
  EXPECT_NEAR(choice.unscaledError, unscaled, slack * unscaled);
  double chosen = choice.factor.empty() ? unscaled : problem.error(choice.alpha);
  EXPECT_NEAR(choice.error, chosen, slack * chosen);
  for (int step = 0; step <= 20; ++step)
    EXPECT_GE(problem.error(step / 20.0), chosen * (1 - slack)) << "alpha " << step / 20.0;
  EXPECT_GE(unscaled, chosen * (1 - slack));
}

TEST(SmoothQuantScale, IsThePapersWithAFloor) {
  std::vector<float> inputs{4, 0, 4, 1e-7F, 0}, weights{0.25F, 0.25F, 0, 9, 1e6F};
  auto expect = [&](double alpha, std::vector<double> expected) {
    std::vector<float> scale = smoothQuantScale(inputs, weights, alpha);
    for (size_t j = 0; j < scale.size(); ++j)
      EXPECT_NEAR(scale[j], expected[j], 1e-6 * expected[j]) << alpha << " " << j;
  };
  // A maximum below 1e-5 counts as 1e-5, and so does a scale.
  double root = std::sqrt(1e-5);
  expect(0.5, {4, 2 * root, 2 / root, root / 3, 1e-5});
  expect(1, {4, 1e-5, 4, 1e-5, 1e-5});
  expect(0, {4, 4, 1e5, 1.0 / 9, 1e-5});
}

TEST(SmoothQuantSearch, FindsTheAlphaOfLeastOutputError) {
  Problem problem(60, {schemeOf("w8a8:channel:f32"), schemeOf("w8a8:channel:f32")});
  expectBest(problem);
  SmoothQuantChoice choice = problem.search();
  ASSERT_EQ(choice.factor.size(), static_cast<size_t>(kFactors));
  EXPECT_LT(choice.error, 0.5 * choice.unscaledError);
  EXPECT_EQ(choice.factor, smoothQuantScale(problem.greatest, problem.greatestWeight, choice.alpha));
}

TEST(SmoothQuantSearch, ChoosesForStaticRanges) {
  Problem problem(60, {schemeOf("w8a8s:channel:f32")});
  expectBest(problem);
  // One step for all tokens bears an outlier less.
  Problem dynamic(60, {schemeOf("w8a8:channel:f32")});
  EXPECT_GT(problem.search().unscaledError, dynamic.search().unscaledError);
}

TEST(SmoothQuantSearch, LooksAtTheSchemeOfEachLinear) {
  // Weights of 4 bits bear less than weights of 8.
  Problem eight(20, {schemeOf("w8a8:channel:f32")}),
      mixed(20, {schemeOf("w8a8:channel:f32"), schemeOf("w4a32:channel:f32")});
  expectBest(eight);
  expectBest(mixed);
  EXPECT_LT(mixed.search().alpha, eight.search().alpha);
}

TEST(SmoothQuantSearch, LeavesASiteThatNoScaleHelps) {
  // Every channel of activations and of weights reaches just 1, so that s is 1 for every α.
  Problem problem(1, {schemeOf("w8a8:channel:f32")});
  auto level = [](std::vector<float> &values) {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = i < kChannels ? 1 : std::clamp(values[i], -1.0F, 1.0F);
  };
  level(problem.x), level(problem.weights[0]);
  problem.greatest.assign(kFactors, 1), problem.greatestWeight.assign(kFactors, 1);
  expectBest(problem);
  EXPECT_TRUE(problem.search().factor.empty());
}

TEST(SmoothQuantSearch, RefusesWhatCannotBeRounded) {
  Problem problem(1, {schemeOf("w8a8:channel:f32")});
  problem.weights[0][3] = std::numeric_limits<float>::quiet_NaN();
  SmoothQuantInputs inputs{{problem.x.data(), kTokens, kChannels, kChannels},
                           problem.greatest,
                           problem.greatestWeight,
                           std::vector<int64_t>(kChannels)};
  SmoothQuantLinear linear{problem.weights[0], problem.rows[0], problem.schemes[0]};
  EXPECT_FALSE(searchSmoothQuantScale({&linear, 1}, inputs, inOrder));
}

} // namespace
