// A file under its name is complete or not there: after success, failure, a full disk, an interrupt, and a kill.
#include "lib/Archive/OutputFile.h"
#include "lib/Archive/SafetensorsWriter.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <csignal>
#include <fcntl.h>
#include <functional>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace qopt {
namespace {

using test::bytesOf;
using test::TemporaryDirectory;

/// Runs `body` in a child and returns how the child ended (as waitpid says it). `body`'s result is the exit code.
int inChild(const std::function<int()> &body) {
  pid_t child = ::fork();
  if (child == 0)
    ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(OutputFile, AppearsAtCommit) {
  TemporaryDirectory folder;
  auto file = OutputFile::create(folder / "out");
  ASSERT_TRUE(file) << file.error().format();
  EXPECT_TRUE(file->isRegular());
  ASSERT_TRUE(file->append("hello "));
  ASSERT_TRUE(file->append("world"));
  EXPECT_EQ(file->position(), 11u);
  ASSERT_TRUE(file->writeAt(0, bytesOf("J")));
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(TemporaryDirectory::read(folder / "out"), "Jello world");
  EXPECT_EQ(folder.count(), 1u);
  EXPECT_EQ(file->append("x").error().errorClass, ErrorClass::Bug);
  EXPECT_EQ(file->commit().error().errorClass, ErrorClass::Bug);
  EXPECT_EQ(TemporaryDirectory::read(folder / "out"), "Jello world");
}

TEST(OutputFile, UnwrittenBytesOfAKnownSizeAreZero) {
  TemporaryDirectory folder;
  auto file = OutputFile::create(folder / "out", 8);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->writeAt(4, bytesOf("ab")));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(TemporaryDirectory::read(folder / "out"), std::string("\0\0\0\0ab\0\0", 8));
}

TEST(OutputFile, WithoutCommitNothingIsLeftAndTheOldFileStays) {
  TemporaryDirectory folder;
  folder.write("out", "old");
  {
    auto file = OutputFile::create(folder / "out");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->append("new"));
    EXPECT_EQ(folder.count(), 2u);
  }
  EXPECT_EQ(folder.count(), 1u);
  auto file = OutputFile::create(folder / "out");
  ASSERT_TRUE(file);
  file->abandon();
  EXPECT_EQ(folder.count(), 1u);
  EXPECT_EQ(TemporaryDirectory::read(folder / "out"), "old");
}

TEST(OutputFile, ReplacesWhatALinkNamesAndKeepsPermissions) {
  TemporaryDirectory folder;
  folder.write("target", "old");
  ASSERT_EQ(::chmod((folder / "target").c_str(), 0640), 0);
  std::filesystem::create_symlink("target", folder / "link");
  auto file = OutputFile::create(folder / "link");
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->append("new"));
  ASSERT_TRUE(file->commit());
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(TemporaryDirectory::read(folder / "target"), "new");
  struct stat status;
  ASSERT_EQ(::stat((folder / "target").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0640u);
}

TEST(OutputFile, MakesWhatADanglingLinkNames) {
  TemporaryDirectory folder;
  std::filesystem::create_directory(folder / "sub");
  std::filesystem::create_symlink("sub/second", folder / "first");
  std::filesystem::create_symlink("target", folder / "sub/second"); // relative to where this link lies
  std::filesystem::create_symlink(folder / "sub/other", folder / "absolute");
  for (const char *link : {"first", "absolute"}) {
    auto file = OutputFile::create(folder / link);
    ASSERT_TRUE(file) << file.error().format();
    ASSERT_TRUE(file->append(link));
    ASSERT_TRUE(file->commit());
    EXPECT_TRUE(std::filesystem::is_symlink(folder / link));
  }
  EXPECT_EQ(TemporaryDirectory::read(folder / "sub/target"), "first");
  EXPECT_EQ(TemporaryDirectory::read(folder / "sub/other"), "absolute");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "sub/second"));
}

