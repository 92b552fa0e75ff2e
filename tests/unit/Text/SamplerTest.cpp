// The sampler: its filters, its distribution, and exact draws that must be the same on every platform.
#include "lib/Runtime/Text/Sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace qopt;

static constexpr float infinity = std::numeric_limits<float>::infinity();

static std::vector<double> frequencies(const SamplerOptions &options, std::span<const float> logits, int draws) {
  Result<Sampler> sampler = Sampler::create(options);
  std::vector<double> counts(logits.size());
  for (int i = 0; i < draws; ++i)
    counts[static_cast<size_t>(*sampler->sample(logits))] += 1.0 / draws;
  return counts;
}

TEST(Sampler, temperatureZeroTakesTheFirstOfTheMostLikely) {
  Result<Sampler> sampler = Sampler::create({});
  const float logits[] = {1, 3, NAN, 3, -infinity};
  EXPECT_EQ(*sampler->sample(logits), 1);
  const float broken[] = {NAN, -infinity};
  EXPECT_FALSE(sampler->sample(broken));
  EXPECT_FALSE(sampler->sample({}));
}

TEST(Sampler, drawsTheSoftmax) {
  const float logits[] = {0, 1, 2, -infinity, 1.5f, NAN};
  for (float temperature : {0.5f, 1.0f, 2.0f}) {
    double total = 0;
    for (float logit : {0.0f, 1.0f, 2.0f, 1.5f})
      total += std::exp(logit / temperature);
    constexpr int draws = 100000;
    const std::vector<double> counts = frequencies({.temperature = temperature, .seed = 3}, logits, draws);
    for (size_t i : {0, 1, 2, 4}) {
      const double wanted = std::exp(logits[i] / temperature) / total;
      // Five standard deviations of a binomial share.
      EXPECT_NEAR(counts[i], wanted, 5 * std::sqrt(wanted * (1 - wanted) / draws)) << i;
    }
    EXPECT_EQ(counts[3] + counts[5], 0);
  }
}

TEST(Sampler, topKKeepsTheLowerIdOfEquals) {
  const float logits[] = {1, 2, 2, 2, 0};
  const std::vector<double> counts = frequencies({.temperature = 1, .topK = 2, .seed = 1}, logits, 2000);
  EXPECT_EQ(counts[0] + counts[3] + counts[4], 0);
  EXPECT_NEAR(counts[1], 0.5, 0.06);
  EXPECT_GT(frequencies({.temperature = 5, .topK = 1, .seed = 1}, logits, 100)[1], 0.999);
}

TEST(Sampler, topPKeepsTheFewestThatReachIt) {
  // Probabilities 0.5, 0.25, 0.125, 0.125.
  const float logits[] = {std::log(0.125f), std::log(0.5f), std::log(0.25f), std::log(0.125f)};
  EXPECT_GT(frequencies({.temperature = 1, .topP = 0.4f}, logits, 200)[1], 0.999);
  const std::vector<double> two = frequencies({.temperature = 1, .topP = 0.6f}, logits, 20000);
  EXPECT_EQ(two[0] + two[3], 0);
  EXPECT_NEAR(two[1], 2.0 / 3, 0.02);
  const std::vector<double> three = frequencies({.temperature = 1, .topP = 0.8f}, logits, 20000);
  EXPECT_GT(three[0], 0);
  EXPECT_EQ(three[3], 0); // the lower id of two equals
  // Top-p looks at what top-k kept: of 2/3 and 1/3 the first alone reaches 0.6.
  EXPECT_GT(frequencies({.temperature = 1, .topK = 2, .topP = 0.6f}, logits, 200)[1], 0.999);
}

TEST(Sampler, extremeLogits) {
  Result<Sampler> sampler = Sampler::create({.temperature = 1e-30f, .topP = 0.9f});
  const float logits[] = {-3e38f, 3e38f, 0};
  EXPECT_EQ(*sampler->sample(logits), 1);
  const float infinite[] = {1, infinity, infinity};
  EXPECT_EQ(*sampler->sample(infinite), 1);
}

TEST(Sampler, sameDrawsEverywhere) {
  float logits[1000];
  for (int i = 0; i < 1000; ++i)
    logits[i] = static_cast<float>((i * 7919) % 1000) / 64.0f;
  const auto draws = [&](const SamplerOptions &options) {
    Result<Sampler> sampler = Sampler::create(options);
    std::vector<int32_t> ids;
    for (int i = 0; i < 8; ++i)
      ids.push_back(*sampler->sample(logits));
    return ids;
  };
  // From an independent program in Python with math.exp; every platform must give the same.
  EXPECT_EQ(draws({.temperature = 3, .seed = 42}), (std::vector<int32_t>{87, 376, 680, 926, 989, 769, 718, 852}));
  EXPECT_EQ(draws({.temperature = 3, .topK = 50, .topP = 0.9f, .seed = 42}),
            (std::vector<int32_t>{284, 136, 630, 482, 445, 914, 272, 198}));
  EXPECT_NE(draws({.temperature = 3, .seed = 43}), draws({.temperature = 3, .seed = 42}));
  EXPECT_EQ(draws({.temperature = 3, .topK = 1000, .seed = 42}).size(), 8u);
}

TEST(Sampler, refusesBadOptions) {
  for (const SamplerOptions &options :
       {SamplerOptions{.temperature = -1}, SamplerOptions{.temperature = NAN}, SamplerOptions{.temperature = infinity},
        SamplerOptions{.topK = -1}, SamplerOptions{.topP = 0}, SamplerOptions{.topP = 1.5f},
        SamplerOptions{.topP = NAN}}) {
    Result<Sampler> sampler = Sampler::create(options);
    ASSERT_FALSE(sampler);
    EXPECT_EQ(sampler.error().errorClass, ErrorClass::Usage);
  }
}
