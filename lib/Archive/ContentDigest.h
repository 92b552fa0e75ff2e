// The digest of all of a file's bytes, for what must not be taken for another.
#ifndef QOPT_LIB_ARCHIVE_CONTENTDIGEST_H
#define QOPT_LIB_ARCHIVE_CONTENTDIGEST_H

#include "lib/Support/Error.h"

#include <string>

namespace qopt {

/// "sha256:…" of the file's bytes, as sha256sum prints it. A file is read once in a process, and again when its size or
/// its times have changed; its pages are not mapped. Safe to call from several threads.
/// Errors: there is no such file, or it is a directory (bad input); it cannot be read (resource).
Result<std::string> contentDigest(const std::string &path);

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_CONTENTDIGEST_H
