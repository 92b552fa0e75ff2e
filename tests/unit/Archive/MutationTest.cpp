// Damages small well-formed files in every way that is one step long: each prefix, and each byte set to telling values.
// The reader must refuse or give entries that lie inside the file. Sanitizers make this test sharp.
#include "lib/Archive/Archive.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <algorithm>

namespace qopt {
namespace {

using test::GgufBuilder;
using test::raw;

std::string wellFormedSafetensors() {
  return test::safetensors("{\"__metadata__\":{\"k\":\"v\"}," + test::described("a", "F32", "[2,3]", "[0,24]") + "," +
                               test::described("b", "I8", "[4]", "[24,28]") + "}  ",
                           std::string(28, 'd'));
}

std::string wellFormedGguf() {
  GgufBuilder file;
  file.pair("general.alignment", GgufType::Uint32, raw(32u))
      .pair("tokens", GgufType::Array,
            raw(static_cast<uint32_t>(GgufType::String)) + raw(uint64_t{2}) + GgufBuilder::string("a") +
                GgufBuilder::string("bc"))
      .pair("scores", GgufType::Array,
            raw(static_cast<uint32_t>(GgufType::Float32)) + raw(uint64_t{2}) + raw(1.0f) + raw(2.0f));
  file.tensor("t", {32, 2}, 2, 0).tensor("u", {4}, 0, 64);
  file.data = std::string(80, 'd');
  return file.bytes();
}

/// True if `bytes` was read, having looked at all that the header promises. A copy without slack lets
/// AddressSanitizer see any read past the end.
bool readAll(std::string_view bytes) {
  std::vector<char> exact(bytes.begin(), bytes.end());
  auto header = readArchiveHeader(std::as_bytes(std::span(exact)));
  if (!header) {
    EXPECT_FALSE(header.error().rule.empty());
    return false;
  }
  for (const TensorEntry &entry : header->tensors) {
    EXPECT_GE(entry.offset, header->bytes);
    EXPECT_LE(entry.offset, exact.size());
    EXPECT_LE(entry.bytes, exact.size() - entry.offset);
  }
  size_t letters = 0;
  for (const auto &[key, value] : header->gguf.pairs()) {
    if (auto text = value.string())
      letters += static_cast<size_t>(std::ranges::count(*text, 'a'));
    if (const GgufArray *array = value.array()) {
      for (std::string_view text : array->strings())
        letters += static_cast<size_t>(std::ranges::count(text, 'a'));
      if (auto numbers = array->numbers())
        letters += numbers->size();
    }
  }
  EXPECT_LE(letters, exact.size());
  return true;
}

TEST(Mutation, NoPrefixIsRead) {
  for (const std::string &file : {wellFormedSafetensors(), wellFormedGguf()}) {
    ASSERT_TRUE(readAll(file));
    for (size_t length = 0; length < file.size(); ++length)
      EXPECT_FALSE(readAll(std::string_view(file).substr(0, length))) << length;
  }
}

TEST(Mutation, NoByteBreaksTheReader) {
  for (const std::string &file : {wellFormedSafetensors(), wellFormedGguf()}) {
    size_t refused = 0;
    for (size_t at = 0; at < file.size(); ++at)
      for (int value : {0x00, 0x01, 0x7F, 0x80, 0xFF, static_cast<uint8_t>(file[at]) + 1, file[at] ^ 0x20}) {
        std::string damaged = file;
        damaged[at] = static_cast<char>(value);
        refused += !readAll(damaged);
      }
    EXPECT_GT(refused, file.size()); // most bytes of so small a file matter
  }
}

} // namespace
} // namespace qopt
