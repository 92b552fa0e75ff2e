// A file that appears under its name complete or not at all.
//
// The bytes go to a temporary file in the same directory; commit() makes them durable (fsync), gives them the final
// name (rename) and makes that durable (fsync of the directory). Before commit, destroying the object, a failure or an
// interrupt (see installInterruptCleanup) removes the temporary file. A file that was there before keeps its contents
// until the rename, also for those who have it mapped: at every moment its name belongs to all of the old file or to
// all of the new one, and an interrupt leaves it so. A symbolic link is followed, also one to a file that is not there
// yet. A name that belongs to a device or a pipe is written directly.
#ifndef QOPT_LIB_ARCHIVE_OUTPUTFILE_H
#define QOPT_LIB_ARCHIVE_OUTPUTFILE_H

#include "lib/Support/Error.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qopt {

/// Makes SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE and SIGXCPU remove temporary files before they end the process as
/// usual, and makes a file that grows past the process's limit an error instead of a signal (SIGXFSZ is ignored).
/// Signals that are ignored or handled by others stay as they are. For main() to call, once.
void installInterruptCleanup();

/// What that handler does, for programs with a handler of their own. Async-signal-safe.
void removeTemporaryFiles() noexcept;

class OutputFile {
public:
  /// Starts writing `path`. With `size` known, its space is allocated now, so that a full disk is found before the
  /// work is done; unwritten bytes are then zero. Errors: there is no such directory, the name is one, or links lead in
  /// a circle (Usage); the place cannot be written, no space (Resource).
  static Result<OutputFile> create(const std::string &path, std::optional<uint64_t> size = std::nullopt);

  OutputFile(OutputFile &&) noexcept;
  OutputFile &operator=(OutputFile &&) noexcept;
  ~OutputFile();

  const std::string &path() const;
  /// False for a pipe or a device: it takes bytes in order only, and keeps them when something fails.
  bool isRegular() const;
  /// Where append() writes next.
  uint64_t position() const;

  /// Writes at the end of what append() wrote so far. After an error (Resource) the output is gone.
  Status append(std::span<const std::byte> bytes);
  Status append(std::string_view text) { return append(std::as_bytes(std::span(text))); }
  /// Writes at `offset`. Regular files only.
  Status writeAt(uint64_t offset, std::span<const std::byte> bytes);
  /// Gives the file its name, under which it stays from then on. Nothing can be written afterwards.
  Status commit();
  /// Removes what was written, as the destructor does.
  void abandon();

private:
  friend class OutputSet;
  struct State;
  explicit OutputFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// Files that belong together: all of them get their names, or none, whatever fails and whenever an interrupt comes.
///
/// Files that had such names before are there again where the new ones do not stay: publish() gives each of them a
/// second name (a hard link) until keep(). So it is where that is possible. On a file system without hard links (FAT),
/// or where the system forbids to link a file of someone else that one may not read, an old file is gone once publish()
/// has replaced it, and what stops the command between publish() and keep() leaves neither. What nothing can catch
/// (SIGKILL, a power cut) within publish() or before the end of keep() leaves each name to all of its old or all of its
/// new file, not all names to the same kind, and old files under names that end in ".partial".
class OutputSet {
public:
  OutputSet();
  OutputSet(const OutputSet &) = delete;
  OutputSet &operator=(const OutputSet &) = delete;
  /// Removes what was not kept.
  ~OutputSet();

  /// Makes the directory that the files are to lie in, unless it is there; for one directory, before the files are
  /// created. Errors: there is no place for it, or the name belongs to a file (Usage); Resource.
  Status makeFolder(const std::string &path);
  /// Takes a file that is completely written, in place of its commit().
  Status add(OutputFile file);
  /// Where the file that is to be `path` lies until publish(): for reading it in the meantime. `path` itself if it is
  /// none of the set.
  std::string pendingPath(const std::string &path) const;
  /// Gives the files their names, in the order in which they were added. After an error (Resource), none has its name.
  Status publish();
  /// They stay.
  Status keep();

private:
  std::vector<OutputFile> files;
  int folderParent = -1, folderTicket = -1;
  int leader = -1; ///< the ticket that decides for all, from publish() on
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_OUTPUTFILE_H