TEST(OutputFile, ARelativeNameGoesToTheWorkingDirectoryOfItsTime) {
  TemporaryDirectory folder;
  int ended = inChild([&] {
    std::filesystem::current_path(folder / ".");
    auto file = OutputFile::create("out");
    if (!file || !file->append("x"))
      return 1;
    std::filesystem::current_path("/");
    return file->commit() ? 0 : 2;
  });
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0) << ended;
  EXPECT_EQ(TemporaryDirectory::read(folder / "out"), "x");
}

TEST(OutputFile, SaysWhyItCannotStart) {
  TemporaryDirectory folder;
  auto refuse = [](const std::string &path, std::string_view rule) {
    auto file = OutputFile::create(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().errorClass, ErrorClass::Usage);
    EXPECT_EQ(file.error().rule, rule);
    EXPECT_EQ(file.error().where, path);
    EXPECT_FALSE(file.error().outcome.empty());
    EXPECT_FALSE(file.error().next.empty());
  };
  refuse(folder / "none/out", "cannot open the output's directory: No such file or directory");
  refuse(folder / ".", "cannot write the output: Is a directory");
  refuse("", "cannot write the output: No such file or directory");
  EXPECT_EQ(folder.count(), 0u);
  std::filesystem::create_symlink("circle", folder / "circle");
  refuse(folder / "circle", "cannot write the output: Too many levels of symbolic links");
  std::filesystem::create_symlink("none/out", folder / "nowhere");
  refuse(folder / "nowhere", "cannot open the output's directory: No such file or directory");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "circle") && std::filesystem::is_symlink(folder / "nowhere"));
}

TEST(OutputFile, AFullDeviceIsAnError) {
  auto file = OutputFile::create("/dev/full");
  ASSERT_TRUE(file) << file.error().format();
  EXPECT_FALSE(file->isRegular());
  Status status = file->append("hello");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().errorClass, ErrorClass::Resource);
  EXPECT_EQ(status.error().rule, "cannot write the output: No space left on device");
  EXPECT_EQ(status.error().where, "/dev/full");
  EXPECT_EQ(status.error().outcome, "the output is incomplete");
  EXPECT_NE(status.error().next.find("free some space"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists("/dev/full"));
}

TEST(OutputFile, DevicesAreWrittenInOrder) {
  auto file = OutputFile::create("/dev/null", 100);
  ASSERT_TRUE(file) << file.error().format();
  ASSERT_TRUE(file->append("hello"));
  EXPECT_EQ(file->position(), 5u);
  EXPECT_FALSE(file->writeAt(0, bytesOf("x")));
  EXPECT_TRUE(std::filesystem::exists("/dev/null"));
}

/// In a child that may write `limit` bytes per file: writes 1 MiB to `path`, its size known up front or not. Exit code
/// 0 if that failed as it should, with nothing but `path`'s old contents left.
int withLittleSpace(const TemporaryDirectory &folder, std::optional<uint64_t> size) {
  return inChild([&] {
    installInterruptCleanup();
    rlimit limit{65536, 65536};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto file = OutputFile::create(folder / "out", size);
    if (!file)
      return size && file.error().errorClass == ErrorClass::Resource &&
                     file.error().rule == "cannot allocate the output's space: File too large"
                 ? 0
                 : 1;
    if (size)
      return 2;
    for (int i = 0; i < 256; ++i)
      if (Status status = file->append(std::string(4096, 'x')); !status) {
        if (i < 16 || status.error().rule != "cannot write the output: File too large")
          return 3;
        return folder.count() == 1 ? 0 : 4; // the temporary file goes at once, not with the object
      }
    return 5;
  });
}

TEST(OutputFile, AFileSystemWithoutSpaceLeavesTheOldFile) {
  TemporaryDirectory folder;
  folder.write("out", "old");
  for (std::optional<uint64_t> size : {std::optional<uint64_t>(), std::optional<uint64_t>(1 << 20)}) {
    int ended = withLittleSpace(folder, size);
    EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0) << ended;
    EXPECT_EQ(folder.count(), 1u);
    EXPECT_EQ(TemporaryDirectory::read(folder / "out"), "old");
  }
}

