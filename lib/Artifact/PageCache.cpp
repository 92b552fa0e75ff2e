//===-- PageCache.cpp - The size of the pages that the kernel keeps a file in
//----------------------------------------===//
//
// The kernel decides on the size of a page cache folio when it first brings a part of a file in: small for what was
// written in small pieces, 2 MiB for what is read through a mapping that asks for huge pages. It does not change its
// mind later. So the pages of a fresh file are dropped (they are on the disk, since the writer synced them) and read
// through such a mapping. Measured in docs/decisions/WeightPlacement.md.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Artifact/PageCache.h"

#include <cstdint>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qopt {

void readIntoHugePages(const std::string &path) {
  constexpr uint64_t kHugePage = uint64_t(2) << 20;
  int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return;
  struct stat status;
  if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<uint64_t>(status.st_size) >= kHugePage) {
    auto size = static_cast<size_t>(status.st_size);
    (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    void *mapping = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapping != MAP_FAILED) {
      // In steps, so that this process never holds more than one of them.
      bool offered = madvise(mapping, size, MADV_HUGEPAGE) == 0;
      for (uint64_t at = 0; offered && at < size; at += kHugePage) {
        (void)*(static_cast<const volatile char *>(mapping) + at);
        (void)madvise(static_cast<char *>(mapping) + at, kHugePage < size - at ? kHugePage : size - at, MADV_DONTNEED);
      }
      munmap(mapping, size);
    }
  }
  close(descriptor);
}

} // namespace qopt
