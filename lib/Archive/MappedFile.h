// A regular file, mapped read-only for as long as the object lives.
//
// Checkpoints are larger than memory often enough that nothing here reads them: pages come in when they are looked at.
// A file that another process shortens while it is mapped raises SIGBUS in whoever reads the lost pages; files that
// qopt writes are replaced by rename, never rewritten in place, so they are safe to replace while mapped.
#ifndef QOPT_LIB_ARCHIVE_MAPPEDFILE_H
#define QOPT_LIB_ARCHIVE_MAPPEDFILE_H

#include "lib/Support/Error.h"

#include <cstddef>
#include <span>
#include <string>

namespace qopt {

/// The error for a file that the system does not open or read, which says `code` (an errno): the path is wrong
/// (BadInput), or the machine refuses (Resource). Safe to call from several threads.
Error unreadableFile(const std::string &path, int code);

class MappedFile {
public:
  /// Maps `path`. Errors: it may not be read (Resource); it does not exist, or is a directory, pipe or device
  /// (BadInput).
  static Result<MappedFile> open(const std::string &path);

  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  const std::string &path() const { return filePath; }
  uint64_t size() const { return contents.size(); }
  /// The whole file; empty for an empty file.
  std::span<const std::byte> bytes() const { return contents; }

  /// Lets the kernel take back the whole pages inside `part` of bytes(). Reading them again is correct, and slow.
  void drop(std::span<const std::byte> part) const;

private:
  MappedFile(std::string path, std::span<const std::byte> contents) : filePath(std::move(path)), contents(contents) {}

  std::string filePath;
  std::span<const std::byte> contents;
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_MAPPEDFILE_H
