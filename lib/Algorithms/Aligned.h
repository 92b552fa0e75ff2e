// Vectors that begin at a multiple of 64 bytes: no vector of the machine lies across two lines of a cache.
#ifndef QOPT_LIB_ALGORITHMS_ALIGNED_H
#define QOPT_LIB_ALGORITHMS_ALIGNED_H

#include <cstddef>
#include <new>
#include <vector>

namespace qopt {

template <typename T> struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t alignment{64};

  AlignedAllocator() = default;
  template <typename U> AlignedAllocator(const AlignedAllocator<U> &) {}
  T *allocate(size_t count) { return static_cast<T *>(::operator new(count * sizeof(T), alignment)); }
  void deallocate(T *pointer, size_t) { ::operator delete(pointer, alignment); }
  bool operator==(const AlignedAllocator &) const { return true; }
};

template <typename T> using AlignedVector = std::vector<T, AlignedAllocator<T>>;

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_ALIGNED_H