TEST(OutputFile, AWriterWithoutSpaceLeavesNothing) {
  TemporaryDirectory folder;
  int ended = inChild([&] {
    installInterruptCleanup();
    rlimit limit{65536, 65536};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto plan = planSafetensors({{"a", ElementFormat::U8, {1 << 20}}});
    auto writer = SafetensorsWriter::create(folder / "out", *plan, {});
    return !writer && writer.error().errorClass == ErrorClass::Resource ? 0 : 1;
  });
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0) << ended;
  EXPECT_EQ(folder.count(), 0u);
}

/// In a child: writes all of `path`, then meets `signal` instead of committing.
int interruptedBy(int signal, const std::string &path, bool cleanup) {
  return inChild([&] {
    if (cleanup)
      installInterruptCleanup();
    auto plan = planSafetensors({{"a", ElementFormat::U8, {4}}});
    auto writer = SafetensorsWriter::create(path, *plan, {});
    if (!writer || !writer->append("a", bytesOf("1234")))
      return 1;
    ::raise(signal);
    return 2; // not reached
  });
}

TEST(OutputFile, AnInterruptRemovesTheTemporaryFile) {
  TemporaryDirectory folder;
  folder.write("out", "old");
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    int ended = interruptedBy(signal, folder / "out", true);
    EXPECT_TRUE(WIFSIGNALED(ended) && WTERMSIG(ended) == signal) << ended; // still dies by the signal
    EXPECT_EQ(folder.count(), 1u);
    EXPECT_EQ(TemporaryDirectory::read(folder / "out"), "old");
  }
}

TEST(OutputFile, AKillLeavesNothingUnderTheFinalName) {
  TemporaryDirectory folder;
  int ended = interruptedBy(SIGKILL, folder / "out", true);
  EXPECT_TRUE(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL) << ended;
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  EXPECT_EQ(folder.count(), 1u); // the temporary file, which nothing could remove
}

TEST(OutputFile, CleanupLeavesIgnoredSignalsAndOtherHandlersAlone) {
  int ended = inChild([] {
    auto other = [](int) {};
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGTERM, other);
    installInterruptCleanup();
    return ::signal(SIGHUP, SIG_DFL) == SIG_IGN && ::signal(SIGTERM, SIG_DFL) == +other ? 0 : 1;
  });
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0) << ended;
}

TEST(OutputFile, AForkedChildLeavesItsParentsFileAlone) {
  TemporaryDirectory folder;
  auto file = OutputFile::create(folder / "out");
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->append("x"));
  inChild([] {
    removeTemporaryFiles();
    return 0;
  });
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(TemporaryDirectory::read(folder / "out"), "x");
}

/// A set of two files in a folder that it makes, published; the second writes over an old one.
struct PublishedSet {
  explicit PublishedSet(const TemporaryDirectory &folder) {
    EXPECT_TRUE(set.makeFolder(folder / "new"));
    for (const std::string &path : {folder / "new/a", folder / "b"}) {
      auto file = OutputFile::create(path);
      EXPECT_TRUE(file && file->append("new") && set.add(std::move(*file)));
    }
  }
  OutputSet set;
};

TEST(OutputSet, FilesAppearTogether) {
  TemporaryDirectory folder;
  folder.write("b", "old");
  PublishedSet files(folder);
  EXPECT_FALSE(std::filesystem::exists(folder / "new/a"));
  EXPECT_EQ(TemporaryDirectory::read(folder / "b"), "old");
  ASSERT_TRUE(files.set.publish());
  ASSERT_TRUE(files.set.keep());
  EXPECT_EQ(TemporaryDirectory::read(folder / "new/a"), "new");
  EXPECT_EQ(TemporaryDirectory::read(folder / "b"), "new");
  EXPECT_EQ(folder.count(), 2u);
}

TEST(OutputSet, WithoutKeepEverythingIsGone) {
  TemporaryDirectory folder;
  {
    PublishedSet files(folder);
  }
  EXPECT_EQ(folder.count(), 0u);
  {
    PublishedSet files(folder);
    ASSERT_TRUE(files.set.publish());
    EXPECT_EQ(TemporaryDirectory::read(folder / "new/a"), "new");
  }
  EXPECT_EQ(folder.count(), 0u);
}

