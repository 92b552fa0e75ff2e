#include "lib/Runtime/AvailableMemory.h"

#include "lib/Runtime/Cgroup.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

uint64_t qopt::availableMemory() {
  uint64_t available = 0;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    unsigned long long kilobytes;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu kB", &kilobytes) == 1)
      available = kilobytes * 1024;
  }
  for (const CgroupFolder &group : cgroupFolders("memory", "")) {
    std::ifstream file(group.path + (group.unified ? "/memory.max" : "/memory.limit_in_bytes"));
    uint64_t limit;
    if (file >> limit) // "max" is not a number
      available = std::min(available, limit);
  }
  return available;
}
