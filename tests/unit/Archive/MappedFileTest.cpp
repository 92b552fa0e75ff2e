// Mapping: contents, lifetime through moves, and what is not a regular file.
#include "lib/Archive/MappedFile.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <sys/stat.h>

namespace qopt {
namespace {

std::string text(const MappedFile &file) {
  return {reinterpret_cast<const char *>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, HasTheContents) {
  test::TemporaryDirectory folder;
  auto file = MappedFile::open(folder.write("a", "hello"));
  ASSERT_TRUE(file) << file.error().format();
  EXPECT_EQ(file->size(), 5u);
  EXPECT_EQ(file->path(), folder / "a");
  MappedFile moved = std::move(*file);
  EXPECT_EQ(text(moved), "hello");
  EXPECT_EQ(file->size(), 0u);
  auto other = MappedFile::open(folder.write("b", "other"));
  moved = std::move(*other);
  EXPECT_EQ(text(moved), "other");
}

TEST(MappedFile, EmptyFile) {
  test::TemporaryDirectory folder;
  auto file = MappedFile::open(folder.write("a", ""));
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, DroppedPagesComeBack) {
  test::TemporaryDirectory folder;
  std::string contents(3 * 65536 + 5, 'x');
  auto file = MappedFile::open(folder.write("a", contents));
  ASSERT_TRUE(file);
  for (size_t begin : {0, 1, 4096, 70000})
    file->drop(file->bytes().subspan(begin));
  file->drop(file->bytes().first(0));
  EXPECT_EQ(text(*file), contents);
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  test::TemporaryDirectory folder;
  auto refuse = [](const std::string &path, ErrorClass errorClass, std::string_view rule) {
    auto file = MappedFile::open(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().errorClass, errorClass);
    EXPECT_EQ(file.error().rule, rule);
    EXPECT_EQ(file.error().where, path);
    EXPECT_EQ(file.error().outcome, "nothing was read");
    EXPECT_FALSE(file.error().next.empty());
  };
  refuse(folder / "missing", ErrorClass::BadInput, "cannot read the file: No such file or directory");
  refuse(folder / ".", ErrorClass::BadInput, "expected a regular file, but got a directory");
  refuse("/dev/zero", ErrorClass::BadInput, "expected a regular file, but got a device");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  refuse(folder / "pipe", ErrorClass::BadInput, "expected a regular file, but got a pipe"); // and does not wait
}

} // namespace
} // namespace qopt
