// GPTQ against the paper's formulas in f64: an explicit inverse, a textbook Cholesky factor, one column after the
// other.
#include "lib/Algorithms/Gptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

using namespace qopt;

namespace {

using Doubles = std::vector<double>;

/// X : [tokens, inputs] with channels of very different size, some of them correlated.
struct Problem {
  Problem(int64_t inputs, int64_t rows, int64_t tokens, uint32_t seed) : inputs(inputs), rows(rows), tokens(tokens) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> size(inputs);
    for (float &value : size)
      value = std::exp(normal(random));
    AlignedVector<float> x(tokens * inputs);
    for (int64_t t = 0; t < tokens; ++t) {
      float shared = normal(random);
      for (int64_t i = 0; i < inputs; ++i)
        x[t * inputs + i] = size[i] * (normal(random) + (i % 3 ? shared : 0));
    }
    hessian.assign(inputs * inputs, 0);
    dense().addGram({x.data(), tokens, inputs, inputs}, 0, inputs, 0, inputs, hessian.data(), inputs);
    for (int64_t i = 0; i < inputs; ++i)
      for (int64_t j = 0; j < i; ++j)
        hessian[i * inputs + j] = hessian[j * inputs + i];
    weights.resize(rows * inputs);
    for (float &value : weights)
      value = normal(random) * 0.02F;
  }
  /// No token touches the input.
  void silence(int64_t input) {
    for (int64_t i = 0; i < inputs; ++i)
      hessian[i * inputs + input] = hessian[input * inputs + i] = 0;
  }

  int64_t inputs, rows, tokens;
  AlignedVector<float> hessian;
  std::vector<float> weights;
};

struct Codes {
  Codes(const WeightScheme &scheme, int64_t rows, int64_t inputs)
      : codes(rows * inputs), zeros(scheme.symmetric ? 0 : rows * scheme.groupsPerRow(inputs)),
        scales(rows * scheme.groupsPerRow(inputs) * info(scheme.scale).blockBytes) {}
  QuantizedRows view() { return {codes, scales, zeros}; }
  std::vector<uint8_t> codes, zeros;
  std::vector<std::byte> scales;
};

/// The upper factor U with A⁻¹ = Uᵀ·U, for A : [n, n] in f64.
Doubles inverseFactor(Doubles a, int64_t n) {
  Doubles inverse(n * n, 0);
  for (int64_t i = 0; i < n; ++i)
    inverse[i * n + i] = 1;
  for (int64_t i = 0; i < n; ++i) {
    double pivot = a[i * n + i];
    for (int64_t k = 0; k < n; ++k)
      a[i * n + k] /= pivot, inverse[i * n + k] /= pivot;
    for (int64_t j = 0; j < n; ++j) {
      double factor = j == i ? 0 : a[j * n + i];
      for (int64_t k = 0; k < n; ++k)
        a[j * n + k] -= factor * a[i * n + k], inverse[j * n + k] -= factor * inverse[i * n + k];
    }
  }
  // inverse = L·Lᵀ, U = Lᵀ.
  Doubles u(n * n, 0);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = j; i < n; ++i) {
      double sum = inverse[i * n + j];
      for (int64_t k = 0; k < j; ++k)
        sum -= u[k * n + i] * u[k * n + j];
      u[j * n + i] = i == j ? std::sqrt(sum) : sum / u[j * n + j];
    }
  return u;
}

/// One step of f16: what a last bit of a weight can move a scale by.
constexpr double kScaleStep = 1.0 / 1024;

