// Safetensors: what a well-formed file says, and that what we write is read back.
#include "lib/Archive/Archive.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Archive/Sha256.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>

namespace qopt {
namespace {

using test::bytesOf;
using test::described;
using test::TemporaryDirectory;

TEST(Safetensors, ReadsEveryType) {
  struct Known {
    const char *dtype;
    ElementFormat format;
  };
  for (Known known : {Known{"F64", ElementFormat::F64},
                      {"F32", ElementFormat::F32},
                      {"F16", ElementFormat::F16},
                      {"BF16", ElementFormat::BF16},
                      {"I8", ElementFormat::I8},
                      {"U8", ElementFormat::U8},
                      {"I16", ElementFormat::I16},
                      {"I32", ElementFormat::I32},
                      {"I64", ElementFormat::I64},
                      {"BOOL", ElementFormat::Bool}}) {
    uint64_t bytes = *storageBytes(known.format, 6);
    std::string file = test::safetensors(
        "{" + described("a", known.dtype, "[2,3]", "[0," + std::to_string(bytes) + "]") + "}", std::string(bytes, 'x'));
    auto header = readSafetensors(bytesOf(file));
    ASSERT_TRUE(header) << header.error().format();
    EXPECT_EQ(header->tensors[0].format, known.format);
    EXPECT_EQ(header->tensors[0].shape, (std::vector<int64_t>{2, 3}));
  }
}

TEST(Safetensors, ReadsThroughArchive) {
  TemporaryDirectory folder;
  // Described in another order than the data; trailing spaces; a tensor without elements; a scalar.
  std::string header = "{" + described("late", "U8", "[3]", "[8,11]") +
                       ",\"__metadata__\":{\"z\":\"1\",\"a\":\"\\u00e9\"}," +
                       described("early", "F32", "[2]", "[0,8]") + "," + described("none", "F32", "[0,7]", "[8,8]") +
                       "," + described("scalar", "U8", "[]", "[11,12]") + "}   ";
  std::string file = test::safetensors(header, "12345678abcd");
  auto opened = Archive::open(folder.write("a.safetensors", file));
  ASSERT_TRUE(opened) << opened.error().format();
  const Archive &archive = **opened;
  EXPECT_EQ(archive.kind(), ArchiveKind::Safetensors);
  EXPECT_EQ(archive.headerSize(), 8 + header.size());
  EXPECT_EQ(archive.headerDigest(), toString(sha256(bytesOf(file.substr(0, 8 + header.size())))));
  std::vector<std::string> names;
  for (const TensorEntry &entry : archive.tensors())
    names.push_back(entry.name);
  EXPECT_EQ(names, (std::vector<std::string>{"early", "none", "late", "scalar"}));
  EXPECT_EQ(archive.metadata(), (StringMetadata{{"z", "1"}, {"a", "é"}}));
  EXPECT_EQ(archive.metadata("a"), "é");
  EXPECT_EQ(archive.metadata("b"), std::nullopt);
  EXPECT_EQ(archive.bytes(*archive.find("late"))[2], std::byte{'c'});
  EXPECT_EQ(archive.bytes(*archive.find("scalar"))[0], std::byte{'d'});
  archive.drop(*archive.find("late"));
  EXPECT_TRUE(archive.ggufMetadata().pairs().empty());
}

/// Headers of 640 and 1,152 bytes begin with the bytes of a pickle.
TEST(Safetensors, IsNoPickleWhateverItsLength) {
  for (size_t length : {640, 1152}) {
    std::string header = "{" + described("a", "U8", "[3]", "[0,3]") + "}";
    std::string file = test::safetensors(header + std::string(length - header.size(), ' '), "xyz");
    auto read = readArchiveHeader(bytesOf(file));
    ASSERT_TRUE(read) << read.error().format();
  }
}

TEST(Safetensors, AFileWithoutTensors) {
  for (const char *header : {"{}", "{\"__metadata__\":{}}"}) {
    auto read = readSafetensors(bytesOf(test::safetensors(header)));
    EXPECT_TRUE(read) << read.error().format();
  }
}

std::vector<TensorDeclaration> someTensors() {
  return {{"a \"quoted\" é", ElementFormat::F32, {2, 3}},
          {"bytes", ElementFormat::U8, {5}},
          {"none", ElementFormat::F16, {0}},
          {"scalar", ElementFormat::I64, {}}};
}

/// Writes someTensors() to `path`, in the order given, two pieces each.
Status writeSome(const std::string &path, SafetensorsAlignment alignment, bool backwards) {
  auto plan = planSafetensors(someTensors(), alignment);
  if (!plan)
    return plan.takeError();
  auto writer = SafetensorsWriter::create(path, *plan, {{"k", "line\n\"é\""}});
  if (!writer)
    return writer.takeError();
  std::vector<TensorDeclaration> order = someTensors();
  if (backwards)
    std::ranges::reverse(order);
  for (const TensorDeclaration &declared : order) {
    std::string data(plan->find(declared.name)->bytes, declared.name[0]);
    size_t half = data.size() / 2;
    for (const std::string &piece : {data.substr(0, half), data.substr(half)})
      if (Status status = writer->append(declared.name, bytesOf(piece)); !status)
        return status;
  }
  return writer->commit();
}

TEST(SafetensorsWriter, IsReadBack) {
  TemporaryDirectory folder;
  for (SafetensorsAlignment alignment : {SafetensorsAlignment{8, 1}, {4096, 64}, {1, 1}}) {
    Status status = writeSome(folder / "out", alignment, false);
    ASSERT_TRUE(status) << status.error().format();
    auto opened = Archive::open(folder / "out");
    ASSERT_TRUE(opened) << opened.error().format();
    const Archive &archive = **opened;
    EXPECT_EQ(archive.headerSize() % alignment.data, 0u);
    EXPECT_EQ(archive.metadata("k"), "line\n\"é\"");
    for (const TensorDeclaration &declared : someTensors()) {
      auto entry = archive.get(declared.name);
      ASSERT_TRUE(entry) << entry.error().format();
      EXPECT_EQ((*entry)->format, declared.format);
      EXPECT_EQ((*entry)->shape, declared.shape);
      EXPECT_EQ((*entry)->offset % alignment.tensor, 0u);
      for (std::byte byte : archive.bytes(**entry))
        EXPECT_EQ(byte, std::byte(declared.name[0]));
    }
    size_t padding = 0;
    for (const TensorEntry &entry : archive.tensors())
      if (entry.name.starts_with("padding.")) {
        ++padding;
        for (std::byte byte : archive.bytes(entry))
          EXPECT_EQ(byte, std::byte{0});
      }
    EXPECT_EQ(padding, alignment.tensor > 1 ? 2u : 0u);
    EXPECT_EQ(folder.count(), 1u); // no temporary file
  }
}

TEST(SafetensorsWriter, SameInputsSameBytesInAnyOrder) {
  TemporaryDirectory folder;
  ASSERT_TRUE(writeSome(folder / "a", {4096, 64}, false));
  ASSERT_TRUE(writeSome(folder / "b", {4096, 64}, true));
  EXPECT_EQ(TemporaryDirectory::read(folder / "a"), TemporaryDirectory::read(folder / "b"));
  EXPECT_FALSE(TemporaryDirectory::read(folder / "a").empty());
}

TEST(SafetensorsWriter, APipeGetsTheSameBytes) {
  TemporaryDirectory folder;
  ASSERT_TRUE(writeSome(folder / "file", {4096, 64}, false));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::string received;
  std::thread reader([&] { received = TemporaryDirectory::read(folder / "pipe"); });
  Status status = writeSome(folder / "pipe", {4096, 64}, false);
  reader.join();
  ASSERT_TRUE(status) << status.error().format();
  EXPECT_EQ(received, TemporaryDirectory::read(folder / "file"));
}

TEST(SafetensorsWriter, ADeviceTakesTensorsInOrderOnly) {
  Status status = writeSome("/dev/null", {8, 1}, true);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().rule, "a pipe or device takes tensors in their order only");
}

TEST(SafetensorsPlan, GivesOffsetsBeforeAnythingIsWritten) {
  auto plan = planSafetensors(someTensors(), {4096, 64});
  ASSERT_TRUE(plan) << plan.error().format();
  EXPECT_EQ(plan->find("bytes")->offset, 64u);
  EXPECT_EQ(plan->find("scalar")->offset, 128u);
  EXPECT_EQ(plan->find("padding.0")->offset, 24u);
  EXPECT_EQ(plan->find("padding.0")->bytes, 40u);
  EXPECT_EQ(plan->dataBytes, 136u);
}

TEST(SafetensorsPlan, RefusesWhatAReaderWould) {
  auto refuse = [](std::vector<TensorDeclaration> tensors, SafetensorsAlignment alignment, std::string_view rule) {
    auto plan = planSafetensors(std::move(tensors), alignment);
    ASSERT_FALSE(plan) << rule;
    EXPECT_NE(plan.error().rule.find(rule), std::string::npos) << plan.error().format();
  };
  const ElementFormat u8 = ElementFormat::U8;
  refuse({{"", u8, {1}}}, {}, "cannot have the name ''");
  refuse({{"__metadata__", u8, {1}}}, {}, "cannot have the name '__metadata__'");
  refuse({{"a\xFF", u8, {1}}}, {}, "cannot have the name 'a\\xFF'");
  refuse({{"padding.7", u8, {1}}}, {64, 64}, "cannot have the name 'padding.7'");
  EXPECT_TRUE(planSafetensors({{"padding.7", u8, {1}}}));
  refuse({{"a", u8, {1}}, {"a", u8, {2}}}, {}, "two tensors have the same name");
  refuse({{"a", ElementFormat::Q4_1, {32}}}, {}, "safetensors has no type for q4_1 elements");
  refuse({{"a", u8, {-1}}}, {}, "a shape with a negative length");
  refuse({{"a", u8, {INT64_MAX}}, {"b", u8, {INT64_MAX}}}, {}, "more than 2^62 bytes");
  refuse({{"a", u8, {1}}}, {48, 1}, "no powers of two");
  refuse({{"a", u8, {1}}}, {8, 64}, "aligned more than the data");
}

TEST(SafetensorsWriter, RefusesMetadataThatAReaderWould) {
  auto plan = planSafetensors({{"a", ElementFormat::U8, {1}}});
  EXPECT_EQ(safetensorsHeader(*plan, {{"k", "1"}, {"k", "2"}}).error().rule, "the metadata key 'k' is given twice");
  EXPECT_EQ(safetensorsHeader(*plan, {{"k", "\xFF"}}).error().rule, "the metadata of a safetensors file must be UTF-8");
  EXPECT_NE(safetensorsHeader(*plan, {{"k", std::string(100'000'000, 'x')}}).error().rule.find("readers take at most"),
            std::string::npos);
}

TEST(SafetensorsWriter, MisuseIsABugAndLeavesNothing) {
  TemporaryDirectory folder;
  {
    auto plan = planSafetensors({{"a", ElementFormat::U8, {4}}});
    auto writer = SafetensorsWriter::create(folder / "out", *plan, {});
    ASSERT_TRUE(writer) << writer.error().format();
    EXPECT_EQ(writer->append("b", bytesOf("1")).error().rule, "a tensor that was not declared was written");
    EXPECT_EQ(writer->append("a", bytesOf("12345")).error().rule, "expected 4 more bytes, but got 5");
    ASSERT_TRUE(writer->append("a", bytesOf("123")));
    Status status = writer->commit();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().rule, "expected 4 bytes, but 3 were written");
    EXPECT_EQ(status.error().errorClass, ErrorClass::Bug);
  }
  EXPECT_EQ(folder.count(), 0u);
}

} // namespace
} // namespace qopt
