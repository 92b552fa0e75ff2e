// Checksums per MiB: the published value of XXH3, and streams against whole buffers.
#include "lib/Archive/Checksum.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

namespace qopt {
namespace {

using test::bytesOf;

std::string pattern(size_t length) {
  std::string text(length, '\0');
  for (size_t i = 0; i < length; ++i)
    text[i] = static_cast<char>(i * 2654435761u >> 13);
  return text;
}

TEST(Checksum, IsXxh3) {
  EXPECT_EQ(checksum({}), 0x2D06800538D394C2u); // the value of xxHash's own test for no bytes and seed 0
}

TEST(Checksum, OnePerMebibyte) {
  EXPECT_EQ(checksumCount(0), 0u);
  EXPECT_EQ(checksumCount(1), 1u);
  EXPECT_EQ(checksumCount(checksumChunkBytes), 1u);
  EXPECT_EQ(checksumCount(checksumChunkBytes + 1), 2u);
  EXPECT_EQ(checksumCount(UINT64_MAX), UINT64_MAX / checksumChunkBytes + 1);

  std::string text = pattern(2 * checksumChunkBytes + 17);
  std::vector<uint64_t> values = checksums(bytesOf(text));
  ASSERT_EQ(values.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(values[i], checksum(bytesOf(text.substr(i * checksumChunkBytes, checksumChunkBytes))));
}

TEST(Checksum, OneChangedByteChangesItsMebibyteAlone) {
  std::string text = pattern(3 * checksumChunkBytes);
  std::vector<uint64_t> before = checksums(bytesOf(text));
  text[checksumChunkBytes + 5] ^= 1;
  std::vector<uint64_t> after = checksums(bytesOf(text));
  EXPECT_EQ(before[0], after[0]);
  EXPECT_NE(before[1], after[1]);
  EXPECT_EQ(before[2], after[2]);
}

TEST(Checksum, StreamsAgree) {
  for (size_t length : {size_t{0}, size_t{1}, size_t{checksumChunkBytes}, size_t{2 * checksumChunkBytes + 17}})
    for (size_t piece : {size_t{1000}, size_t{checksumChunkBytes - 1}, size_t{3 * checksumChunkBytes}}) {
      std::string text = pattern(length);
      ChecksumStream stream;
      for (size_t at = 0; at < length; at += piece)
        stream.update(bytesOf(std::string_view(text).substr(at, piece)));
      EXPECT_EQ(stream.finish(), checksums(bytesOf(text))) << length << " in pieces of " << piece;
    }
}

} // namespace
} // namespace qopt
