// Ranges against a search written out plainly: every candidate of every group tried, the first of the best kept.
#include "lib/Algorithms/RangeSearch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

using namespace qopt;

namespace {

constexpr int64_t kCols = 192, kRows = 70; // more rows than a chunk

struct Codes {
  explicit Codes(const WeightScheme &scheme)
      : codes(kRows * kCols), zeros(scheme.symmetric ? 0 : kRows * scheme.groupsPerRow(kCols)),
        scales(kRows * scheme.groupsPerRow(kCols) * info(scheme.scale).blockBytes) {}
  QuantizedRows view() { return {codes, scales, zeros}; }
  std::vector<uint8_t> codes, zeros;
  std::vector<std::byte> scales;
};

std::vector<float> weightsWithOutliers() {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> weights(kRows * kCols);
  for (float &value : weights)
    value = normal(random) * (random() % 40 == 0 ? 0.2F : 0.02F);
  return weights;
}

/// H : [kCols, kCols], in which inputs go together the more the nearer they are.
AlignedVector<float> hessianOfNeighbours() {
  AlignedVector<float> h(kCols * kCols);
  for (int64_t i = 0; i < kCols; ++i)
    for (int64_t j = 0; j < kCols; ++j)
      h[i * kCols + j] = i == j ? 3.0F : 1 / (1.0F + static_cast<float>(std::abs(i - j)));
  return h;
}

double costOf(RangeRule rule, std::span<const float> weights, std::span<const float> diagonal, GroupGrid grid,
              const WeightScheme &scheme) {
  std::vector<uint8_t> codes(weights.size());
  encodeGroup(scheme, grid, weights, codes);
  double cost = 0;
  for (size_t k = 0; k < weights.size(); ++k) {
    double error = std::fabs(weights[k] - grid.scale * static_cast<float>(codes[k] - grid.zero));
    cost += rule == RangeRule::Power ? std::pow(error, 2.4)
                                     : error * error * (rule == RangeRule::Diagonal ? diagonal[k] : 1);
  }
  return cost;
}

/// δᵀ·H_gg·δ, for the weights of a group that begins at input `first` : h is [kCols, kCols].
double outputError(std::span<const float> weights, const AlignedVector<float> &h, int64_t first, GroupGrid grid,
                   const WeightScheme &scheme) {
  std::vector<uint8_t> codes(weights.size());
  encodeGroup(scheme, grid, weights, codes);
  auto size = static_cast<int64_t>(weights.size());
  auto error = [&](int64_t k) -> double { return weights[k] - grid.scale * static_cast<float>(codes[k] - grid.zero); };
  double cost = 0;
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j)
      cost += error(i) * h[(first + i) * kCols + first + j] * error(j);
  return cost;
}

/// All of the range of weights, and 0.
std::pair<float, float> rangeOf(std::span<const float> weights) {
  return {std::min(0.0F, *std::ranges::min_element(weights)), std::max(0.0F, *std::ranges::max_element(weights))};
}

GroupGrid storedGrid(const WeightScheme &scheme, Codes &codes, int64_t group) {
  return {loadScale(scheme.scale, codes.scales.data() + group * info(scheme.scale).blockBytes),
          scheme.symmetric ? static_cast<uint8_t>(scheme.impliedZero()) : codes.zeros[group]};
}

} // namespace

TEST(RangeSearch, FindsTheBestCandidate) {
  std::vector<float> weights = weightsWithOutliers(), diagonal(kCols);
  for (int64_t k = 0; k < kCols; ++k)
    diagonal[k] = static_cast<float>(1 + k % 17);
  for (const char *text : {"w4a16:g64", "w4a16:g32:asym", "w4a16:channel:f32"})
    for (RangeRule rule : {RangeRule::Squared, RangeRule::Diagonal, RangeRule::Power}) {
      SCOPED_TRACE(std::string(text) + " " + std::to_string(static_cast<int>(rule)));
      WeightScheme scheme = parseScheme(text)->weights;
      int64_t size = scheme.groupSize(kCols), groups = scheme.groupsPerRow(kCols);
      RangeOptions options;
      options.rule = rule;
      AlignedVector<float> h(kCols * kCols);
      for (int64_t k = 0; k < kCols; ++k)
        h[k * kCols + k] = diagonal[k];
      Codes got(scheme);
      ASSERT_TRUE(
          quantizeWithRanges(scheme, options, kRows, kCols, weights, {h.data(), kCols, kCols, kCols}, got.view()));
      int64_t narrowed = 0;
      for (int64_t group = 0; group < kRows * groups; ++group) {
        std::span<const float> of = std::span<const float>(weights).subspan(group * size, size);
        std::span<const float> own = std::span<const float>(diagonal).subspan(group % groups * size, size);
        auto [low, high] = rangeOf(of);
        double best = INFINITY;
        for (int i = 0; i < 80; ++i) {
          auto p = static_cast<float>(1 - i * 0.01);
          best = std::min(best, costOf(rule, of, own, *gridForRange(scheme, p * low, p * high), scheme));
        }
        GroupGrid grid = storedGrid(scheme, got, group);
        // Sums in f32 may tell two candidates apart otherwise than sums in f64, never by more than this.
        ASSERT_LE(costOf(rule, of, own, grid, scheme), best * (1 + 1e-4)) << "group " << group;
        narrowed += grid.scale < gridForRange(scheme, low, high)->scale;
      }
      EXPECT_GT(narrowed, kRows * groups / 4); // what it is for
    }
}