TEST(OutputSet, WithoutKeepTheOldFileIsThereAgain) {
  TemporaryDirectory folder;
  folder.write("b", "old");
  struct stat before, after;
  ASSERT_EQ(::stat((folder / "b").c_str(), &before), 0);
  {
    PublishedSet files(folder);
    ASSERT_TRUE(files.set.publish());
    EXPECT_EQ(TemporaryDirectory::read(folder / "b"), "new");
  }
  EXPECT_EQ(folder.count(), 1u);
  EXPECT_EQ(TemporaryDirectory::read(folder / "b"), "old");
  ASSERT_EQ(::stat((folder / "b").c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_nlink, 1u);
}

TEST(OutputSet, AfterAFailedRenameAllOldFilesAreThereAgain) {
  TemporaryDirectory folder;
  folder.write("a", "old");
  OutputSet set;
  for (const std::string &path : {folder / "a", folder / "b"}) {
    auto file = OutputFile::create(path);
    ASSERT_TRUE(file && file->append("new") && set.add(std::move(*file)));
  }
  std::filesystem::create_directories(folder / "b"); // which no file can replace
  Status status = set.publish();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().outcome, "no output was left behind; a file that had this name before is unchanged");
  EXPECT_EQ(TemporaryDirectory::read(folder / "a"), "old");
  EXPECT_EQ(folder.count(), 2u);
}

/// A process that publishes a set in `folder`, keeps it if `kept`, and is interrupted.
static void publishAndInterrupt(const TemporaryDirectory &folder, bool kept) {
  int ended = inChild([&] {
    installInterruptCleanup();
    PublishedSet files(folder);
    if (!files.set.publish() || (kept && !files.set.keep()))
      return 1;
    ::raise(SIGINT);
    return 2; // not reached
  });
  EXPECT_TRUE(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGINT) << ended;
}

TEST(OutputSet, AnInterruptBeforeKeepRestoresTheOldFile) {
  for (bool kept : {false, true}) {
    TemporaryDirectory folder;
    folder.write("b", "old");
    publishAndInterrupt(folder, kept);
    EXPECT_EQ(TemporaryDirectory::read(folder / "b"), kept ? "new" : "old");
    EXPECT_EQ(folder.count(), kept ? 2u : 1u);
  }
}

TEST(OutputSet, AnInterruptBeforeKeepRemovesAll) {
  TemporaryDirectory folder;
  for (bool kept : {false, true}) {
    publishAndInterrupt(folder, kept);
    EXPECT_EQ(folder.count(), kept ? 2u : 0u);
  }
}

TEST(OutputSet, AFolderOrFileOfOthersStays) {
  TemporaryDirectory folder;
  std::filesystem::create_directory(folder / "new");
  folder.write("file", "old");
  {
    PublishedSet files(folder);
  }
  EXPECT_EQ(folder.count(), 2u); // the folder, empty as it was, and the file
  OutputSet set;
  Status status = set.makeFolder(folder / "file");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().errorClass, ErrorClass::Usage);
  status = set.makeFolder(folder / "none/new");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().errorClass, ErrorClass::Usage);
  EXPECT_EQ(folder.count(), 2u);
}

TEST(OutputFile, TooManyAtOnceIsAnError) {
  TemporaryDirectory folder;
  std::vector<OutputFile> files;
  for (int i = 0; i < 64; ++i) {
    auto file = OutputFile::create(folder / ("out" + std::to_string(i)));
    ASSERT_TRUE(file) << i << file.error().format();
    files.push_back(std::move(*file));
  }
  auto surplus = OutputFile::create(folder / "surplus");
  ASSERT_FALSE(surplus);
  EXPECT_EQ(surplus.error().errorClass, ErrorClass::Resource);
  files.clear();
  EXPECT_EQ(folder.count(), 0u);
  EXPECT_TRUE(OutputFile::create(folder / "again")); // the places are free again
}

} // namespace
} // namespace qopt
