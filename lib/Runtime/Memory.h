#ifndef QOPT_LIB_RUNTIME_MEMORY_H
#define QOPT_LIB_RUNTIME_MEMORY_H

#include "lib/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace qopt {

/// Pages straight from the operating system, zero and without physical memory until they are touched: a context's arena
/// and KV cache may be sized for the worst case and cost what is used.
class Pages {
public:
  Pages() = default;
  Pages(Pages &&other) noexcept { *this = std::move(other); }
  Pages &operator=(Pages &&other) noexcept {
    std::swap(base, other.base);
    std::swap(length, other.length);
    return *this;
  }
  ~Pages();

  /// At least `bytes` bytes at an address that is a multiple of a page (of 2 MiB where `huge`, and then the kernel is
  /// asked to back them with 2 MiB pages, which it may decline). `purpose` names them in the error.
  static Result<Pages> allocate(uint64_t bytes, bool huge, std::string_view purpose);

  std::byte *data() const { return base; }
  uint64_t size() const { return length; }

private:
  std::byte *base = nullptr;
  uint64_t length = 0;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_MEMORY_H
