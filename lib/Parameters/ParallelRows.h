// Rows in chunks over the context's threads, with the same result for any number of them.
#ifndef QOPT_LIB_PARAMETERS_PARALLELROWS_H
#define QOPT_LIB_PARAMETERS_PARALLELROWS_H

#include "lib/Support/Error.h"

#include "mlir/IR/Threading.h"

#include <functional>
#include <vector>

namespace qopt {

/// Calls body(chunk, firstRow, endRow) for chunks of `chunkRows` rows of [0, rows), concurrently. `body` returns a
/// Status; of several errors that of the first chunk is returned. Chunks do not depend on the number of threads.
template <typename Body> Status parallelRows(mlir::MLIRContext *context, int64_t rows, int64_t chunkRows, Body &&body) {
  int64_t chunks = (rows + chunkRows - 1) / chunkRows;
  std::vector<Status> statuses(chunks);
  mlir::parallelFor(context, 0, chunks, [&](size_t chunk) {
    int64_t first = static_cast<int64_t>(chunk) * chunkRows;
    statuses[chunk] = body(static_cast<int64_t>(chunk), first, std::min(first + chunkRows, rows));
  });
  for (Status &status : statuses)
    if (!status)
      return std::move(status);
  return {};
}

/// Calls body(0) … body(count - 1) on the threads of a context: what lib/Algorithms is given to run on.
inline auto parallelFor(mlir::MLIRContext *context) {
  return [context](int64_t count, const std::function<void(int64_t)> &body) {
    mlir::parallelFor(context, 0, count, [&](size_t i) { body(static_cast<int64_t>(i)); });
  };
}

/// Rows of so many bytes that make a chunk of about 1 MiB: a multiple of `multiple`, at least that.
inline int64_t rowsPerChunk(int64_t rowBytes, int64_t multiple = 1) {
  int64_t rows = (int64_t{1} << 20) / std::max<int64_t>(rowBytes, 1);
  return std::max<int64_t>(rows / multiple, 1) * multiple;
}

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_PARALLELROWS_H
