// The table of targets. A new CPU is a row here and, if it has instructions of its own for dots, a few rewrites in
// passes/Target.
#include "lib/Codegen/Target.h"

#include "lib/Runtime/CpuFeatures.h"
#include "lib/Support/MatrixTiles.h"

#include <algorithm>

using namespace qopt;

const std::vector<Target> &qopt::knownTargets() {
  static const std::vector<std::string> v4{"avx2",     "fma",      "f16c",     "avx512f",
                                           "avx512bw", "avx512dq", "avx512vl", "avx512vnni"};
  static const std::vector<std::string> v4Bf16 = [] {
    std::vector<std::string> features = v4;
    features.push_back("avx512bf16");
    return features;
  }();
  static const std::vector<Target> targets{
      {"x86-64-v4+vnni+bf16", "x86-64", "x86_64-unknown-linux-gnu", "x86-64-v4", "+avx512vnni,+avx512bf16", v4Bf16,
       VectorTarget::X86V4Bf16, false, false},
      {"x86-64-v4+vnni", "x86-64", "x86_64-unknown-linux-gnu", "x86-64-v4", "+avx512vnni", v4, VectorTarget::X86V4,
       true, false},
      {"generic-x86-64", "x86-64", "x86_64-unknown-linux-gnu", "x86-64", "", {}, VectorTarget::X86, true, true, 2},
      {"generic-aarch64",
       "aarch64",
       "aarch64-unknown-linux-gnu",
       "generic",
       "",
       {"neon"},
       VectorTarget::Generic,
       true,
       false,
       2},
  };
  return targets;
}

Result<Target> qopt::findTarget(std::string_view name) {
  if (name == "native" || name == "generic") {
    CpuFeatures host = hostCpu();
    for (const Target &target : knownTargets())
      if (target.architecture == host.architecture && host.missing(target.features).empty() &&
          (name == "native" || target.name.starts_with("generic")))
        return target;
    return resourceError("there is no target for this machine's architecture, " + host.architecture);
  }
  std::string names = "native, generic";
  for (const Target &target : knownTargets()) {
    if (target.name == name)
      return target;
    names += ", " + target.name;
  }
  return usageError("expected a target, one of " + names + ", but got \"" + escapeForMessage(name) + "\"", "--target");
}

Target qopt::withMatrixTiles(Target target) {
  target.name += "+amx";
  target.llvmFeatures += ",+amx-tile,+amx-bf16";
  target.bf16Tiles = true;
  return target;
}

Result<Target> qopt::statisticsTarget() {
  Result<Target> target = findTarget("native");
  if (target && target->vectors == VectorTarget::X86V4Bf16 && mayUseMatrixTiles())
    return withMatrixTiles(std::move(*target));
  return target;
}

Result<std::vector<Target>> qopt::findTargets(std::string_view list) {
  std::vector<Target> targets;
  while (true) {
    size_t comma = list.find(',');
    Result<Target> target = findTarget(list.substr(0, comma));
    if (!target)
      return target.takeError();
    if (!targets.empty() && targets.front().architecture != target->architecture)
      return usageError("expected targets of one architecture, but got " + targets.front().name + " and " +
                            target->name,
                        "--target")
          .withNext("compile one artifact for each architecture");
    if (std::ranges::any_of(targets, [&](const Target &other) { return other.name == target->name; }))
      return usageError("expected each target once, but got " + target->name + " twice", "--target");
    targets.push_back(std::move(*target));
    if (comma == std::string_view::npos)
      break;
    list.remove_prefix(comma + 1);
  }
  // Best first: the runtime takes the first that it can run.
  auto rank = [](const Target &target) {
    return std::ranges::find_if(knownTargets(), [&](const Target &known) { return known.name == target.name; });
  };
  std::ranges::sort(targets, [&](const Target &a, const Target &b) { return rank(a) < rank(b); });
  return targets;
}
