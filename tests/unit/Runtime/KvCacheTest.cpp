#include "lib/Runtime/KvCache.h"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace qopt;

namespace {

constexpr int64_t kBlockTokens = 4;

std::unique_ptr<KvCache> makeCache(int64_t blocks, int64_t sequenceTokens = 64) {
  Result<std::unique_ptr<KvCache>> cache = KvCache::create({kBlockTokens, 64, blocks, sequenceTokens});
  EXPECT_TRUE(cache);
  return std::move(*cache);
}

/// Where a test keeps the value of one position: an int in the position's block.
int32_t &cell(KvCache &cache, SequenceId sequence, int64_t position) {
  const int32_t *row = cache.tables() + KvCache::slotOf(sequence) * cache.blocksPerSequence();
  auto *block = reinterpret_cast<int32_t *>(cache.data() + row[position / kBlockTokens] * cache.shape().blockBytes);
  return block[position % kBlockTokens];
}

Status append(KvCache &cache, SequenceId sequence, int64_t count) {
  KvCache::Append one{sequence, count};
  return cache.append({&one, 1});
}

TEST(KvCache, TakesBlocksAsTokensComeAndGivesThemBack) {
  auto cache = makeCache(4);
  SequenceId sequence = *cache->createSequence();
  EXPECT_EQ(cache->freeBlocks(), 4);
  ASSERT_TRUE(append(*cache, sequence, 4));
  EXPECT_EQ(cache->freeBlocks(), 3);
  ASSERT_TRUE(append(*cache, sequence, 1));
  EXPECT_EQ(cache->freeBlocks(), 2);
  ASSERT_TRUE(cache->truncate(sequence, 4));
  EXPECT_EQ(cache->freeBlocks(), 3);
  EXPECT_EQ(*cache->length(sequence), 4);
  ASSERT_TRUE(cache->freeSequence(sequence));
  EXPECT_EQ(cache->freeBlocks(), 4);
}

TEST(KvCache, ForkSharesUntilOneAppends) {
  auto cache = makeCache(8);
  SequenceId parent = *cache->createSequence();
  ASSERT_TRUE(append(*cache, parent, 6));
  for (int i = 0; i < 6; ++i)
    cell(*cache, parent, i) = 100 + i;
  SequenceId child = *cache->fork(parent);
  EXPECT_EQ(cache->freeBlocks(), 6) << "a fork takes no block";
  EXPECT_EQ(&cell(*cache, parent, 5), &cell(*cache, child, 5));
  ASSERT_TRUE(append(*cache, child, 1));
  EXPECT_EQ(cache->freeBlocks(), 5) << "only the partly filled block was copied";
  EXPECT_EQ(&cell(*cache, parent, 0), &cell(*cache, child, 0));
  EXPECT_NE(&cell(*cache, parent, 5), &cell(*cache, child, 5));
  EXPECT_EQ(cell(*cache, child, 5), 105) << "what was in the shared block is in the copy";
  cell(*cache, child, 6) = 7;
  ASSERT_TRUE(append(*cache, parent, 1));
  EXPECT_EQ(cache->freeBlocks(), 5) << "the parent owns the old block alone now";
  cell(*cache, parent, 6) = 8;
  EXPECT_EQ(cell(*cache, child, 6), 7);
  ASSERT_TRUE(cache->freeSequence(parent));
  EXPECT_EQ(cell(*cache, child, 0), 100);
  ASSERT_TRUE(cache->freeSequence(child));
  EXPECT_EQ(cache->freeBlocks(), 8);
}

TEST(KvCache, RefusesWhatIsTooLongOrTooMuchAndChangesNothing) {
  auto cache = makeCache(3, 8);
  SequenceId a = *cache->createSequence(), b = *cache->createSequence();
  ASSERT_TRUE(append(*cache, a, 3));
  Status tooLong = append(*cache, a, 6);
  ASSERT_FALSE(tooLong);
  EXPECT_EQ(tooLong.error().errorClass, ErrorClass::BadInput);
  KvCache::Append both[] = {{a, 4}, {b, 8}}; // 1 block for a, 2 for b, of which 1 is left
  Status full = cache->append(both);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().errorClass, ErrorClass::Resource);
  EXPECT_EQ(*cache->length(a), 3);
  EXPECT_EQ(*cache->length(b), 0);
  EXPECT_EQ(cache->freeBlocks(), 2);
}

