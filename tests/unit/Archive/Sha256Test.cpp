// SHA-256 against the examples of FIPS 180-4 and RFC 6234, and its two implementations against each other.
#include "lib/Archive/Sha256.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <random>

namespace qopt {
namespace {

using test::bytesOf;

class Sha256Test : public testing::TestWithParam<Sha256Code> {
protected:
  static std::string hash(std::string_view text, size_t piece = SIZE_MAX) {
    Sha256 sha(GetParam());
    for (std::span<const std::byte> rest = bytesOf(text); !rest.empty();
         rest = rest.subspan(std::min(piece, rest.size())))
      sha.update(rest.first(std::min(piece, rest.size())));
    return toString(sha.finish());
  }
};

TEST_P(Sha256Test, KnownDigests) {
  EXPECT_EQ(hash(""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1'000'000, 'a')),
            "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_P(Sha256Test, PiecesDoNotMatter) {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += static_cast<char>(i * 7);
  for (size_t piece : {1, 3, 55, 56, 63, 64, 65, 127, 128, 200})
    EXPECT_EQ(hash(text, piece), hash(text)) << piece;
}

INSTANTIATE_TEST_SUITE_P(Codes, Sha256Test, testing::Values(Sha256Code::Best, Sha256Code::Portable));

TEST(Sha256Codes, AgreeOnEveryLength) {
  if (!sha256HasInstructions())
    GTEST_SKIP() << "this CPU has no SHA instructions";
  std::mt19937 random(1);
  for (size_t length = 0; length < 300; ++length) {
    std::string text(length, '\0');
    for (char &byte : text)
      byte = static_cast<char>(random());
    Sha256 portable(Sha256Code::Portable);
    portable.update(bytesOf(text));
    EXPECT_EQ(toString(sha256(bytesOf(text))), toString(portable.finish())) << length;
  }
}

} // namespace
} // namespace qopt
