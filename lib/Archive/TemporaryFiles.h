// The files that must vanish if the process is interrupted before they get their final names. Internal to lib/Archive;
// installInterruptCleanup() and removeTemporaryFiles() are declared for everyone in OutputFile.h.
#ifndef QOPT_LIB_ARCHIVE_TEMPORARYFILES_H
#define QOPT_LIB_ARCHIVE_TEMPORARYFILES_H

namespace qopt {

/// Notes the file `name` in the directory that `directory` is open on, which must stay open. Done before the file is
/// created, so that there is no moment at which it exists unknown. Returns a ticket, or -1 if too many are noted.
int noteTemporaryFile(int directory, const char *name);

/// The file has its final name, or is gone.
void forgetTemporaryFile(int ticket);

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_TEMPORARYFILES_H
