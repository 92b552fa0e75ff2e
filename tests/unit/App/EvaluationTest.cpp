// The arithmetic of `qopt eval`, against sums written out by hand.
#include "lib/Runtime/App/Evaluation.h"
#include "lib/Runtime/App/RowScores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace qopt;

namespace {

/// Softmax and logarithms of logits of moderate size are exact to a few ulp of f64.
constexpr double kTolerance = 1e-12;

TEST(ScoreRow, EqualsTheDefinition) {
  // Probabilities 1/2, 1/4, 1/4 against 1/4, 1/2, 1/4, with the logits shifted by a constant.
  std::vector<float> model = {0, 0, 0}, reference = {0, 0, 0};
  const double p[] = {0.5, 0.25, 0.25}, q[] = {0.25, 0.5, 0.25};
  double logP[3], logQ[3];
  for (int i = 0; i < 3; ++i) {
    reference[i] = static_cast<float>(std::log(p[i]) + 100);
    model[i] = static_cast<float>(std::log(q[i]) - 7);
  }
  // What the f32 logits stand for, in f64.
  double sumP = 0, sumQ = 0, divergence = 0;
  for (int i = 0; i < 3; ++i) {
    sumP += std::exp(reference[i] - 100.0);
    sumQ += std::exp(model[i] + 7.0);
  }
  for (int i = 0; i < 3; ++i) {
    logP[i] = reference[i] - 100.0 - std::log(sumP);
    logQ[i] = model[i] + 7.0 - std::log(sumQ);
    divergence += std::exp(logP[i]) * (logP[i] - logQ[i]);
  }
  RowScores scores = scoreRow(model, reference, 1);
  EXPECT_TRUE(scores.finite);
  EXPECT_FALSE(scores.agrees);
  EXPECT_NEAR(scores.loss, -logQ[1], kTolerance);
  EXPECT_NEAR(scores.referenceLoss, -logP[1], kTolerance);
  EXPECT_NEAR(scores.divergence, divergence, kTolerance);
  EXPECT_NEAR(scores.divergence, 0.25 * std::log(2), 1e-5); // 1/2 log 2 − 1/4 log 2; f32 logits near 100
}

// As many tokens as real vocabularies have, and one more than whole vectors: the sums against the formula written in
// long double.
TEST(ScoreRow, EqualsTheDefinitionOnALongRow) {
  for (size_t count : {size_t(49153), size_t(49152), size_t(17), size_t(1)}) {
    std::vector<float> model(count), reference(count);
    uint64_t state = 12345;
    auto draw = [&] {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return static_cast<float>(static_cast<double>(state >> 40) / 16777216.0 * 30 - 20);
    };
    for (size_t i = 0; i < count; ++i) {
      reference[i] = draw();
      model[i] = reference[i] + draw() / 40;
    }
    long double sumP = 0, sumQ = 0, divergence = 0;
    for (size_t i = 0; i < count; ++i) {
      sumP += std::exp(static_cast<long double>(reference[i]));
      sumQ += std::exp(static_cast<long double>(model[i]));
    }
    for (size_t i = 0; i < count; ++i) {
      long double logP = reference[i] - std::log(sumP), logQ = model[i] - std::log(sumQ);
      divergence += std::exp(logP) * (logP - logQ);
    }
    RowScores scores = scoreRow(model, reference, static_cast<int32_t>(count - 1));
    EXPECT_TRUE(scores.finite);
    EXPECT_NEAR(scores.loss, static_cast<double>(std::log(sumQ) - model[count - 1]), kTolerance);
    EXPECT_NEAR(scores.referenceLoss, static_cast<double>(std::log(sumP) - reference[count - 1]), kTolerance);
    EXPECT_NEAR(scores.divergence, static_cast<double>(divergence), kTolerance);
  }
}

TEST(ScoreRow, OfEquallyLikelyTokensTheFirstIsMostLikely) {
  std::vector<float> model = {-1, -0.0f, 0.0f, -3}, reference = {-9, 7, 7, 7};
  EXPECT_TRUE(scoreRow(model, reference, 0).agrees);
  reference[1] = 6;
  EXPECT_FALSE(scoreRow(model, reference, 0).agrees);
  std::vector<float> negative = {-5, -2, -2, -4};
  EXPECT_TRUE(scoreRow(model, negative, 0).agrees);
}

TEST(ScoreRow, IsNoDistanceFromItself) {
  std::vector<float> logits = {3, -1, 4, 1, -5, 9};
  RowScores scores = scoreRow(logits, logits, 0);
  EXPECT_EQ(scores.divergence, 0);
  EXPECT_TRUE(scores.agrees);
  EXPECT_EQ(scores.loss, scores.referenceLoss);
}

TEST(ScoreRow, LargeLogitsDoNotOverflow) {
  std::vector<float> logits = {3e38f, -3e38f};
  RowScores scores = scoreRow(logits, {}, 0);
  EXPECT_TRUE(scores.finite);
  EXPECT_EQ(scores.loss, 0);
}

TEST(ScoreRow, FindsWhatIsNotFinite) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (float bad : {nan, -nan, infinity, -infinity}) {
    for (size_t place : {0, 1, 50, 99}) {
      std::vector<float> good(100, 1), logits = good;
      logits[place] = bad;
      EXPECT_FALSE(scoreRow(logits, {}, 0).finite) << bad << " at " << place;
      EXPECT_FALSE(scoreRow(good, logits, 0).finite) << bad << " at " << place;
    }
  }
}

