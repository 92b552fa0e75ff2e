// A name for a file that exists only while a command runs: the artifact that `qopt run model.mlir` compiles, for one.
#ifndef QOPT_LIB_ARCHIVE_TEMPORARYPATH_H
#define QOPT_LIB_ARCHIVE_TEMPORARYPATH_H

#include "lib/Support/Error.h"

#include <string>
#include <string_view>

namespace qopt {

/// Reserves a name in the system's directory for temporary files. Whoever writes a file of that name, it is removed by
/// the destructor, by remove(), and by an interrupt (installInterruptCleanup).
class TemporaryPath {
public:
  /// `suffix` ends the name (".qopt"). Resource error where there is no such directory.
  static Result<TemporaryPath> create(std::string_view suffix);

  TemporaryPath(TemporaryPath &&other) noexcept;
  TemporaryPath &operator=(TemporaryPath &&other) noexcept;
  ~TemporaryPath() { remove(); }

  const std::string &path() const { return file; }
  /// Removes the file now. Mappings and open descriptors of it stay valid.
  void remove();

private:
  TemporaryPath(std::string path, std::string name, int directory, int ticket)
      : file(std::move(path)), name(std::move(name)), directory(directory), ticket(ticket) {}

  std::string file, name;
  int directory = -1;
  int ticket = -1;
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_TEMPORARYPATH_H
