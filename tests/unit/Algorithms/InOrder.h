// A ParallelFor of one thread, for tests of what takes one.
#ifndef QOPT_TESTS_UNIT_ALGORITHMS_INORDER_H
#define QOPT_TESTS_UNIT_ALGORITHMS_INORDER_H

#include <cstdint>
#include <functional>

namespace qopt {

inline void inOrder(int64_t count, const std::function<void(int64_t)> &body) {
  for (int64_t i = 0; i < count; ++i)
    body(i);
}

} // namespace qopt

#endif // QOPT_TESTS_UNIT_ALGORITHMS_INORDER_H
