//===-- UsableCpus.cpp - Affinity and quota
//--------------------------------------------------------------------------===//
//
// A barrier that spins while its partner has no CPU to run on burns the very time that the partner waits for, and under
// a quota it burns the quota. So the thread pool must know how many CPUs it really has: in a container that is rarely
// what the machine has.
//
// Sources: Linux's Documentation/admin-guide/cgroup-v2.rst (cpu.max), Documentation/scheduler/sched-bwc.rst
// (cpu.cfs_quota_us).
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/UsableCpus.h"

#include "lib/Runtime/Cgroup.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sched.h>

namespace qopt {

/// CPUs that one group allows by itself, or nothing.
static std::optional<double> groupQuota(const CgroupFolder &group) {
  double quota = 0, period = 0;
  if (group.unified) {
    std::ifstream file(group.path + "/cpu.max"); // "max 100000" or "150000 100000"
    if (!(file >> quota >> period))
      return std::nullopt;
  } else {
    std::ifstream quotaFile(group.path + "/cpu.cfs_quota_us"), periodFile(group.path + "/cpu.cfs_period_us");
    if (!(quotaFile >> quota) || !(periodFile >> period)) // -1: no limit
      return std::nullopt;
  }
  if (quota <= 0 || period <= 0)
    return std::nullopt;
  return quota / period;
}

double cgroupCpuQuota(const std::string &root) {
  double tightest = 0;
  for (const CgroupFolder &group : cgroupFolders("cpu", root))
    if (std::optional<double> quota = groupQuota(group))
      tightest = tightest == 0 ? *quota : std::min(tightest, *quota);
  return tightest;
}

/// CPUs in the affinity mask. The kernel refuses a mask shorter than its own, so it grows until it fits.
static int affinityCpus() {
  for (int cpus = 1024; cpus <= (1 << 20); cpus *= 2) {
    cpu_set_t *set = CPU_ALLOC(cpus);
    if (!set)
      return 1;
    size_t bytes = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(bytes, set);
    bool read = sched_getaffinity(0, bytes, set) == 0;
    int count = read ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (read)
      return std::max(count, 1);
  }
  return 1;
}

int usableCpus() {
  int cpus = affinityCpus();
  double quota = cgroupCpuQuota("");
  if (quota > 0 && quota < cpus)
    cpus = std::max(1, static_cast<int>(quota));
  return cpus;
}

} // namespace qopt
