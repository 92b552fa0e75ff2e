// The digest of a file's bytes, as they are now; and whose turn it is where they cannot be read.
#include "lib/Archive/ContentDigest.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace qopt {
namespace {

void refuse(const std::string &path, ErrorClass errorClass, std::string_view rule) {
  auto digest = contentDigest(path);
  ASSERT_FALSE(digest) << path;
  EXPECT_EQ(digest.error().errorClass, errorClass) << rule;
  EXPECT_EQ(digest.error().rule, rule);
  EXPECT_EQ(digest.error().where, path);
  EXPECT_FALSE(digest.error().next.empty());
}

TEST(ContentDigest, FollowsTheContents) {
  test::TemporaryDirectory folder;
  auto digest = contentDigest(folder.write("a", "abc"));
  ASSERT_TRUE(digest) << digest.error().format();
  // printf abc | sha256sum
  EXPECT_EQ(*digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(*contentDigest(folder / "a"), *digest);
  EXPECT_NE(*contentDigest(folder.write("a", "abcd")), *digest);
}

TEST(ContentDigest, AWrongPathIsBadInput) {
  test::TemporaryDirectory folder;
  folder.write("file", "x");
  std::filesystem::create_symlink("circle", folder / "circle");
  refuse(folder / "missing", ErrorClass::BadInput, "cannot read the file: No such file or directory");
  refuse(folder / "file/a", ErrorClass::BadInput, "cannot read the file: Not a directory");
  refuse(folder / "circle", ErrorClass::BadInput, "cannot read the file: Too many levels of symbolic links");
  refuse(folder / ".", ErrorClass::BadInput, "cannot read the file: Is a directory");
}

TEST(ContentDigest, WhatTheMachineRefusesIsAResource) {
  test::TemporaryDirectory folder;
  folder.write("file", "x");
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  refuse(folder / "file", ErrorClass::Resource, "cannot read the file: Too many open files");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(ContentDigest, AMissingPermissionIsAResource) {
  test::TemporaryDirectory folder;
  folder.write("file", "x");
  ASSERT_EQ(::chmod((folder / "file").c_str(), 0), 0);
  uid_t user = ::geteuid();
  if (user == 0 && ::seteuid(65534) != 0) // root may read anything
    GTEST_SKIP() << "no other user to be here";
  refuse(folder / "file", ErrorClass::Resource, "cannot read the file: Permission denied");
  ASSERT_EQ(::seteuid(user), 0);
}

} // namespace
} // namespace qopt
