// Every way we know to break an archive, with the message that each one gets.
#include "lib/Archive/Archive.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <chrono>

namespace qopt {
namespace {

using test::described;
using test::GgufBuilder;
using test::raw;
using test::safetensors;

struct Malformed {
  std::string name;
  std::string bytes;
  std::string rule;  ///< a part of the message's rule
  std::string where; ///< the message's place, after the path
};

void PrintTo(const Malformed &malformed, std::ostream *out) { *out << malformed.name; }

/// A file whose header holds one description.
std::string one(const std::string &description, size_t dataBytes) {
  return safetensors("{" + description + "}", std::string(dataBytes, '\0'));
}

std::vector<Malformed> malformedSafetensors() {
  std::string nested = "{\"a\":";
  for (int i = 0; i < 100'000; ++i)
    nested += '[';
  const std::string a = described("a", "F32", "[2]", "[0,8]");
  return {
      {"EmptyFile", "", "too short for a safetensors or GGUF file: 0 bytes", "byte 0"},
      {"CutInLength", "\x10\0\0", "too short", "byte 0"},
      {"CutBeforeHeader", raw(uint64_t{40}), "the file ends inside the header, which should have 40 bytes, but has 0",
       "byte 8"},
      {"CutInHeader", safetensors("{" + a + "}").substr(0, 30), "the file ends inside the header", "byte 30"},
      {"CutInData", one(a, 7), "goes past the end of the file, which has 7 bytes", "tensor 'a'"},
      {"LengthOverflows", raw(UINT64_MAX) + "{}", "a header of 18446744073709551615 bytes", "byte 0"},
      {"LengthAbsurd", raw(uint64_t{1} << 40) + "{}", "a header of 1099511627776 bytes", "byte 0"},
      {"NotAnArchive", "hello, world: this is some text", "neither a safetensors nor a GGUF file", "byte 0"},
      {"ZipFile", std::string("PK\x03\x04") + std::string(40, 'x'), "but got a pickled PyTorch checkpoint", "byte 0"},
      {"Pickle", std::string("\x80\x02") + "}q\x01" + std::string(40, 'x'), "but got a pickled PyTorch checkpoint",
       "byte 0"},
      {"LfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00", "but got a Git LFS pointer",
       "byte 0"},
      {"WebPage", "<!DOCTYPE html><html></html>", "but got a web page", "byte 0"},
      {"NoJson", safetensors("{\"a\":"), "not valid JSON", "header (from byte 8): byte 5"},
      {"TextAfterJson", safetensors("{} {}"), "not valid JSON", "header (from byte 8): byte 3"},
      {"DeepJson", safetensors(nested), "nested deeper than 4 levels", "header (from byte 8): byte 8"},
      {"DuplicateName", one(a + "," + a, 16), "the key 'a' is given twice", "header (from byte 8): byte 56"},
      {"DuplicateDtype", one(R"("a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]})", 1),
       "the key 'dtype' is given twice", "header (from byte 8): byte 25"},
      {"NameNotUtf8", one(described("a\xC0", "F32", "[2]", "[0,8]"), 8), "ill-formed UTF-8",
       "header (from byte 8): byte 3"},
      {"TensorNoObject", safetensors(R"({"a":[1]})"),
       "expected an object with dtype, shape and data_offsets, but got array", "header: tensor 'a'"},
      {"NoShape", one(R"("a":{"dtype":"U8","data_offsets":[0,1]})", 1), "the description has no shape",
       "header: tensor 'a'"},
      {"UnknownMember", one(R"("a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"stride":1})", 1),
       "expected dtype, shape and data_offsets, but got the key 'stride'", "header: tensor 'a'"},
      {"UnknownDtype", one(described("a", "F8_E4M3", "[2]", "[0,2]"), 2),
       "elements of type 'F8_E4M3' are not read; F32, F16, BF16", "header: tensor 'a'"},
      {"DtypeNoString", one(R"("a":{"dtype":4,"shape":[],"data_offsets":[0,1]})", 1),
       "expected dtype to be a string, but got number", "header: tensor 'a'"},
      {"NegativeAxis", one(described("a", "U8", "[-1]", "[0,1]"), 1), "integers from 0 to 2^63 - 1, but got -1",
       "header: tensor 'a'"},
      {"FractionalAxis", one(described("a", "U8", "[1.5]", "[0,1]"), 1), "integers from 0 to 2^63 - 1, but got 1.5",
       "header: tensor 'a'"},
      {"HugeAxis", one(described("a", "U8", "[99999999999999999999]", "[0,1]"), 1), "integers from 0 to 2^63 - 1",
       "header: tensor 'a'"},
      {"ShapeOverflows", one(described("a", "U8", "[4294967296,4294967296]", "[0,0]"), 0),
       "the shape has more than 2^63 - 1 elements", "header: tensor 'a'"},
      {"ShapeOverflowsWithZero", one(described("a", "U8", "[4294967296,4294967296,0]", "[0,0]"), 0),
       "the shape has more than 2^63 - 1 elements", "header: tensor 'a'"},
      {"BytesOverflow", one(described("a", "F64", "[4611686018427387904]", "[0,0]"), 0),
       "the tensor has more than 2^64 - 1 bytes", "header: tensor 'a'"},
      {"OffsetsReversed", one(described("a", "F32", "[2]", "[8,0]"), 8), "0 <= begin <= end, but got [8,0]",
       "header: tensor 'a'"},
      {"OffsetsThree", one(described("a", "F32", "[2]", "[0,4,8]"), 8), "but got [0,4,8]", "header: tensor 'a'"},
      {"OffsetsOverflow", one(described("a", "F32", "[2]", "[18446744073709551608,18446744073709551615]"), 8),
       "0 <= begin <= end", "header: tensor 'a'"},
      {"SizeDisagrees", one(described("a", "F32", "[3]", "[0,8]"), 8),
       "dtype and shape (f32 [3]) take 12 bytes, but data_offsets span 8", "header: tensor 'a'"},
      {"Overlap", one(a + "," + described("b", "F32", "[2]", "[4,12]"), 12),
       "overlaps that of tensor 'a', which ends at 8", "tensor 'b'"},
      {"SameRange", one(a + "," + described("b", "F32", "[2]", "[0,8]"), 8), "overlaps that of tensor 'a'",
       "tensor 'b'"},
      {"Hole", one(a + "," + described("b", "U8", "[1]", "[9,10]"), 10),
       "expected the data to follow the tensor before it, which ends at 8, but got 1 bytes at 9", "tensor 'b'"},
      {"HoleAtStart", one(described("b", "U8", "[1]", "[1,2]"), 2), "which ends at 0, but got 1 bytes at 1",
       "tensor 'b'"},
      {"PastTheEnd", one(described("a", "U8", "[1]", "[9223372036854775806,9223372036854775807]"), 8),
       "goes past the end of the file", "tensor 'a'"},
      {"DataAfterLast", one(a, 11), "the file goes on for 3 bytes after its last tensor", "byte 70"},
      {"MetadataNoObject", safetensors(R"({"__metadata__":[]})"),
       "expected __metadata__ to be an object, but got array", "header"},
      {"MetadataNoString", safetensors(R"({"__metadata__":{"k":1}})"), "to be strings, but got number for 'k'",
       "header"},
      {"NameWithEscapes", one(described("\\u001b[2J", "F8", "[2]", "[0,8]"), 8), "elements of type 'F8'",
       "header: tensor '\\x1B[2J'"},
  };
}

