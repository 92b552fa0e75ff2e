#ifndef QOPT_LIB_RUNTIME_AVAILABLEMEMORY_H
#define QOPT_LIB_RUNTIME_AVAILABLEMEMORY_H

#include <cstdint>

namespace qopt {

/// Bytes that can be taken without driving others out: what the kernel calls available, or a cgroup's limit; 0 where
/// neither is known.
uint64_t availableMemory();

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_AVAILABLEMEMORY_H