TEST(RangeSearch, WeighsErrorsByTheHessian) {
  // Neighbours go together. Every 16th input carries next to nothing, and its great weights are best clamped: the last
  // of the 80 candidates are wanted too.
  std::vector<float> weights = weightsWithOutliers();
  AlignedVector<float> h(kCols * kCols);
  auto size = [](int64_t k) { return k % 16 == 3 ? 1e-3F : 1 + 0.1F * static_cast<float>(k % 7); };
  for (int64_t i = 0; i < kCols; ++i)
    for (int64_t j = 0; j < kCols; ++j)
      h[i * kCols + j] = size(i) * size(j) / (1 + 0.5F * static_cast<float>(std::abs(i - j)));
  for (int64_t i = 0; i < kRows * kCols; ++i)
    weights[i] *= i % kCols % 16 == 3 ? 20 : 1;
  for (const char *text : {"w4a16:g64", "w4a16:g32:asym", "w3a16:channel:f32"}) {
    WeightScheme scheme = parseScheme(text)->weights;
    int64_t groupSize = scheme.groupSize(kCols), groups = scheme.groupsPerRow(kCols), last = 0;
    Codes got(scheme);
    ASSERT_TRUE(quantizeWithRanges(scheme, RangeOptions::of(RangeRule::Hessian), kRows, kCols, weights,
                                   {h.data(), kCols, kCols, kCols}, got.view()));
    for (int64_t group = 0; group < kRows * groups; ++group) {
      std::span<const float> of = std::span<const float>(weights).subspan(group * groupSize, groupSize);
      auto costOfGrid = [&](GroupGrid grid) { return outputError(of, h, group % groups * groupSize, grid, scheme); };
      auto [low, high] = rangeOf(of);
      double best = INFINITY;
      int64_t chosen = 0;
      for (int i = 0; i < 80; ++i) {
        auto p = static_cast<float>(1 - i * 0.01);
        double cost = costOfGrid(*gridForRange(scheme, p * low, p * high));
        if (cost < best)
          best = cost, chosen = i;
      }
      last = std::max(last, chosen);
      ASSERT_LE(costOfGrid(storedGrid(scheme, got, group)), best * (1 + 1e-4)) << text << " group " << group;
    }
    EXPECT_EQ(last, 79) << text;
  }
}

