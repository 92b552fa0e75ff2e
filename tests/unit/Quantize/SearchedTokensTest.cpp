// How much of a calibration's samples a search looks at.
#include "passes/Quantize/SiteSamples.h"

#include <gtest/gtest.h>

using namespace qopt;

namespace {

/// Samples and tokens of each that are searched, and all tokens: what the header promises.
struct Chosen {
  int64_t samples, perSample;
  bool operator==(const Chosen &) const = default;
};

void PrintTo(const Chosen &chosen, std::ostream *out) { *out << chosen.samples << " x " << chosen.perSample; }

Chosen chosenBy(Result<SearchedTokens> (*limit)(std::span<const int32_t>, int64_t), int64_t samples, int64_t length) {
  std::vector<int32_t> tokens(samples * length);
  Result<SearchedTokens> chosen = limit(tokens, length);
  if (!chosen)
    return {-1, -1};
  EXPECT_EQ(chosen->samples.data(), tokens.data());
  EXPECT_EQ(chosen->length, length);
  return {chosen->count(), chosen->perSample};
}

} // namespace

TEST(SearchedTokens, OfTheSearchForAlpha) {
  // 2048 of them, evenly from 16 samples.
  EXPECT_EQ(chosenBy(SearchedTokens::some, 128, 256), (Chosen{16, 128}));
  EXPECT_EQ(chosenBy(SearchedTokens::some, 4, 1024), (Chosen{4, 512}));
  EXPECT_EQ(chosenBy(SearchedTokens::some, 1, 4096), (Chosen{1, 2048}));
  // All, where there are fewer.
  EXPECT_EQ(chosenBy(SearchedTokens::some, 128, 100), (Chosen{16, 100}));
  EXPECT_EQ(chosenBy(SearchedTokens::some, 3, 64), (Chosen{3, 64}));
  EXPECT_EQ(chosenBy(SearchedTokens::some, 0, 64), (Chosen{-1, -1}));
}

TEST(SearchedTokens, OfTheErrorOfAModule) {
  // Whole samples, because a token's attention needs those before it: 8192 tokens, or one sample.
  EXPECT_EQ(chosenBy(SearchedTokens::whole, 128, 256), (Chosen{32, 256}));
  EXPECT_EQ(chosenBy(SearchedTokens::whole, 128, 3000), (Chosen{2, 3000}));
  EXPECT_EQ(chosenBy(SearchedTokens::whole, 2, 10000), (Chosen{1, 10000}));
  EXPECT_EQ(chosenBy(SearchedTokens::whole, 5, 64), (Chosen{5, 64}));
  EXPECT_EQ(chosenBy(SearchedTokens::whole, 0, 64), (Chosen{-1, -1}));
}
