// What a well-formed GGUF file says, through Archive.
#include "lib/Archive/Archive.h"
#include "lib/Archive/Sha256.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <cmath>

namespace qopt {
namespace {

using test::bytesOf;
using test::GgufBuilder;
using test::raw;

std::string arrayOf(GgufType type, uint64_t count, const std::string &elements) {
  return raw(static_cast<uint32_t>(type)) + raw(count) + elements;
}

TEST(Gguf, ReadsEveryMetadataType) {
  GgufBuilder file;
  file.pair("u8", GgufType::Uint8, raw(uint8_t{255}))
      .pair("i8", GgufType::Int8, raw(int8_t{-128}))
      .pair("u16", GgufType::Uint16, raw(uint16_t{65535}))
      .pair("i16", GgufType::Int16, raw(int16_t{-32768}))
      .pair("u32", GgufType::Uint32, raw(UINT32_MAX))
      .pair("i32", GgufType::Int32, raw(INT32_MIN))
      .pair("u64", GgufType::Uint64, raw(UINT64_MAX))
      .pair("i64", GgufType::Int64, raw(INT64_MIN))
      .pair("f32", GgufType::Float32, raw(1.5f))
      .pair("f64", GgufType::Float64, raw(-0.1))
      .pair("yes", GgufType::Bool, raw(uint8_t{1}))
      .pair("no", GgufType::Bool, raw(uint8_t{0}))
      .pair("text", GgufType::String, GgufBuilder::string("naïve"))
      .pair("bytes", GgufType::String, GgufBuilder::string("\xFF"))
      .pair("texts", GgufType::Array, arrayOf(GgufType::String, 2, GgufBuilder::string("a") + GgufBuilder::string("")))
      .pair("none", GgufType::Array, arrayOf(GgufType::String, 0, ""))
      .pair("ints", GgufType::Array, arrayOf(GgufType::Int32, 2, raw(int32_t{-1}) + raw(int32_t{7})))
      .pair("big", GgufType::Array, arrayOf(GgufType::Uint64, 1, raw(UINT64_MAX)))
      .pair("floats", GgufType::Array, arrayOf(GgufType::Float32, 2, raw(0.25f) + raw(-1.0f)))
      .pair("bools", GgufType::Array, arrayOf(GgufType::Bool, 2, std::string("\1\0", 2)));
  std::string bytes = file.bytes();
  auto header = readGguf(bytesOf(bytes));
  ASSERT_TRUE(header) << header.error().format();
  const GgufMetadata &metadata = header->gguf;
  ASSERT_EQ(metadata.pairs().size(), 20u);
  EXPECT_EQ(metadata.pairs()[0].key, "u8"); // the file's order
  EXPECT_EQ(*metadata.integer("u8"), 255);
  EXPECT_EQ(*metadata.integer("i8"), -128);
  EXPECT_EQ(*metadata.integer("u16"), 65535);
  EXPECT_EQ(*metadata.integer("i16"), -32768);
  EXPECT_EQ(*metadata.integer("u32"), int64_t{UINT32_MAX});
  EXPECT_EQ(*metadata.integer("i32"), INT32_MIN);
  EXPECT_EQ(*metadata.integer("i64"), INT64_MIN);
  EXPECT_EQ(*metadata.number("u64"), 0x1p64);
  EXPECT_EQ(*metadata.number("f32"), 1.5);
  EXPECT_EQ(*metadata.number("f64"), -0.1);
  EXPECT_EQ(*metadata.number("i8"), -128.0);
  EXPECT_TRUE(*metadata.boolean("yes"));
  EXPECT_FALSE(*metadata.boolean("no"));
  EXPECT_EQ(*metadata.string("text"), "naïve");
  EXPECT_EQ(*metadata.string("bytes"), "\xFF"); // tokens may be any bytes
  ASSERT_EQ(metadata.strings("texts")->size(), 2u);
  EXPECT_EQ((*metadata.strings("texts"))[0], "a");
  EXPECT_EQ((*metadata.strings("texts"))[1], "");
  EXPECT_TRUE(metadata.strings("none")->empty());
  EXPECT_EQ(*metadata.integers("ints"), (std::vector<int64_t>{-1, 7}));
  EXPECT_EQ(*metadata.numbers("ints"), (std::vector<double>{-1, 7}));
  EXPECT_EQ(*metadata.numbers("big"), std::vector<double>{0x1p64});
  EXPECT_EQ(*metadata.numbers("floats"), (std::vector<double>{0.25, -1}));
  EXPECT_EQ(*metadata.integers("bools"), (std::vector<int64_t>{1, 0}));
  // Text is seen where it lies.
  const char *seen = metadata.string("text")->data();
  EXPECT_TRUE(seen >= bytes.data() && seen < bytes.data() + bytes.size());
}

TEST(Gguf, SaysWhatItFoundInstead) {
  GgufBuilder file;
  file.pair("u64", GgufType::Uint64, raw(UINT64_MAX))
      .pair("text", GgufType::String, GgufBuilder::string("a"))
      .pair("n", GgufType::Uint32, raw(7u))
      .pair("floats", GgufType::Array, arrayOf(GgufType::Float32, 1, raw(0.25f)));
  std::string bytes = file.bytes();
  auto header = readGguf(bytesOf(bytes));
  ASSERT_TRUE(header) << header.error().format();
  const GgufMetadata &metadata = header->gguf;
  EXPECT_EQ(metadata.integer("llama.depth").error().rule,
            "the GGUF file has no metadata key 'llama.depth', which should be an integer of at most 63 bits");
  EXPECT_EQ(metadata.integer("text").error().rule,
            "expected the metadata key 'text' to be an integer of at most 63 bits, but got a value of type string");
  EXPECT_EQ(metadata.integer("u64").error().rule,
            "expected the metadata key 'u64' to be an integer of at most 63 bits, but got a value of type uint64");
  EXPECT_EQ(metadata.string("n").error().rule, "expected the metadata key 'n' to be a string, but got uint32 7");
  EXPECT_EQ(metadata.boolean("n").error().rule, "expected the metadata key 'n' to be a bool, but got uint32 7");
  EXPECT_EQ(metadata.strings("floats").error().rule,
            "expected the metadata key 'floats' to be an array of strings, but got an array of float32");
  EXPECT_EQ(metadata.integers("floats").error().rule,
            "expected the metadata key 'floats' to be an array of integers, but got an array of float32");
  EXPECT_FALSE(metadata.number("text"));
  EXPECT_FALSE(metadata.numbers("text"));
  EXPECT_EQ(metadata.find("missing"), nullptr);
}

TEST(Gguf, ReadsTensorsOutermostFirst) {
  test::TemporaryDirectory folder;
  GgufBuilder file;
  file.pair("general.architecture", GgufType::String, GgufBuilder::string("llama"));
  // Described out of the order of their data; 64 elements of Q4_1 are 40 bytes, padded to 64.
  file.tensor("second", {3}, 0, 64)
      .tensor("first", {32, 2}, 3, 0)
      .tensor("empty", {0, 5}, 1, 96)
      .tensor("scalar", {}, 24, 96);
  file.data = std::string(40, 'q') + std::string(24, '\0') + std::string(12, 'f') + std::string(20, '\0') + "s";
  auto opened = Archive::open(folder.write("a.gguf", file.bytes()));
  ASSERT_TRUE(opened) << opened.error().format();
  const Archive &archive = **opened;
  EXPECT_EQ(archive.kind(), ArchiveKind::Gguf);
  EXPECT_EQ(archive.headerSize() % 32, 0u);
  ASSERT_EQ(archive.tensors().size(), 4u);
  EXPECT_EQ(archive.tensors()[0].name, "first");
  EXPECT_EQ(archive.tensors()[1].name, "second");
  const TensorEntry &first = *archive.find("first");
  EXPECT_EQ(first.format, ElementFormat::Q4_1);
  EXPECT_EQ(first.shape, (std::vector<int64_t>{2, 32}));
  EXPECT_EQ(first.elements(), 64);
  EXPECT_EQ(first.offset, archive.headerSize());
  EXPECT_EQ(describe(first), "q4_1 [2, 32]");
  EXPECT_EQ(archive.bytes(first).size(), 40u);
  EXPECT_EQ(archive.bytes(first)[39], std::byte{'q'});
  EXPECT_EQ(archive.tensorDigest(first), toString(sha256(bytesOf(std::string(40, 'q')))));
  EXPECT_EQ(archive.bytes(*archive.find("second"))[11], std::byte{'f'});
  EXPECT_EQ(archive.find("empty")->elements(), 0);
  EXPECT_EQ(archive.find("scalar")->elements(), 1);
  EXPECT_EQ(archive.bytes(*archive.find("scalar"))[0], std::byte{'s'});
  EXPECT_EQ(archive.headerDigest(), toString(sha256(bytesOf(file.bytes().substr(0, archive.headerSize())))));
  EXPECT_EQ(archive.find("thirst"), nullptr);
  auto missing = archive.get("fist");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().rule, "the file has no tensor 'fist'");
  EXPECT_EQ(missing.error().next, "the nearest name in it is 'first'");
  EXPECT_EQ(archive.get("entirely.different").error().next, "'qopt inspect' lists its tensors");
}

TEST(Gguf, ReadsOtherAlignments) {
  for (uint32_t alignment : {1u, 8u, 4096u}) {
    GgufBuilder file;
    file.alignment = alignment;
    file.pair("general.alignment", GgufType::Uint32, raw(alignment));
    uint64_t second = alignment > 1 ? alignment : 3;
    file.tensor("a", {3}, 24, 0).tensor("b", {1}, 24, second);
    file.data = "abc" + std::string(second - 3, '\0') + "z";
    std::string bytes = file.bytes();
    auto header = readGguf(bytesOf(bytes));
    ASSERT_TRUE(header) << alignment << header.error().format();
    EXPECT_EQ(bytes[header->tensors[0].offset], 'a');
    EXPECT_EQ(bytes[header->tensors[1].offset], 'z');
  }
}

TEST(Gguf, TheLastTensorMayBePaddedOrNot) {
  for (size_t padding : {0, 1, 28, 31}) {
    GgufBuilder file;
    file.tensor("a", {4}, 24, 0);
    file.data = "abcd" + std::string(padding, '\0');
    std::string bytes = file.bytes();
    EXPECT_TRUE(readGguf(bytesOf(bytes))) << padding;
  }
}

TEST(Gguf, MayHaveNoTensors) {
  GgufBuilder file;
  file.pair("a", GgufType::Uint8, raw(uint8_t{1}));
  std::string bytes = file.header(); // without padding, too
  auto header = readGguf(bytesOf(bytes));
  ASSERT_TRUE(header) << header.error().format();
  EXPECT_EQ(header->bytes, bytes.size());
}

TEST(Gguf, KnowsEveryFormatWeRead) {
  struct Known {
    uint32_t number;
    ElementFormat format;
  };
  for (Known known : {Known{0, ElementFormat::F32},
                      {1, ElementFormat::F16},
                      {2, ElementFormat::Q4_0},
                      {3, ElementFormat::Q4_1},
                      {6, ElementFormat::Q5_0},
                      {7, ElementFormat::Q5_1},
                      {8, ElementFormat::Q8_0},
                      {14, ElementFormat::Q6_K},
                      {24, ElementFormat::I8},
                      {25, ElementFormat::I16},
                      {26, ElementFormat::I32},
                      {27, ElementFormat::I64},
                      {28, ElementFormat::F64},
                      {30, ElementFormat::BF16}}) {
    GgufBuilder file;
    file.tensor("a", {256}, known.number, 0);
    file.data = std::string(*storageBytes(known.format, 256), 'x');
    std::string bytes = file.bytes();
    auto header = readGguf(bytesOf(bytes));
    ASSERT_TRUE(header) << known.number << header.error().format();
    EXPECT_EQ(header->tensors[0].format, known.format);
  }
}

} // namespace
} // namespace qopt
