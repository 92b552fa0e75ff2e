// A signal handler can reach nothing but static storage and may call only what is async-signal-safe; so this is a fixed
// table of atomics, the one piece of state in lib/Archive that belongs to the process.
#include "lib/Archive/TemporaryFiles.h"

#include "lib/Archive/OutputFile.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <unistd.h>

namespace qopt {

namespace {

enum SlotState : int { Free, Filling, Noted };

struct Slot {
  std::atomic<int> state{Free};
  pid_t owner = 0; // a forked child must not remove its parent's files
  int directory = -1;
  char name[NAME_MAX + 1] = {};
};
static_assert(std::atomic<int>::is_always_lock_free, "the signal handler must not wait");

constinit Slot slots[64];

} // namespace

int noteTemporaryFile(int directory, const char *name) {
  for (int i = 0; i < static_cast<int>(std::size(slots)); ++i) {
    int expected = Free;
    if (!slots[i].state.compare_exchange_strong(expected, Filling))
      continue;
    slots[i].owner = ::getpid();
    slots[i].directory = directory;
    std::strncpy(slots[i].name, name, NAME_MAX);
    slots[i].state.store(Noted);
    return i;
  }
  return -1;
}

void forgetTemporaryFile(int ticket) { slots[ticket].state.store(Free); }

void removeTemporaryFiles() noexcept {
  int code = errno;
  for (Slot &slot : slots)
    if (slot.state.load() == Noted && slot.owner == ::getpid())
      ::unlinkat(slot.directory, slot.name, 0);
  errno = code;
}

static void removeAndDie(int signal) {
  removeTemporaryFiles();
  ::raise(signal); // SA_RESETHAND gave back the default action, which follows when this handler returns
}

void installInterruptCleanup() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU}) {
    struct sigaction action;
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler != SIG_DFL)
      continue; // ignored (nohup) or someone else's
    action = {};
    action.sa_handler = removeAndDie;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(signal, &action, nullptr);
  }
  ::signal(SIGXFSZ, SIG_IGN); // a file that grows past the limit is an error of write(), which we report
}

} // namespace qopt
