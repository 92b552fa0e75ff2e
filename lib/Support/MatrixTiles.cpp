// Sources: Intel SDM volume 1, 13.3 (XCR0) and volume 2A (CPUID leaves 1 and 7); Linux's Documentation/arch/x86/
// xstate.rst.
#include "lib/Support/MatrixTiles.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

static bool requestTiles() {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  auto bit = [](uint32_t word, int index) { return ((word >> index) & 1) != 0; };
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !bit(ecx, 27)) // OSXSAVE
    return false;
  uint32_t states, upperStates;
  __asm__ volatile("xgetbv" : "=a"(states), "=d"(upperStates) : "c"(0));
  if (!bit(states, 17) || !bit(states, 18) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
    return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18; // ARCH_REQ_XCOMP_PERM, XTILEDATA
  return bit(edx, 22) && bit(edx, 24) && ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#else

static bool requestTiles() { return false; }

#endif

bool qopt::mayUseMatrixTiles() {
  static const bool may = requestTiles();
  return may;
}