/// Counts codes that the formulas would not have chosen, with all earlier codes as they were: a difference within
/// 1e-3 of a step of a tie is none. Where scales are live and of the whole range, counts those too.
int64_t wrongCodes(const Problem &problem, const WeightScheme &scheme, const GptqOptions &options, double damping,
                   Codes &result) {
  int64_t n = problem.inputs, size = scheme.groupSize(n), groups = scheme.groupsPerRow(n);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < n; ++i)
    if (problem.hessian[i * n + i] > 0)
      order.push_back(i);
  if (options.activationOrder)
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      float left = problem.hessian[a * n + a], right = problem.hessian[b * n + b];
      return left > right || (left == right && a < b);
    });
  auto live = static_cast<int64_t>(order.size());
  double mean = 0;
  for (int64_t i : order)
    mean += problem.hessian[i * n + i];
  mean /= static_cast<double>(live);
  Doubles a(live * live);
  for (int64_t i = 0; i < live; ++i)
    for (int64_t j = 0; j < live; ++j)
      a[i * live + j] =
          problem.hessian[order[i] * n + order[j]] * (i == j ? 1 : 1 - options.shrink) + (i == j ? damping * mean : 0);
  Doubles u = inverseFactor(std::move(a), live);

  int64_t wrong = 0;
  for (int64_t row = 0; row < problem.rows; ++row) {
    Doubles w(problem.weights.begin() + row * n, problem.weights.begin() + (row + 1) * n);
    auto check = [&](int64_t input) {
      int64_t group = row * groups + input / size;
      double scale = loadScale(scheme.scale, result.scales.data() + group * info(scheme.scale).blockBytes);
      int zero = scheme.symmetric ? scheme.impliedZero() : result.zeros[group];
      int code = result.codes[row * n + input];
      double steps = scale > 0 ? std::clamp(w[input] / scale, -1.0 * zero, 1.0 * (scheme.maxCode() - zero)) : 0;
      wrong += std::abs(steps - (code - zero)) > 0.5 + 1e-3;
      return w[input] - scale * (code - zero);
    };
    // The group's columns have all feedback of those before it, and dead ones have none.
    auto checkGrid = [&](int64_t group) {
      float low = 0, high = 0;
      for (int64_t k = group * size; k < (group + 1) * size; ++k)
        low = std::min(low, static_cast<float>(w[k])), high = std::max(high, static_cast<float>(w[k]));
      int64_t at = row * groups + group;
      double scale = loadScale(scheme.scale, result.scales.data() + at * info(scheme.scale).blockBytes);
      wrong += std::abs(scale / gridForRange(scheme, low, high)->scale - 1) > kScaleStep;
    };
    for (int64_t i = 0; i < live; ++i) {
      bool begins = i == 0 || order[i] / size != order[i - 1] / size;
      if (begins && options.scales == GptqOptions::Scales::Live && options.range.rule == RangeRule::MinMax)
        checkGrid(order[i] / size);
      double error = check(order[i]) / u[i * live + i];
      for (int64_t j = i + 1; j < live; ++j)
        w[order[j]] -= error * u[i * live + j];
    }
    for (int64_t input = 0; input < n; ++input)
      if (problem.hessian[input * n + input] == 0)
        check(input);
  }
  return wrong;
}

double traceOf(const Problem &problem, const WeightScheme &scheme, Codes &result) {
  std::vector<float> rounded(problem.weights.size());
  EXPECT_TRUE(dequantizeRows(scheme, problem.rows, problem.inputs, result.view(), rounded));
  double trace = 0;
  int64_t n = problem.inputs;
  for (int64_t row = 0; row < problem.rows; ++row)
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        trace += (static_cast<double>(problem.weights[row * n + i]) - rounded[row * n + i]) *
                 problem.hessian[i * n + j] *
                 (static_cast<double>(problem.weights[row * n + j]) - rounded[row * n + j]);
  return trace;
}

struct Case {
  const char *scheme;
  bool activationOrder;
  GptqOptions::Scales scales;
  RangeRule rule;
  double shrink;
};

} // namespace

TEST(Gptq, EqualsThePaperInF64) {
  using Scales = GptqOptions::Scales;
  for (const Case &c : {Case{"w4a16:g32", true, Scales::Static, RangeRule::MinMax, 0},
                        Case{"w4a16:g64:asym", true, Scales::Static, RangeRule::Hessian, 0.1},
                        Case{"w4a16:channel", true, Scales::Static, RangeRule::Power, 0},
                        Case{"w4a16:g64", false, Scales::Live, RangeRule::MinMax, 0},
                        Case{"w4a16:g32:asym", false, Scales::Live, RangeRule::MinMax, 0.1},
                        Case{"w4a16:g64:asym:f32", false, Scales::Live, RangeRule::Hessian, 0.2},
                        Case{"w8a16:g32", false, Scales::Static, RangeRule::MinMax, 0}}) {
    SCOPED_TRACE(c.scheme);
    WeightScheme scheme = parseScheme(c.scheme)->weights;
    // More inputs than a lazy block, and rows that a chunk does not divide.
    Problem problem(192, 67, 400, 7);
    problem.silence(5), problem.silence(191);
    GptqOptions options;
    options.activationOrder = c.activationOrder, options.scales = c.scales, options.range.rule = c.rule;
    options.shrink = c.shrink;
    auto gptq = Gptq::create(problem.hessian, problem.inputs, problem.tokens, options);
    ASSERT_TRUE(gptq) << gptq.error().format();
    EXPECT_EQ(gptq->damping(), 0.01);
    EXPECT_EQ(std::vector<int32_t>(gptq->deadInputs().begin(), gptq->deadInputs().end()),
              (std::vector<int32_t>{5, 191}));
    Codes codes(scheme, problem.rows, problem.inputs), nearest(scheme, problem.rows, problem.inputs);
    GptqErrors errors;
    ASSERT_TRUE(gptq->quantizeRows(scheme, problem.rows, problem.weights, codes.view(), errors));
    EXPECT_EQ(wrongCodes(problem, scheme, options, 0.01, codes), 0);
    double trace = traceOf(problem, scheme, codes);
    EXPECT_NEAR(errors.trace, trace, 1e-3 * trace);
    // What it is for.
    ASSERT_TRUE(quantizeRoundToNearest(scheme, problem.rows, problem.inputs, problem.weights, nearest.view()));
    EXPECT_LT(trace, 0.8 * traceOf(problem, scheme, nearest));

    // Rows do not depend on each other: the second chunk alone.
    Codes part(scheme, 3, problem.inputs);
    ASSERT_TRUE(
        gptq->quantizeRows(scheme, 3, std::span(problem.weights).subspan(64 * problem.inputs), part.view(), errors));
    EXPECT_TRUE(std::equal(part.codes.begin(), part.codes.end(), codes.codes.begin() + 64 * problem.inputs));
  }
}