TEST(RangeSearch, SymmetricScalesOfEitherSign) {
  std::vector<float> weights = weightsWithOutliers();
  AlignedVector<float> h = hessianOfNeighbours();
  MatrixView view{h.data(), kCols, kCols, kCols};
  for (const char *text : {"w4a16:g64", "w3a16:channel:f32", "w2a16:g32"}) {
    WeightScheme scheme = parseScheme(text)->weights;
    int64_t size = scheme.groupSize(kCols), groups = scheme.groupsPerRow(kCols), negative = 0;
    Codes got(scheme);
    ASSERT_TRUE(
        quantizeWithRanges(scheme, RangeOptions::of(RangeRule::Signed), kRows, kCols, weights, view, got.view()));
    for (int64_t group = 0; group < kRows * groups; ++group) {
      std::span<const float> of = std::span<const float>(weights).subspan(group * size, size);
      auto costOfGrid = [&](GroupGrid grid) { return outputError(of, h, group % groups * size, grid, scheme); };
      auto [low, high] = rangeOf(of);
      double best = INFINITY;
      for (int i = 0; i < 80; ++i) {
        auto p = static_cast<float>(1 - i * 0.01);
        GroupGrid grid = *gridForRange(scheme, p * low, p * high);
        best = std::min({best, costOfGrid(grid), costOfGrid({-grid.scale, grid.zero})});
      }
      GroupGrid grid = storedGrid(scheme, got, group);
      ASSERT_LE(costOfGrid(grid), best * (1 + 1e-4)) << text << " group " << group;
      negative += grid.scale < 0;
    }
    // The greatest weight is as often above 0 as below it.
    EXPECT_GT(negative, kRows * groups / 4) << text;
    EXPECT_LT(negative, kRows * groups * 3 / 4) << text;
  }
  // Zero points lie where they cost least already; groups of zeros have a scale without a sign.
  WeightScheme asymmetric = parseScheme("w4a16:g32:asym")->weights, symmetric = parseScheme("w4a16:g32")->weights;
  Codes plain(asymmetric), both(asymmetric), none(symmetric);
  ASSERT_TRUE(
      quantizeWithRanges(asymmetric, RangeOptions::of(RangeRule::Hessian), kRows, kCols, weights, view, plain.view()));
  ASSERT_TRUE(
      quantizeWithRanges(asymmetric, RangeOptions::of(RangeRule::Signed), kRows, kCols, weights, view, both.view()));
  EXPECT_EQ(both.codes, plain.codes);
  EXPECT_EQ(both.scales, plain.scales);
  std::fill(weights.begin(), weights.end(), 0.0F);
  ASSERT_TRUE(
      quantizeWithRanges(symmetric, RangeOptions::of(RangeRule::Signed), kRows, kCols, weights, view, none.view()));
  EXPECT_EQ(none.scales, std::vector<std::byte>(none.scales.size()));
}

TEST(RangeSearch, ClippingBoundsMagnitudes) {
  std::vector<float> weights = weightsWithOutliers();
  AlignedVector<float> h = hessianOfNeighbours();
  for (const char *text : {"w4a16:g64", "w4a16:g32:asym"}) {
    WeightScheme scheme = parseScheme(text)->weights;
    int64_t size = scheme.groupSize(kCols), groups = scheme.groupsPerRow(kCols);
    Codes got(scheme);
    ASSERT_TRUE(quantizeWithRanges(scheme, RangeOptions::of(RangeRule::Clip), kRows, kCols, weights,
                                   {h.data(), kCols, kCols, kCols}, got.view()));
    int64_t clipped = 0;
    for (int64_t group = 0; group < kRows * groups; ++group) {
      std::span<const float> of = std::span<const float>(weights).subspan(group * size, size);
      auto costOfGrid = [&](GroupGrid grid) { return outputError(of, h, group % groups * size, grid, scheme); };
      auto [low, high] = rangeOf(of);
      double best = INFINITY;
      for (int i = 0; i < 10; ++i) {
        float bound = static_cast<float>(1 - i * 0.05) * std::max(-low, high);
        best = std::min(best, costOfGrid(*gridForRange(scheme, std::max(low, -bound), std::min(high, bound))));
      }
      GroupGrid grid = storedGrid(scheme, got, group);
      ASSERT_LE(costOfGrid(grid), best * (1 + 1e-4)) << text << " group " << group;
      clipped += grid.scale < gridForRange(scheme, low, high)->scale;
    }
    EXPECT_GT(clipped, kRows * groups / 8);
  }
}

TEST(RangeSearch, AllOfTheRangeIsRoundToNearest) {
  std::vector<float> weights = weightsWithOutliers();
  WeightScheme scheme = parseScheme("w4a16:g64:asym")->weights;
  Codes got(scheme), nearest(scheme);
  ASSERT_TRUE(quantizeWithRanges(scheme, {}, kRows, kCols, weights, {}, got.view()));
  ASSERT_TRUE(quantizeRoundToNearest(scheme, kRows, kCols, weights, nearest.view()));
  EXPECT_EQ(got.codes, nearest.codes);
  EXPECT_EQ(got.scales, nearest.scales);
  EXPECT_EQ(got.zeros, nearest.zeros);
}

TEST(RangeSearch, NamesWeightsThatAreNotFinite) {
  std::vector<float> weights = weightsWithOutliers();
  weights[3 * kCols + 7] = NAN;
  WeightScheme scheme = parseScheme("w4a16:g64")->weights;
  RangeOptions options;
  options.rule = RangeRule::Squared;
  Codes got(scheme);
  Status status = quantizeWithRanges(scheme, options, kRows, kCols, weights, {}, got.view(), 100);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().format().find("row 103, column 7"), std::string::npos) << status.error().format();
}
