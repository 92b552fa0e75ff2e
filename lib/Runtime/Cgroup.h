#ifndef QOPT_LIB_RUNTIME_CGROUP_H
#define QOPT_LIB_RUNTIME_CGROUP_H

#include <string>
#include <vector>

namespace qopt {

/// One control group that limits this process.
struct CgroupFolder {
  bool unified;     ///< cgroup version 2
  std::string path; ///< the folder with its files (cpu.max, memory.max, …)
};

/// The groups that limit this process through `controller` ("cpu", "memory"), each from its own up to the root of the
/// mount, versions 1 and 2. Files are read below `root` ("" for the real ones), so that a test can lay out its own.
std::vector<CgroupFolder> cgroupFolders(const std::string &controller, const std::string &root);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_CGROUP_H
