// The files that must vanish if the process is interrupted before they get their final names. Internal to lib/Archive;
// installInterruptCleanup() and removeTemporaryFiles() are declared for everyone in OutputFile.h.
#ifndef QOPT_LIB_ARCHIVE_TEMPORARYFILES_H
#define QOPT_LIB_ARCHIVE_TEMPORARYFILES_H

#include <cstdint>

namespace qopt {

/// Notes the file `name` in the directory that `directory` is open on, which must stay open. Done before the file is
/// created, so that there is no moment at which it exists unknown. Returns a ticket, or -1 if too many are noted.
/// `finalName` is the name that it may get; a `folder` is removed after all files, if it is empty.
int noteTemporaryFile(int directory, const char *name, const char *finalName = "", bool folder = false);

/// The file, which has this inode, is about to get its final name, and must vanish under that one as well until it is
/// kept or forgotten. The inode tells it from a file that had the name before. That one is to be linked as `oldName` in
/// the same directory until then: removing the new file gives it back its name. Without this call, a file that has got
/// its final name stays.
void noteRename(int ticket, uint64_t inode, const char *oldName = "");

/// Whether `ticket` is removed is decided by `leader` from now on, which must be forgotten after it.
void joinTemporaryFiles(int ticket, int leader);

/// In one step: what has joined `leader`, and itself, stays, and the old files are what an interrupt removes. Each is
/// still to be forgotten.
void keepTemporaryFiles(int leader);

/// Removes the file under the name that it has now, gives the old one its name back, and forgets both.
void removeTemporaryFile(int ticket);

/// The file is to stay under the name that it has, or is gone. Removes the old one.
void forgetTemporaryFile(int ticket);

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_TEMPORARYFILES_H