TEST(Summarize, MeansAndIntervals) {
  std::vector<WindowScores> windows = {{10, 20, 10, 1, 9}, {10, 40, 20, 3, 7}};
  Evaluation result = summarize(windows, 1000, 1);
  EXPECT_EQ(result.windows, 2);
  EXPECT_EQ(result.predictions, 20);
  EXPECT_NEAR(result.perplexity.value, std::exp(3.0), kTolerance * 20);
  EXPECT_NEAR(result.referencePerplexity.value, std::exp(1.5), kTolerance * 20);
  EXPECT_NEAR(result.perplexityRatio.value, std::exp(1.5), kTolerance * 20);
  EXPECT_NEAR(result.divergence.value, 0.2, kTolerance);
  EXPECT_NEAR(result.agreement.value, 0.8, kTolerance);
  // Of two windows, a quarter of the draws is the one twice and a quarter the other: the ends of the interval.
  EXPECT_NEAR(result.divergence.low, 0.1, kTolerance);
  EXPECT_NEAR(result.divergence.high, 0.3, kTolerance);
  EXPECT_NEAR(result.perplexity.low, std::exp(2.0), kTolerance * 20);
  EXPECT_NEAR(result.perplexity.high, std::exp(4.0), kTolerance * 60);
}

TEST(Summarize, SameSeedSameIntervals) {
  std::vector<WindowScores> windows;
  for (int i = 0; i < 20; ++i)
    windows.push_back({10, 10.0 + i * i % 7, 9.0 + i % 5, 0.1 * (i % 3), i % 10});
  Evaluation one = summarize(windows, 500, 3), same = summarize(windows, 500, 3), other = summarize(windows, 500, 4);
  EXPECT_EQ(one.perplexity.low, same.perplexity.low);
  EXPECT_EQ(one.divergence.high, same.divergence.high);
  EXPECT_NE(one.perplexity.low, other.perplexity.low);
  EXPECT_LT(one.perplexity.low, one.perplexity.value);
  EXPECT_GT(one.perplexity.high, one.perplexity.value);
}

TEST(Summarize, PairingTakesOutWhatWindowsShare) {
  // Windows differ a lot, model and reference by a constant: the ratio has no spread.
  std::vector<WindowScores> windows;
  for (int i = 0; i < 10; ++i)
    windows.push_back({10, 11.0 + i, 10.0 + i, 0.5, 5});
  Evaluation result = summarize(windows, 500, 1);
  EXPECT_NEAR(result.perplexityRatio.low, std::exp(0.1), kTolerance * 10);
  EXPECT_NEAR(result.perplexityRatio.high, std::exp(0.1), kTolerance * 10);
}

} // namespace
