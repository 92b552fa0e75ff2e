// Code from memory, and where policy forbids that.
#include "lib/Runtime/CodeObject.h"

#include "tests/unit/Runtime/FakeModel.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

using namespace qopt;
using namespace qopt::fake;

namespace {

constexpr int kNoFilter = 77; // exit code: this system takes no system call filters

/// From here on memfd_create fails in this process, as where policy forbids it. False: there are no such filters here.
bool forbidMemfd() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// The exit code of `body` in a child that has no memfds, and whose folder for temporary files is `folder`.
int withoutMemfd(const std::string &folder, const std::function<int()> &body) {
  pid_t child = fork();
  if (child == 0) {
    setenv("TMPDIR", folder.c_str(), 1);
    _exit(forbidMemfd() ? body() : kNoFilter);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(CodeObject, FindsWhatTheCodeDefines) {
  Result<CodeObject> code = CodeObject::load(readFile(QOPT_FAKE_MODEL));
  ASSERT_TRUE(code) << code.error().format();
  EXPECT_NE(code->find("qopt_forward"), nullptr);
  EXPECT_EQ(code->find("qopt_nothing"), nullptr);
}

TEST(CodeObject, WithoutMemfdAFileInTmpdirServesAndIsGone) {
  Folder folder;
  int code = withoutMemfd(folder.path, [&] {
    Result<CodeObject> code = CodeObject::load(readFile(QOPT_FAKE_MODEL));
    if (!code || !code->find("qopt_forward"))
      return 1;
    return std::filesystem::is_empty(folder.path) ? 0 : 2;
  });
  if (code == kNoFilter)
    GTEST_SKIP() << "no system call filters here";
  EXPECT_EQ(code, 0);
}

TEST(CodeObject, WithoutMemfdAndTmpdirItSaysWhy) {
  Folder folder;
  int code = withoutMemfd(folder.file("none"), [&] {
    Result<CodeObject> code = CodeObject::load(readFile(QOPT_FAKE_MODEL));
    if (code)
      return 1; // it went to another folder
    const Error &error = code.error();
    return error.errorClass == ErrorClass::Resource && error.rule.find("no memfd") != std::string::npos &&
                   error.next.find("TMPDIR") != std::string::npos
               ? 0
               : 2;
  });
  if (code == kNoFilter)
    GTEST_SKIP() << "no system call filters here";
  EXPECT_EQ(code, 0);
}

} // namespace
