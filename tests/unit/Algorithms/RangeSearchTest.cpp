// Ranges against a search written out plainly: every candidate of every group tried, the first of the best kept.
#include "lib/Algorithms/RangeSearch.h"

#include <gtest/gtest.h>

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
        float low = 0, high = 0;
        for (float value : of)
          low = std::min(low, value), high = std::max(high, value);
        double best = INFINITY;
        for (int i = 0; i < 80; ++i) {
          auto p = static_cast<float>(1 - i * 0.01);
          best = std::min(best, costOf(rule, of, own, *gridForRange(scheme, p * low, p * high), scheme));
        }
        GroupGrid grid{loadScale(scheme.scale, got.scales.data() + group * info(scheme.scale).blockBytes),
                       scheme.symmetric ? static_cast<uint8_t>(scheme.impliedZero()) : got.zeros[group]};
        // Sums in f32 may tell two candidates apart otherwise than sums in f64, never by more than this.
        ASSERT_LE(costOf(rule, of, own, grid, scheme), best * (1 + 1e-4)) << "group " << group;
        narrowed += grid.scale < gridForRange(scheme, low, high)->scale;
      }
      EXPECT_GT(narrowed, kRows * groups / 4); // what it is for
    }
}

TEST(RangeSearch, ClippingBoundsMagnitudes) {
  std::vector<float> weights = weightsWithOutliers();
  AlignedVector<float> h(kCols * kCols);
  for (int64_t i = 0; i < kCols; ++i)
    for (int64_t j = 0; j < kCols; ++j)
      h[i * kCols + j] = i == j ? 3.0F : 1 / (1.0F + static_cast<float>(std::abs(i - j)));
  for (const char *text : {"w4a16:g64", "w4a16:g32:asym"}) {
    WeightScheme scheme = parseScheme(text)->weights;
    int64_t size = scheme.groupSize(kCols), groups = scheme.groupsPerRow(kCols);
    Codes got(scheme);
    ASSERT_TRUE(quantizeWithRanges(scheme, RangeOptions::of(RangeRule::Clip), kRows, kCols, weights,
                                   {h.data(), kCols, kCols, kCols}, got.view()));
    auto costOfGrid = [&](int64_t group, GroupGrid grid) {
      std::vector<uint8_t> codes(size);
      std::span<const float> of = std::span<const float>(weights).subspan(group * size, size);
      encodeGroup(scheme, grid, of, codes);
      double cost = 0;
      auto error = [&](int64_t k) { return of[k] - grid.scale * static_cast<float>(codes[k] - grid.zero); };
      int64_t first = group % groups * size;
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j)
          cost += static_cast<double>(error(i)) * h[(first + i) * kCols + first + j] * error(j);
      return cost;
    };
    int64_t clipped = 0;
    for (int64_t group = 0; group < kRows * groups; ++group) {
      float low = 0, high = 0;
      for (int64_t k = 0; k < size; ++k)
        low = std::min(low, weights[group * size + k]), high = std::max(high, weights[group * size + k]);
      double best = INFINITY;
      for (int i = 0; i < 10; ++i) {
        float bound = static_cast<float>(1 - i * 0.05) * std::max(-low, high);
        best = std::min(best, costOfGrid(group, *gridForRange(scheme, std::max(low, -bound), std::min(high, bound))));
      }
      GroupGrid grid{loadScale(scheme.scale, got.scales.data() + group * info(scheme.scale).blockBytes),
                     scheme.symmetric ? static_cast<uint8_t>(scheme.impliedZero()) : got.zeros[group]};
      ASSERT_LE(costOfGrid(group, grid), best * (1 + 1e-4)) << text << " group " << group;
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
