// See ContentDigest.h.
#include "lib/Archive/ContentDigest.h"

#include "lib/Archive/MappedFile.h"
#include "lib/Archive/Sha256.h"

#include <cerrno>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <sys/stat.h>
#include <system_error>
#include <tuple>
#include <unistd.h>
#include <vector>

using namespace qopt;

namespace {
/// What tells one state of a file from another without reading it.
using FileState = std::tuple<dev_t, ino_t, off_t, int64_t, int64_t, int64_t, int64_t>;

struct Descriptor {
  int number;
  ~Descriptor() { ::close(number); }
};
} // namespace

static FileState stateOf(const struct stat &file) {
  return {file.st_dev,          file.st_ino,         file.st_size,        file.st_mtim.tv_sec,
          file.st_mtim.tv_nsec, file.st_ctim.tv_sec, file.st_ctim.tv_nsec};
}

Result<std::string> qopt::contentDigest(const std::string &path) {
  static std::mutex mutex;
  static std::map<FileState, std::string> known;
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status;
  if (file.number < 0 || ::fstat(file.number, &status) != 0)
    return unreadableFile(path, errno);
  FileState state = stateOf(status);
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (auto found = known.find(state); found != known.end())
      return found->second;
  }
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 20);
  while (true) {
    ssize_t got = ::read(file.number, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return unreadableFile(path, errno);
    if (got == 0)
      break;
    hash.update(std::span(buffer).first(static_cast<size_t>(got)));
  }
  std::string digest = toString(hash.finish());
  std::lock_guard<std::mutex> lock(mutex);
  known[state] = digest;
  return digest;
}
