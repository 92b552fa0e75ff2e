// Statistics of activations: their values in f64, and the same bits however the work is split.
#include "lib/Calibration/Statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace qopt;

namespace {

constexpr int64_t kChannels = 1100; // six panels, the first in two blocks, and not a multiple of anything

/// Sample number `index`, of 7 to 13 tokens.
AlignedVector<float> sampleOf(int64_t index) {
  std::mt19937 random(static_cast<uint32_t>(index));
  std::normal_distribution<float> normal;
  AlignedVector<float> x((7 + index % 7) * kChannels);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = normal(random) * static_cast<float>(1 + i % kChannels);
  return x;
}

SiteStatistics statisticsOf(int64_t first, int64_t count, int threads) {
  auto pool = ThreadPool::create(threads);
  SiteStatistics statistics(kChannels, {.gram = true, .histogram = true});
  for (int64_t sample = first; sample < first + count; ++sample) {
    AlignedVector<float> x = sampleOf(sample);
    statistics.add(**pool, sample, {x.data(), static_cast<int64_t>(x.size()) / kChannels, kChannels, kChannels});
  }
  statistics.finish();
  return statistics;
}

void expectSame(const SiteStatistics &a, const SiteStatistics &b) {
  EXPECT_EQ(a.tokens(), b.tokens());
  EXPECT_EQ(a.greatest, b.greatest);
  EXPECT_EQ(a.histogram, b.histogram);
  EXPECT_EQ(a.gram(), b.gram());
  EXPECT_EQ(a.total().sum, b.total().sum);
  EXPECT_EQ(a.total().magnitude, b.total().magnitude);
}

} // namespace

TEST(Statistics, AreTheSumsInF64) {
  SiteStatistics statistics = statisticsOf(0, 21, 2);
  std::vector<double> gram(kChannels * kChannels), sum(kChannels), magnitude(kChannels);
  std::vector<float> greatest(kChannels);
  int64_t tokens = 0;
  for (int64_t sample = 0; sample < 21; ++sample) {
    AlignedVector<float> x = sampleOf(sample);
    for (size_t t = 0; t < x.size() / kChannels; ++t, ++tokens)
      for (int64_t i = 0; i < kChannels; ++i) {
        double value = x[t * kChannels + i];
        sum[i] += value, magnitude[i] += std::fabs(value);
        greatest[i] = std::max(greatest[i], std::fabs(x[t * kChannels + i]));
        for (int64_t j = 0; j < kChannels; ++j)
          gram[i * kChannels + j] += value * x[t * kChannels + j];
      }
  }
  EXPECT_EQ(statistics.tokens(), tokens);
  EXPECT_EQ(statistics.greatest, greatest);
  EXPECT_EQ(statistics.notFinite(), 0);
  AlignedVector<float> got = statistics.gram();
  for (int64_t i = 0; i < kChannels; ++i) {
    EXPECT_NEAR(statistics.mean(i), sum[i] / static_cast<double>(tokens), 1e-12 * magnitude[i]);
    EXPECT_NEAR(statistics.meanMagnitude(i), magnitude[i] / static_cast<double>(tokens), 1e-12 * magnitude[i]);
    for (int64_t j = 0; j < kChannels; ++j)
      ASSERT_NEAR(got[i * kChannels + j], gram[i * kChannels + j],
                  1e-5 * std::sqrt(gram[i * kChannels + i] * gram[j * kChannels + j]));
  }
  uint64_t counted = 0;
  for (uint64_t count : statistics.histogram)
    counted += count;
  EXPECT_EQ(counted, static_cast<uint64_t>(tokens * kChannels));
}

TEST(Statistics, AreTheSameForAnyNumberOfThreads) {
  SiteStatistics one = statisticsOf(0, 40, 1);
  expectSame(one, statisticsOf(0, 40, 2));
  expectSame(one, statisticsOf(0, 40, 5));
}

TEST(Statistics, OfShardsAreThoseOfOneRun) {
  SiteStatistics left = statisticsOf(0, 32, 2), third = statisticsOf(32, 16, 1), last = statisticsOf(48, 5, 2);
  ASSERT_TRUE(third.join(last));
  ASSERT_TRUE(left.join(third));
  expectSame(left, statisticsOf(0, 53, 2));
}

TEST(Statistics, OtherCutsAreRefused) {
  auto refused = [](int64_t first, int64_t count, int64_t second, int64_t secondCount, const std::string &message) {
    SiteStatistics left = statisticsOf(first, count, 1);
    Status status = left.join(statisticsOf(second, secondCount, 1));
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().format().find(message), std::string::npos) << status.error().format();
  };
  refused(0, 16, 32, 16, "begins with sample 16, but got one from 32");
  refused(0, 48, 48, 16, "neighbours in the tree");
  refused(16, 16, 32, 16, "neighbours in the tree");
  refused(0, 16, 16, 32, "neighbours in the tree");
}

TEST(Statistics, CountWhatIsNotFinite) {
  auto pool = ThreadPool::create(1);
  SiteStatistics statistics(3, {});
  float x[6] = {1, NAN, -2, 3, INFINITY, 4};
  statistics.add(**pool, 0, {x, 2, 3, 3});
  statistics.finish();
  EXPECT_EQ(statistics.notFinite(), 2);
}