TEST(KvCache, RefusesIdsThatAreNotAlive) {
  auto cache = makeCache(2);
  SequenceId first = *cache->createSequence();
  ASSERT_TRUE(cache->freeSequence(first));
  EXPECT_FALSE(cache->length((SequenceId(2) << 32) | KvCache::slotOf(first))) << "a free slot's count is no id";
  SequenceId second = *cache->createSequence();
  EXPECT_EQ(KvCache::slotOf(first), KvCache::slotOf(second)) << "the slot is used again";
  for (SequenceId wrong : {first, SequenceId(-1), second + 1, SequenceId(0), SequenceId(2) << 32}) {
    EXPECT_FALSE(cache->length(wrong)) << wrong;
    EXPECT_FALSE(cache->freeSequence(wrong)) << wrong;
    EXPECT_FALSE(cache->fork(wrong)) << wrong;
  }
  EXPECT_TRUE(cache->length(second));
  EXPECT_FALSE(cache->truncate(second, 1));
  EXPECT_FALSE(cache->truncate(second, -1));
}

TEST(KvCache, ASequenceThatCannotBeMadeLeavesNoSlotBehind) {
  // A row of the table is more than a vector holds: the vector says so itself, without asking for memory.
  Result<std::unique_ptr<KvCache>> cache = KvCache::create({1, 64, 1, int64_t(1) << 61});
  ASSERT_TRUE(cache);
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_ANY_THROW((void)(*cache)->createSequence()) << "an earlier attempt left a slot without a row";
    EXPECT_FALSE((*cache)->length(SequenceId(1) << 32));
  }
}

/// Against a plain model: each sequence is a vector of numbers.
TEST(KvCache, AnyHistoryOfOperationsKeepsEverySequenceItsOwn) {
  std::mt19937 random(7);
  auto cache = makeCache(70, 30);
  std::map<SequenceId, std::vector<int32_t>> expected;
  int32_t fresh = 1;
  int copies = 0;
  for (int step = 0; step < 20000; ++step) {
    auto pick = [&] { return std::next(expected.begin(), random() % expected.size())->first; };
    unsigned action = random() % 10;
    if (expected.empty() || (action == 0 && expected.size() < 12)) {
      expected[*cache->createSequence()] = {};
    } else if (action <= 5) {
      SequenceId sequence = pick();
      int64_t count = 1 + random() % 6, before = cache->freeBlocks();
      if (append(*cache, sequence, count)) {
        std::vector<int32_t> &tokens = expected[sequence];
        copies +=
            before - cache->freeBlocks() > int64_t((tokens.size() + count + 3) / 4) - int64_t((tokens.size() + 3) / 4);
        for (int64_t i = 0; i < count; ++i) {
          tokens.push_back(fresh++);
          cell(*cache, sequence, tokens.size() - 1) = tokens.back();
        }
      }
    } else if (action == 6 && expected.size() < 12) {
      SequenceId parent = pick();
      expected[*cache->fork(parent)] = expected[parent];
    } else if (action <= 8) {
      SequenceId sequence = pick();
      size_t length = random() % (expected[sequence].size() + 1);
      ASSERT_TRUE(cache->truncate(sequence, length));
      expected[sequence].resize(length);
    } else {
      SequenceId sequence = pick();
      ASSERT_TRUE(cache->freeSequence(sequence));
      expected.erase(sequence);
    }
    for (const auto &[sequence, tokens] : expected) {
      ASSERT_EQ(*cache->length(sequence), static_cast<int64_t>(tokens.size()));
      for (size_t i = 0; i < tokens.size(); ++i)
        ASSERT_EQ(cell(*cache, sequence, i), tokens[i]) << "step " << step << " position " << i;
    }
  }
  EXPECT_GT(copies, 100) << "the history copied too few blocks to prove anything";
  while (!expected.empty()) {
    ASSERT_TRUE(cache->freeSequence(expected.begin()->first));
    expected.erase(expected.begin());
  }
  EXPECT_EQ(cache->freeBlocks(), 70) << "a block leaked";
}

} // namespace
