//===-- CpuFeatures.cpp - What the processor and the operating system support
//----------------------------------------===//
//
// An artifact holds code for several targets. Before any of it is mapped as code, the loader asks here what may run:
// a missing feature must be a message, not an illegal instruction in the middle of an answer.
//
// Sources: Intel SDM volume 1, 13.3 (XCR0) and volume 2A (CPUID leaves 1 and 7); Linux's Documentation/arch/arm64/
// elf_hwcaps.rst.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/CpuFeatures.h"

#include <algorithm>
#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace qopt {

bool CpuFeatures::has(std::string_view feature) const {
  return std::find(features.begin(), features.end(), feature) != features.end();
}

std::vector<std::string> CpuFeatures::missing(std::span<const std::string> wanted) const {
  std::vector<std::string> absent;
  for (const std::string &feature : wanted)
    if (!has(feature))
      absent.push_back(feature);
  return absent;
}

#if defined(__x86_64__)

/// XCR0: which register states the operating system saves on a context switch.
static uint64_t enabledStates() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t(high) << 32) | low;
}

CpuFeatures hostCpu() {
  CpuFeatures cpu{"x86-64", {}};
  uint32_t eax = 0, ebx = 0, leaf1 = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &leaf1, &edx))
    return cpu;
  auto bit = [](uint32_t word, int index) { return ((word >> index) & 1) != 0; };
  uint64_t states = bit(leaf1, 27) ? enabledStates() : 0; // OSXSAVE
  bool ymm = (states & 0x06) == 0x06;                     // SSE and AVX
  bool zmm = ymm && (states & 0xE0) == 0xE0;              // opmask, upper halves, upper sixteen
  uint32_t ebx7 = 0, ecx7 = 0, eax71 = 0, maxSubleaf = 0, ignored = 0;
  if (__get_cpuid_count(7, 0, &maxSubleaf, &ebx7, &ecx7, &ignored) && maxSubleaf >= 1) {
    uint32_t b, c, d;
    __get_cpuid_count(7, 1, &eax71, &b, &c, &d);
  }
  auto add = [&](bool present, const char *name) {
    if (present)
      cpu.features.emplace_back(name);
  };
  add(ymm && bit(ebx7, 5), "avx2");
  add(ymm && bit(leaf1, 12), "fma");
  add(ymm && bit(leaf1, 29), "f16c");
  add(zmm && bit(ebx7, 16), "avx512f");
  add(zmm && bit(ebx7, 30), "avx512bw");
  add(zmm && bit(ebx7, 17), "avx512dq");
  add(zmm && bit(ebx7, 31), "avx512vl");
  add(zmm && bit(ecx7, 1), "avx512vbmi");
  add(zmm && bit(ecx7, 11), "avx512vnni");
  add(zmm && bit(eax71, 5), "avx512bf16");
  return cpu;
}

#elif defined(__aarch64__)

CpuFeatures hostCpu() {
  CpuFeatures cpu{"aarch64", {}};
  uint64_t first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  auto add = [&](bool present, const char *name) {
    if (present)
      cpu.features.emplace_back(name);
  };
  add((first >> 1) & 1, "neon");     // HWCAP_ASIMD
  add((first >> 20) & 1, "dotprod"); // HWCAP_ASIMDDP
  add((second >> 13) & 1, "i8mm");   // HWCAP2_I8MM
  add((second >> 14) & 1, "bf16");   // HWCAP2_BF16
  return cpu;
}

#else

CpuFeatures hostCpu() { return {"unknown", {}}; }

#endif

} // namespace qopt
