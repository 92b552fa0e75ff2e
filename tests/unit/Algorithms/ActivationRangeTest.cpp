// Static ranges against the plain definitions, on values rather than bins, in f64.
#include "lib/Algorithms/ActivationRange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

using namespace qopt;

namespace {

/// Half the width of a bin, and what interpolation within one may add.
constexpr double kBinTolerance = 0.008;

/// Many small values and a few that are large, as a residual stream has them.
std::vector<float> valuesWithOutliers(int count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(random) * (random() % 1000 == 0 ? 40.0F : 0.7F);
  return values;
}

MagnitudeHistogram histogramOf(std::span<const float> values) {
  MagnitudeHistogram histogram;
  histogram.add(values);
  return histogram;
}

/// Order statistics with linear interpolation between them: numpy's default.
double percentileOf(std::span<const float> values, double percent) {
  std::vector<double> magnitudes(values.size());
  std::ranges::transform(values, magnitudes.begin(), [](float value) { return std::fabs(double{value}); });
  std::ranges::sort(magnitudes);
  double place = percent / 100 * static_cast<double>(magnitudes.size() - 1);
  auto below = static_cast<size_t>(place);
  double above = magnitudes[std::min(below + 1, magnitudes.size() - 1)];
  return magnitudes[below] + (above - magnitudes[below]) * (place - std::floor(place));
}

double errorOf(std::span<const float> values, double range) {
  double step = range / 127, sum = 0;
  for (float value : values)
    sum += std::pow(value - step * std::clamp(std::rint(value / step), -127.0, 127.0), 2);
  return sum;
}

} // namespace

TEST(ActivationRange, MaxIsTheGreatestMagnitude) {
  std::vector<float> values = valuesWithOutliers(20000);
  values[77] = -123.456F;
  Result<float> scale = chooseActivationScale(histogramOf(values), {});
  ASSERT_TRUE(scale);
  EXPECT_EQ(*scale, 123.456F / 127.0F);
}

TEST(ActivationRange, PercentilesAreThoseOfTheValues) {
  std::vector<float> values = valuesWithOutliers(200000);
  MagnitudeHistogram histogram = histogramOf(values);
  for (double percent : {10.0, 50.0, 90.0, 99.0, 99.9, 99.99})
    EXPECT_NEAR(histogram.percentile(percent) / percentileOf(values, percent), 1, kBinTolerance) << percent;
  EXPECT_EQ(histogram.percentile(100), histogram.greatest());
  for (double percent : {50.0, 99.0, 99.9})
    EXPECT_NEAR(histogram.beyond(histogram.percentile(percent)), 1 - percent / 100, 1e-9) << percent;
}

TEST(ActivationRange, ErrorsAreThoseOfTheValues) {
  std::vector<float> values = valuesWithOutliers(200000);
  MagnitudeHistogram histogram = histogramOf(values);
  double greatest = histogram.greatest();
  for (double part : {1.0, 0.5, 0.1, 0.03, 0.01})
    EXPECT_NEAR(histogram.squaredError(part * greatest) / errorOf(values, part * greatest), 1, 0.02) << part;
}

TEST(ActivationRange, LeastErrorIsThatOfAFinerSearch) {
  for (int count : {1000, 200000}) {
    std::vector<float> values = valuesWithOutliers(count);
    MagnitudeHistogram histogram = histogramOf(values);
    Result<float> scale = chooseActivationScale(histogram, {ActivationRangeRule::Error});
    ASSERT_TRUE(scale);
    double least = INFINITY;
    for (int i = 0; i < 640; ++i)
      least = std::min(least, errorOf(values, histogram.greatest() * std::exp2(-i / 64.0)));
    EXPECT_LT(errorOf(values, 127.0 * *scale), 1.03 * least) << count;
    if (count > 1000) // a single outlier of a thousand values is worth keeping
      EXPECT_LT(127.0 * *scale, 0.9 * histogram.greatest());
  }
}

TEST(ActivationRange, PartsAddUp) {
  std::vector<float> values = valuesWithOutliers(5000);
  MagnitudeHistogram whole = histogramOf(values), left = histogramOf(std::span(values).first(1234)),
                     right = histogramOf(std::span(values).subspan(1234));
  right.add(left);
  EXPECT_EQ(right.greatest(), whole.greatest());
  EXPECT_EQ(right.count(), 5000u);
  EXPECT_EQ(right.percentile(99), whole.percentile(99));
}

TEST(ActivationRange, WhatCannotBeARangeIsRefused) {
  std::vector<float> values(1000);
  EXPECT_EQ(chooseActivationScale(histogramOf(values), {}).error().rule,
            "expected activations with a range above 0, but all that were seen are 0");
  values[0] = 1;
  EXPECT_TRUE(chooseActivationScale(histogramOf(values), {}));
  EXPECT_EQ(chooseActivationScale(histogramOf(values), {ActivationRangeRule::Percentile, 50}).error().next,
            "take a greater percentile, or range: max");
  values[1] = NAN, values[2] = -INFINITY;
  EXPECT_EQ(chooseActivationScale(histogramOf(values), {}).error().rule,
            "expected finite activations, but 2 are infinite or not a number");
  // The greatest float is in the last bin, whose upper edge is no float.
  values[1] = 0, values[2] = std::numeric_limits<float>::max();
  EXPECT_EQ(*chooseActivationScale(histogramOf(values), {}), std::numeric_limits<float>::max() / 127.0F);
}
