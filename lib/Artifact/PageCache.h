#ifndef QOPT_LIB_ARTIFACT_PAGECACHE_H
#define QOPT_LIB_ARTIFACT_PAGECACHE_H

#include <string>

namespace qopt {

/// Reads a file that was just written (and synced) into the page cache anew, in pages of 2 MiB where the kernel can
/// (Linux 6.1 on XFS, 6.16 on ext4), so that whoever maps it next starts and streams at full speed. It costs one read
/// of the file from the disk and changes nothing in it. Only help: where anything fails, nothing happens.
void readIntoHugePages(const std::string &path);

} // namespace qopt

#endif // QOPT_LIB_ARTIFACT_PAGECACHE_H
