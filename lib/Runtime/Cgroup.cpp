//===-- Cgroup.cpp - Which control groups hold this process
//----------------------------------------------------------===//
//
// A container sees limits that are not in the machine's own numbers: they lie in the cgroup file systems, in the folder
// of the process's group and of each group above it.
//
// Sources: Linux's Documentation/admin-guide/cgroup-v2.rst, proc_pid_mountinfo(5), cgroups(7) for /proc/self/cgroup.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/Cgroup.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

namespace qopt {

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

/// The process's group in the hierarchy of version 2, or in that of version 1 with the controller.
/// Lines of /proc/self/cgroup: "ID:CONTROLLERS:PATH"; version 2 has "0::PATH".
static std::optional<std::string> groupOf(const std::string &root, const std::string &controller, bool unified) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos)
      continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    if (unified ? controllers.empty() : listHas(controllers, controller))
      return line.substr(second + 1);
  }
  return std::nullopt;
}

std::vector<CgroupFolder> cgroupFolders(const std::string &controller, const std::string &root) {
  std::vector<CgroupFolder> folders;
  std::ifstream file(root + "/proc/self/mountinfo");
  // "ID PARENT DEV ROOT MOUNT OPTIONS [TAG]... - TYPE SOURCE SUPEROPTIONS"
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields = split(line, ' ');
    auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4)
      continue;
    bool unified = dash[1] == "cgroup2";
    if (!unified && !(dash[1] == "cgroup" && listHas(dash[3], controller)))
      continue;
    std::optional<std::string> group = groupOf(root, controller, unified);
    if (!group)
      continue;
    // A container sees its own group as the root of the mount, while /proc/self/cgroup may tell the path from outside.
    const std::string &mountRoot = fields[3];
    if (mountRoot != "/" && group->starts_with(mountRoot))
      group = group->substr(mountRoot.size());
    if (*group == "/" || group->find("..") != std::string::npos)
      group = "";
    std::string mount = root + fields[4];
    while (true) {
      folders.push_back({unified, mount + *group});
      if (group->empty())
        break;
      size_t parent = group->find_last_of('/');
      group->resize(parent == std::string::npos ? 0 : parent);
    }
  }
  return folders;
}

} // namespace qopt
