// Preloaded into a tool: at the call number FAULT_AT among those below, all of which make or change files, the process
// gets the signal FAULT_SIGNAL before the call, or after it if FAULT_AFTER is set; or, without a signal, the call fails
// with "no space left". So a test can interrupt a command, or fill its disk, at every point where an output is half
// made.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int calls;

/// Where FAULT_COUNT names a file: how many such calls there were.
__attribute__((destructor)) static void count(void) {
  const char *path = getenv("FAULT_COUNT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file)
    return;
  fprintf(file, "%d", calls);
  fclose(file);
}

/// Before a call, and `after` it. -1: it fails.
static int meet(int after) {
  static atomic_int here;
  const char *at = getenv("FAULT_AT"), *signal = getenv("FAULT_SIGNAL");
  if (!at)
    return 0;
  if (after) {
    if (atomic_exchange(&here, 0))
      kill(getpid(), atoi(signal));
    return 0;
  }
  if (atomic_fetch_add(&calls, 1) + 1 != atoi(at))
    return 0;
  if (!signal) {
    errno = ENOSPC;
    return -1;
  }
  if (getenv("FAULT_AFTER"))
    atomic_store(&here, 1);
  else
    kill(getpid(), atoi(signal));
  return 0;
}

#define FAULTY(result, name, parameters, arguments)                                                                    \
  result name parameters {                                                                                             \
    result(*original) parameters = (result(*) parameters)dlsym(RTLD_NEXT, #name);                                      \
    if (meet(0) < 0)                                                                                                   \
      return -1;                                                                                                       \
    result value = original arguments;                                                                                 \
    int code = errno;                                                                                                  \
    meet(1);                                                                                                           \
    errno = code;                                                                                                      \
    return value;                                                                                                      \
  }

FAULTY(int, fsync, (int file), (file))
FAULTY(int, fallocate, (int file, int mode, off_t offset, off_t size), (file, mode, offset, size))
FAULTY(ssize_t, pwrite, (int file, const void *bytes, size_t size, off_t offset), (file, bytes, size, offset))
FAULTY(int, renameat, (int a, const char *old, int b, const char *new), (a, old, b, new))
FAULTY(int, linkat, (int a, const char *old, int b, const char *new, int flags), (a, old, b, new, flags))

// These get signals only. Where the linker's rename fails, LLVM copies the file instead and leaves the original; and
// what removes a file that is not wanted has nothing better to do where that fails.
#define INTERRUPTED(name, parameters, arguments)                                                                       \
  int name parameters {                                                                                                \
    int(*original) parameters = (int(*) parameters)dlsym(RTLD_NEXT, #name);                                            \
    if (!getenv("FAULT_SIGNAL"))                                                                                       \
      return original arguments;                                                                                       \
    meet(0);                                                                                                           \
    int value = original arguments, code = errno;                                                                      \
    meet(1);                                                                                                           \
    errno = code;                                                                                                      \
    return value;                                                                                                      \
  }

INTERRUPTED(rename, (const char *old, const char *new), (old, new))
INTERRUPTED(unlinkat, (int directory, const char *name, int flags), (directory, name, flags))
FAULTY(int, mkdirat, (int directory, const char *name, mode_t mode), (directory, name, mode))
