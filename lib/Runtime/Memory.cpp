//===-- Memory.cpp - Anonymous pages, small and huge
//-----------------------------------------------------------------===//
//
// Huge pages need an aligned range: a larger range is mapped and its ends are given back, so that what remains is
// exactly the aligned part and unmaps as one.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/Memory.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace qopt {

static constexpr uint64_t kHugePage = uint64_t(2) << 20;

Pages::~Pages() {
  if (base)
    munmap(base, length);
}

Result<Pages> Pages::allocate(uint64_t bytes, bool huge, std::string_view purpose) {
  uint64_t page = huge ? kHugePage : static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  auto failed = [&](const char *why) -> Error {
    return resourceError("could not get " + std::to_string(bytes) + " bytes of memory for the " + std::string(purpose) +
                         ": " + why);
  };
  if (bytes > UINT64_MAX / 4)
    return failed("more than an address space");
  uint64_t rounded = (bytes + page - 1) / page * page;
  if (rounded == 0)
    rounded = page;
  uint64_t mapped = huge ? rounded + kHugePage : rounded;
  void *start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED)
    return failed(std::strerror(errno));
  auto address = reinterpret_cast<uintptr_t>(start);
  if (huge) {
    uintptr_t aligned = (address + kHugePage - 1) / kHugePage * kHugePage;
    if (aligned != address)
      munmap(start, aligned - address);
    if (uint64_t tail = address + mapped - (aligned + rounded))
      munmap(reinterpret_cast<void *>(aligned + rounded), tail);
    address = aligned;
    // Declined where the kernel is built or set without them; small pages then serve.
    (void)madvise(reinterpret_cast<void *>(address), rounded, MADV_HUGEPAGE);
  }
  Pages pages;
  pages.base = reinterpret_cast<std::byte *>(address);
  pages.length = rounded;
  return pages;
}

} // namespace qopt
