// A signal handler can reach nothing but static storage and may call only what is async-signal-safe; so this is a fixed
// table of atomics, the one piece of state in lib/Archive that belongs to the process.
#include "lib/Archive/TemporaryFiles.h"

#include "lib/Archive/OutputFile.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qopt {

namespace {

enum SlotState : int { Free, Filling, Noted };

struct Slot {
  std::atomic<int> state{Free};
  pid_t owner = 0; // a forked child must not remove its parent's files
  int directory = -1;
  bool folder = false;
  char name[NAME_MAX + 1] = {}, finalName[NAME_MAX + 1] = {};
  char oldName[NAME_MAX + 1] = {}; // a second name of the file that had finalName before; empty: none is made
  std::atomic<uint64_t> inode{0};  // other than 0: it may have its final name by now
  std::atomic<int> leader{0};      // the slot whose `kept` counts; by default its own
  std::atomic<bool> kept{false};

  /// Removes what is noted. The rename may happen on another thread meanwhile: either the first call removes the file,
  /// and the rename fails, or the file has its final name by the second. Each name belongs to one file only, whenever
  /// this happens: no step can hit the old file in place of the new one.
  void remove() noexcept {
    int flags = folder ? AT_REMOVEDIR : 0;
    ::unlinkat(directory, name, flags);
    if (!hasFinalName())
      removeOld();
    else if (!restoreOld())
      ::unlinkat(directory, finalName, flags);
  }

  bool hasFinalName() noexcept {
    struct stat status;
    uint64_t own = inode.load();
    return own != 0 && ::fstatat(directory, finalName, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == own;
  }

  /// Puts the old file in the new one's place; false: there is none. One that cannot be moved stays, as the new one
  /// does.
  bool restoreOld() noexcept {
    return oldName[0] != 0 && (::renameat(directory, oldName, directory, finalName) == 0 || errno != ENOENT);
  }

  /// Removes the second name of the old file.
  void removeOld() noexcept {
    if (inode.load() != 0 && oldName[0] != 0)
      ::unlinkat(directory, oldName, 0);
  }
};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<uint64_t>::is_always_lock_free,
              "the signal handler must not wait");

constinit Slot slots[64];

} // namespace

int noteTemporaryFile(int directory, const char *name, const char *finalName, bool folder) {
  for (int i = 0; i < static_cast<int>(std::size(slots)); ++i) {
    int expected = Free;
    if (!slots[i].state.compare_exchange_strong(expected, Filling))
      continue;
    slots[i].owner = ::getpid();
    slots[i].directory = directory;
    slots[i].folder = folder;
    slots[i].inode = 0;
    slots[i].leader = i;
    slots[i].kept = false;
    std::strncpy(slots[i].name, name, NAME_MAX);
    std::strncpy(slots[i].finalName, finalName, NAME_MAX);
    slots[i].state.store(Noted);
    return i;
  }
  return -1;
}

void noteRename(int ticket, uint64_t inode, const char *oldName) {
  std::strncpy(slots[ticket].oldName, oldName, NAME_MAX);
  slots[ticket].inode.store(inode); // from here on the handler looks at oldName
}

void joinTemporaryFiles(int ticket, int leader) { slots[ticket].leader = leader; }

void keepTemporaryFiles(int leader) { slots[leader].kept = true; }

void removeTemporaryFile(int ticket) {
  slots[ticket].remove();
  slots[ticket].state.store(Free);
}

void forgetTemporaryFile(int ticket) {
  slots[ticket].removeOld();
  slots[ticket].state.store(Free);
}

void removeTemporaryFiles() noexcept {
  int code = errno;
  for (bool folders : {false, true}) // a folder must be empty
    for (Slot &slot : slots) {
      if (slot.state.load() != Noted || slot.folder != folders || slot.owner != ::getpid())
        continue;
      if (slots[slot.leader.load()].kept.load())
        slot.removeOld();
      else
        slot.remove();
    }
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
