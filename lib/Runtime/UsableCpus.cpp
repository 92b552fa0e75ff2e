//===-- UsableCpus.cpp - Affinity and quota
//--------------------------------------------------------------------------===//
//
// A barrier that spins while its partner has no CPU to run on burns the very time that the partner waits for, and under
// a quota it burns the quota. So the thread pool must know how many CPUs it really has: in a container that is rarely
// what the machine has.
//
// Sources: Linux's Documentation/admin-guide/cgroup-v2.rst (cpu.max), Documentation/scheduler/sched-bwc.rst
// (cpu.cfs_quota_us), proc_pid_mountinfo(5), cgroups(7) for /proc/self/cgroup.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/UsableCpus.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sched.h>
#include <sstream>
#include <vector>

namespace qopt {

namespace {

/// A mounted cgroup hierarchy that controls CPU time, and this process's group in it.
struct Hierarchy {
  bool unified;      ///< version 2
  std::string mount; ///< where it is mounted
  std::string group; ///< the process's group below that, "" or "/a/b"
};

} // namespace

static std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    parts.push_back(part);
  return parts;
}

static bool listHas(const std::string &list, const std::string &word) {
  std::vector<std::string> words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The process's group in the hierarchy of version 2, or in that of version 1 with the cpu controller.
/// Lines of /proc/self/cgroup: "ID:CONTROLLERS:PATH"; version 2 has "0::PATH".
static std::optional<std::string> groupOf(const std::string &root, bool unified) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos)
      continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    if (unified ? controllers.empty() : listHas(controllers, "cpu"))
      return line.substr(second + 1);
  }
  return std::nullopt;
}

static std::vector<Hierarchy> hierarchies(const std::string &root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root + "/proc/self/mountinfo");
  // "ID PARENT DEV ROOT MOUNT OPTIONS [TAG]... - TYPE SOURCE SUPEROPTIONS"
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields = split(line, ' ');
    auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4)
      continue;
    bool unified = dash[1] == "cgroup2";
    if (!unified && !(dash[1] == "cgroup" && listHas(dash[3], "cpu")))
      continue;
    std::optional<std::string> group = groupOf(root, unified);
    if (!group)
      continue;
    // A container sees its own group as the root of the mount, while /proc/self/cgroup may tell the path from outside.
    const std::string &mountRoot = fields[3];
    if (mountRoot != "/" && group->starts_with(mountRoot))
      group = group->substr(mountRoot.size());
    if (*group == "/" || group->find("..") != std::string::npos)
      group = "";
    found.push_back({unified, root + fields[4], *group});
  }
  return found;
}

/// CPUs that one group allows by itself, or nothing.
static std::optional<double> groupQuota(const Hierarchy &hierarchy, const std::string &group) {
  std::string folder = hierarchy.mount + group;
  double quota = 0, period = 0;
  if (hierarchy.unified) {
    std::ifstream file(folder + "/cpu.max"); // "max 100000" or "150000 100000"
    if (!(file >> quota >> period))
      return std::nullopt;
  } else {
    std::ifstream quotaFile(folder + "/cpu.cfs_quota_us"), periodFile(folder + "/cpu.cfs_period_us"); // -1: no limit
    if (!(quotaFile >> quota) || !(periodFile >> period))
      return std::nullopt;
  }
  if (quota <= 0 || period <= 0)
    return std::nullopt;
  return quota / period;
}

double cgroupCpuQuota(const std::string &root) {
  double tightest = 0;
  for (const Hierarchy &hierarchy : hierarchies(root)) {
    std::string group = hierarchy.group;
    while (true) {
      if (std::optional<double> quota = groupQuota(hierarchy, group))
        tightest = tightest == 0 ? *quota : std::min(tightest, *quota);
      if (group.empty())
        break;
      group.resize(group.find_last_of('/') == std::string::npos ? 0 : group.find_last_of('/'));
    }
  }
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
