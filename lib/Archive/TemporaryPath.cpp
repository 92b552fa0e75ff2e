// The name is noted before anyone creates a file of it, so that there is no moment at which it exists unknown.
#include "lib/Archive/TemporaryPath.h"

#include "lib/Archive/TemporaryFiles.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/random.h>
#include <unistd.h>
#include <utility>

namespace qopt {

Result<TemporaryPath> TemporaryPath::create(std::string_view suffix) {
  std::error_code code;
  std::filesystem::path folder = std::filesystem::temp_directory_path(code);
  if (code)
    return resourceError("there is no directory for temporary files: " + code.message())
        .withNext("set TMPDIR to a directory that can be written");
  uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    return resourceError(std::string("cannot name a temporary file: ") + std::strerror(errno));
  char stem[32];
  std::snprintf(stem, sizeof stem, "qopt-%016llx", static_cast<unsigned long long>(number));
  std::string name = stem + std::string(suffix);
  int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return resourceError(std::string("cannot open the directory for temporary files: ") + std::strerror(errno),
                         folder.string());
  int ticket = noteTemporaryFile(directory, name.c_str());
  if (ticket < 0) {
    ::close(directory);
    return resourceError("too many temporary files at once", folder.string());
  }
  std::string path = (folder / name).string();
  return TemporaryPath(std::move(path), std::move(name), directory, ticket);
}

TemporaryPath::TemporaryPath(TemporaryPath &&other) noexcept
    : file(std::move(other.file)), name(std::move(other.name)), directory(std::exchange(other.directory, -1)),
      ticket(std::exchange(other.ticket, -1)) {}

TemporaryPath &TemporaryPath::operator=(TemporaryPath &&other) noexcept {
  std::swap(file, other.file);
  std::swap(name, other.name);
  std::swap(directory, other.directory);
  std::swap(ticket, other.ticket);
  return *this;
}

void TemporaryPath::remove() {
  if (ticket < 0)
    return;
  ::unlinkat(directory, name.c_str(), 0);
  forgetTemporaryFile(std::exchange(ticket, -1));
  ::close(std::exchange(directory, -1));
}

} // namespace qopt
