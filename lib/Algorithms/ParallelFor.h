#ifndef QOPT_LIB_ALGORITHMS_PARALLELFOR_H
#define QOPT_LIB_ALGORITHMS_PARALLELFOR_H

#include <cstdint>
#include <functional>

namespace qopt {

/// Calls body(0) … body(count - 1), in any order, on as many threads as there are.
using ParallelFor = std::function<void(int64_t count, const std::function<void(int64_t)> &body)>;

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_PARALLELFOR_H