/// A file with the pair and tensor that most cases need, to be changed.
GgufBuilder plain() {
  GgufBuilder file;
  file.pair("general.name", GgufType::String, GgufBuilder::string("x"));
  return file;
}

std::string with(GgufBuilder file, std::string data = {}) {
  file.data = std::move(data);
  return file.bytes();
}

std::string claiming(std::optional<uint64_t> tensors, std::optional<uint64_t> pairs) {
  GgufBuilder file = plain();
  file.claimedTensors = tensors;
  file.claimedPairs = pairs;
  return file.bytes();
}

std::string ofVersion(uint32_t version) {
  GgufBuilder file = plain();
  file.version = version;
  return file.bytes();
}

std::string array(uint32_t type, uint64_t count, const std::string &elements = {}) {
  return raw(type) + raw(count) + elements;
}

std::vector<Malformed> malformedGguf() {
  const std::string name = "metadata pair 1 ('k')";
  const std::string t = "tensor description 0: tensor 't'";
  GgufBuilder ragged = plain();
  ragged.tensor("t", {4}, 0, 0);
  const uint64_t headerBytes = ragged.header().size();
  auto valued = [&](uint32_t type, const std::string &value) { return plain().pair("k", type, value).header(); };
  auto aligned = [&](GgufType type, const std::string &value) {
    return plain().pair("general.alignment", type, value).bytes();
  };
  return {
      {"CutInMagic", "GGUF", "the file ends inside the version", "byte 4"},
      {"CutInCounts", ofVersion(3).substr(0, 20), "the file ends inside the metadata count", "byte 16"},
      {"CutInKey", plain().header().substr(0, 40),
       "the file ends inside a metadata key, which takes 12 bytes where 8 are left", "metadata pair 0: byte 32"},
      {"CutInValue", plain().header().substr(0, plain().header().size() - 1), "the file ends inside a metadata value",
       "metadata pair 0 ('general.name'): byte 56"},
      {"CutInTensor", ragged.header().substr(0, headerBytes - 1), "the file ends inside a tensor's offset", t},
      {"CutBeforeData", ragged.header(), "the file ends before its data section, which begins at byte 96", "byte 90"},
      {"CutInData", with(ragged, std::string(15, 'x')), "goes past the end of the file, which has 15 bytes",
       "tensor 't'"},
      {"ByteSwappedMagic", "FUGG" + ofVersion(3).substr(4), "byte-swapped GGUF file (big-endian)", "byte 0"},
      {"OldGgml", "lmgg" + ofVersion(3).substr(4), "a GGML file from before GGUF", "byte 0"},
      {"BigEndian", ofVersion(0x03000000), "a big-endian GGUF file (version 3)", "byte 8"},
      {"Version1", ofVersion(1), "GGUF version 1; only version 3 is read", "byte 8"},
      {"Version2", ofVersion(2), "GGUF version 2; only version 3 is read", "byte 8"},
      {"Version4", ofVersion(4), "GGUF version 4; only version 3 is read", "byte 8"},
      {"PairsAbsurd", claiming({}, UINT64_MAX), "the file claims 18446744073709551615 metadata pairs", "byte 24"},
      {"TensorsAbsurd", claiming(uint64_t{1} << 60, {}), "the file claims 1152921504606846976 tensors", "byte 24"},
      {"TensorsTooMany", claiming(2, {}), "the file claims 2 tensors", "byte 24"},
      {"KeyLengthAbsurd",
       "GGUF" + raw(3u) + raw(uint64_t{0}) + raw(uint64_t{1}) + raw(UINT64_MAX) + std::string(64, 'k'),
       "the file ends inside a metadata key, which takes 18446744073709551615 bytes", "metadata pair 0: byte 32"},
      {"KeyEmpty", plain().pair("", GgufType::Uint32, raw(1u)).bytes(), "a metadata key is empty", "metadata pair 1"},
      {"KeyTooLong", plain().pair(std::string(70'000, 'k'), GgufType::Uint8, raw(uint8_t{1})).bytes(),
       "a metadata key has 70000 bytes, where at most 65535 are read", "metadata pair 1"},
      {"KeyNotUtf8", plain().pair("k\xFF", GgufType::Uint32, raw(1u)).bytes(), "a metadata key 'k\\xFF' is not UTF-8",
       "metadata pair 1"},
      {"KeyTwice", plain().pair("general.name", GgufType::Uint32, raw(1u)).bytes(),
       "the metadata key 'general.name' is given twice", "metadata"},
      {"ValueTypeUnknown", valued(13, raw(uint64_t{1})), "unknown metadata value type 13", name},
      {"StringLengthAbsurd", valued(8, raw(UINT64_MAX - 7)), "which takes 18446744073709551608 bytes", name},
      {"BoolOutOfRange", valued(7, "\2"), "expected a boolean to be 0 or 1, but got 2", name},
      {"ArrayTypeUnknown", valued(9, array(99, 1)), "unknown metadata value type 99", name},
      {"ArrayOfArrays", valued(9, array(9, 1, array(0, 1, "x"))), "an array of arrays, which is not read", name},
      {"ArrayAbsurd", valued(9, array(10, UINT64_MAX / 8 + 2)), "the file claims 2305843009213693953 elements", name},
      {"StringsAbsurd", valued(9, array(8, uint64_t{1} << 61, raw(uint64_t{0}))), "strings in an array", name},
      {"StringInArrayCut", valued(9, array(8, 2, GgufBuilder::string("a") + raw(uint64_t{5}) + "abcd")),
       "the file ends inside a string in an array, which takes 5 bytes where 4 are left", name},
      {"BoolArray", valued(9, array(7, 2, "\1\2")), "expected the booleans of an array to be 0 or 1", name},
      {"AlignmentNotPower", aligned(GgufType::Uint32, raw(48u)), "to be a power of two, but got 48", "metadata"},
      {"AlignmentZero", aligned(GgufType::Uint32, raw(0u)), "to be a power of two, but got 0", "metadata"},
      {"AlignmentType", aligned(GgufType::String, GgufBuilder::string("32")),
       "to be a uint32, but got a value of type string", "metadata"},
      {"NameEmpty", with(plain().tensor("", {4}, 0, 0)), "a tensor's name is empty", "tensor description 0"},
      {"NameNotUtf8", with(plain().tensor("t\xED\xA0\x80", {4}, 0, 0)), "is not UTF-8", "tensor description 0"},
      {"NameTwice", with(plain().tensor("t", {4}, 0, 0).tensor("t", {4}, 0, 32), std::string(48, 'x')),
       "two tensors have the same name", "tensor 't'"},
      {"TooManyAxes", with(plain().tensor("t", {1, 1, 1, 1, 1}, 0, 0)), "a tensor of 5 axes, where at most 4", t},
      {"AxesAbsurd",
       plain().header().replace(8, 1, "\1") + GgufBuilder::string("t") + raw(UINT32_MAX) + std::string(32, '\0'),
       "a tensor of 4294967295 axes", t},
      {"AxisTooLong", with(plain().tensor("t", {uint64_t{1} << 63}, 24, 0)), "an axis of 9223372036854775808 elements",
       t},
      {"ShapeOverflows", with(plain().tensor("t", {uint64_t{1} << 32, uint64_t{1} << 32}, 24, 0)),
       "the shape has more than 2^63 - 1 elements", t},
      {"BytesOverflow", with(plain().tensor("t", {uint64_t{1} << 62}, 0, 0)), "the tensor has more than 2^64 - 1 bytes",
       t},
      {"PartialBlock", with(plain().tensor("t", {48, 2}, 3, 0)),
       "expected the innermost axis to be a multiple of 32, the q4_1 block, but got 48", t},
      {"TypeNotRead", with(plain().tensor("t", {256}, 12, 0)), "elements of GGUF type 12 Q4_K are not read", t},
      {"TypeRemoved", with(plain().tensor("t", {256}, 4, 0)),
       "elements of GGUF type 4 Q4_2 (removed from GGML) are not read", t},
      {"TypeUnknown", with(plain().tensor("t", {256}, 1000, 0)), "elements of GGUF type 1000 are not read", t},
      {"OffsetUnaligned", with(plain().tensor("t", {4}, 0, 4), std::string(64, 'x')),
       "expected the data to begin at a multiple of 32, but got 16 bytes at 4", "tensor 't'"},
      {"OffsetAbsurd", with(plain().tensor("t", {4}, 0, UINT64_MAX - 31), std::string(64, 'x')),
       "goes past the end of the file", "tensor 't'"},
      {"Overlap", with(plain().tensor("t", {16}, 0, 0).tensor("u", {4}, 0, 32), std::string(64, 'x')),
       "overlaps that of tensor 't', which ends at 64", "tensor 'u'"},
      {"Hole", with(plain().tensor("t", {4}, 0, 0).tensor("u", {4}, 0, 64), std::string(80, 'x')),
       "expected the data to follow the tensor before it, which ends at 16, but got 16 bytes at 64", "tensor 'u'"},
      {"DataAfterLast", with(plain().tensor("t", {4}, 0, 0), std::string(64, 'x')),
       "the file goes on for 48 bytes after its last tensor", "byte 112"},
  };
}

/// Bytes of memory that this process holds at most, so far.
uint64_t peakMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:"))
      return std::stoull(line.substr(6)) * 1024;
  return 0;
}

class MalformedTest : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedTest, IsRefusedWithItsMessage) {
  test::TemporaryDirectory folder;
  std::string path = folder.write("model", GetParam().bytes);
  uint64_t memoryBefore = peakMemory();
  auto start = std::chrono::steady_clock::now();
  auto archive = Archive::open(path);
  auto took = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(archive);
  const Error &error = archive.error();
  EXPECT_EQ(error.errorClass, ErrorClass::BadInput);
  EXPECT_NE(error.rule.find(GetParam().rule), std::string::npos) << error.format();
  EXPECT_TRUE(error.where.starts_with(path + ": " + GetParam().where)) << error.format();
  EXPECT_EQ(error.outcome, "nothing was read from the file");
  EXPECT_FALSE(error.next.empty());
  EXPECT_LT(took, std::chrono::milliseconds(100));
  EXPECT_LT(peakMemory() - memoryBefore, uint64_t{64} << 20);
}

std::string nameOf(const testing::TestParamInfo<Malformed> &info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Safetensors, MalformedTest, testing::ValuesIn(malformedSafetensors()), nameOf);
INSTANTIATE_TEST_SUITE_P(Gguf, MalformedTest, testing::ValuesIn(malformedGguf()), nameOf);

} // namespace
} // namespace qopt
