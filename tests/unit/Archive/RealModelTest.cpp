// SmolLM2-135M-Instruct as GGUF: what is in it, and that opening it takes milliseconds.
#include "lib/Archive/Archive.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <chrono>

namespace qopt {
namespace {

TEST(RealModel, SmolLM2) {
  std::string path = QOPT_TEST_GGUF;
  if (path.empty())
    GTEST_SKIP() << "no model given: configure with -DQOPT_TEST_GGUF=PATH of SmolLM2-135M-Instruct.Q4_1.gguf";
  (void)Archive::open(path); // brings the header into the page cache
  auto start = std::chrono::steady_clock::now();
  auto opened = Archive::open(path);
  std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(opened) << opened.error().format();
  RecordProperty("open_ms", std::to_string(took.count()));
  EXPECT_LT(took.count(), 200); // 3 ms; the bound is for sanitizers on a busy machine

  const Archive &archive = **opened;
  const GgufMetadata &metadata = archive.ggufMetadata();
  EXPECT_EQ(*metadata.string("general.architecture"), "llama");
  EXPECT_EQ(*metadata.integer("llama.block_count"), 30);
  EXPECT_EQ(*metadata.integer("llama.embedding_length"), 576);
  EXPECT_EQ(metadata.strings("tokenizer.ggml.tokens")->size(), 49152u);
  EXPECT_EQ(metadata.strings("tokenizer.ggml.merges")->size(), 48900u);
  EXPECT_EQ(metadata.integers("tokenizer.ggml.token_type")->size(), 49152u);
  ASSERT_EQ(archive.tensors().size(), 272u);
  const TensorEntry *embedding = *archive.get("token_embd.weight");
  EXPECT_EQ(embedding->shape, (std::vector<int64_t>{49152, 576}));
  EXPECT_EQ((*archive.get("blk.0.attn_k.weight"))->shape, (std::vector<int64_t>{192, 576}));
  EXPECT_EQ((*archive.get("output_norm.weight"))->format, ElementFormat::F32);
  uint64_t end = archive.tensors().back().offset + archive.tensors().back().bytes;
  EXPECT_LE(end, archive.fileSize());
  EXPECT_LT(archive.fileSize() - end, 32u);
}

} // namespace
} // namespace qopt
