// Mapping by mmap; only regular files, so that the size is known and nothing waits.
#include "lib/Archive/MappedFile.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace qopt {

Error unreadableFile(const std::string &path, int code) {
  bool wrongPath = code == ENOENT || code == ENOTDIR || code == ELOOP || code == EISDIR;
  Error error =
      resourceError("cannot read the file: " + std::generic_category().message(code), escapeForMessage(path, 1000));
  if (wrongPath)
    error.errorClass = ErrorClass::BadInput;
  error.next = wrongPath ? "check the path" : "check the file's permissions and the limits of this process";
  return error;
}

static Error cannotOpen(const std::string &path, int code) {
  Error error = unreadableFile(path, code);
  error.outcome = "nothing was read";
  return error;
}

/// What kind of thing `mode` (from stat) is, for a message.
static const char *nameOfKind(mode_t mode) {
  return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

Result<MappedFile> MappedFile::open(const std::string &path) {
  // Without O_NONBLOCK, opening a pipe would wait for a writer before we could refuse it.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return cannotOpen(path, errno);
  struct stat status;
  if (::fstat(descriptor, &status) != 0) {
    int code = errno;
    ::close(descriptor);
    return cannotOpen(path, code);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    Error error = badInput(std::string("expected a regular file, but got ") + nameOfKind(status.st_mode),
                           escapeForMessage(path, 1000));
    error.outcome = "nothing was read";
    error.next = S_ISDIR(status.st_mode) ? "name the file inside of it" : "copy its contents to a file first";
    return error;
  }
  size_t size = static_cast<size_t>(status.st_size);
  void *address = nullptr;
  if (size != 0)
    address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  int code = errno;
  ::close(descriptor);
  if (address == MAP_FAILED)
    return cannotOpen(path, code);
  return MappedFile(path, {static_cast<const std::byte *>(address), size});
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : filePath(std::move(other.filePath)), contents(std::exchange(other.contents, {})) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(filePath, other.filePath);
  std::swap(contents, other.contents);
  return *this;
}

MappedFile::~MappedFile() {
  if (!contents.empty())
    ::munmap(const_cast<std::byte *>(contents.data()), contents.size());
}

void MappedFile::drop(std::span<const std::byte> part) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uintptr_t begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  uintptr_t end = (reinterpret_cast<uintptr_t>(part.data()) + part.size()) / page * page;
  if (begin < end) // advice only: a failure costs memory, never correctness
    (void)::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

} // namespace qopt
