#ifndef QOPT_LIB_RUNTIME_USABLECPUS_H
#define QOPT_LIB_RUNTIME_USABLECPUS_H

#include <string>

namespace qopt {

/// How many CPUs this process can keep busy at once: the CPUs of its affinity mask, or fewer where a cgroup's quota
/// (version 1 or 2, the tightest from its own group up to the root) allows less time than that. A quota of two and a
/// half CPUs counts as two. At least 1.
int usableCpus();

/// CPUs that the quotas of the process's cgroups allow, as a fraction; 0 where there is no quota. Files are read below
/// `root` ("" for the real ones), so that a test can lay out a hierarchy of its own.
double cgroupCpuQuota(const std::string &root);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_USABLECPUS_H