TEST(Gptq, StaticGridsAreThoseOfRoundToNearest) {
  WeightScheme scheme = parseScheme("w4a16:g32:asym")->weights;
  Problem problem(64, 5, 100, 3);
  auto gptq = Gptq::create(problem.hessian, problem.inputs, problem.tokens, {});
  ASSERT_TRUE(gptq);
  Codes codes(scheme, 5, 64), nearest(scheme, 5, 64);
  GptqErrors errors;
  ASSERT_TRUE(gptq->quantizeRows(scheme, 5, problem.weights, codes.view(), errors));
  ASSERT_TRUE(quantizeRoundToNearest(scheme, 5, 64, problem.weights, nearest.view()));
  EXPECT_EQ(codes.scales, nearest.scales);
  EXPECT_EQ(codes.zeros, nearest.zeros);
  EXPECT_NE(codes.codes, nearest.codes);
}

TEST(Gptq, Refuses) {
  Problem problem(64, 2, 100, 3);
  auto failure = [&](int64_t tokens, const GptqOptions &options) {
    auto gptq = Gptq::create(problem.hessian, 64, tokens, options);
    EXPECT_FALSE(gptq);
    return gptq ? std::pair(ErrorClass::Bug, std::string()) : std::pair(gptq.error().errorClass, gptq.error().format());
  };
  auto [few, fewText] = failure(63, {});
  EXPECT_EQ(few, ErrorClass::Gate);
  EXPECT_NE(fewText.find("at least as many tokens as there are inputs (64), but got 63"), std::string::npos) << fewText;
  GptqOptions live;
  live.scales = GptqOptions::Scales::Live;
  EXPECT_EQ(failure(100, live).first, ErrorClass::Usage);
  GptqOptions shrink;
  shrink.shrink = 1;
  EXPECT_EQ(failure(100, shrink).first, ErrorClass::Usage);
  GptqOptions ladder;
  ladder.damping = {0.1, 0.01};
  EXPECT_EQ(failure(100, ladder).first, ErrorClass::Usage);
  // Not positive definite at any rung: an eigenvalue far below zero.
  problem.hessian[1] = problem.hessian[64] = 1e9F;
  auto [end, endText] = failure(100, {});
  EXPECT_EQ(end, ErrorClass::Gate);
  EXPECT_NE(endText.find("damping"), std::string::npos) << endText;
  problem.hessian[1] = NAN;
  auto [nan, nanText] = failure(100, {});
  EXPECT_EQ(nan, ErrorClass::Gate);
  EXPECT_NE(nanText.find("row 0"), std::string::npos) << nanText;
}

TEST(Gptq, ClimbsTheLadder) {
  // Two inputs whose correlation is a little more than 1, as rounding can make it: λ must exceed 0.035. That is more
  // than 0.03, and less than the rungs so far would make together.
  Problem problem(2, 1, 100, 3);
  problem.hessian = {1, 1.035F, 1.035F, 1};
  auto gptq = Gptq::create(problem.hessian, 2, 100, {});
  ASSERT_TRUE(gptq) << gptq.error().format();
  EXPECT_EQ(gptq->damping(), 0.1);
}
