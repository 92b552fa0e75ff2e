// Matrices turned, so that their rows stand side by side.
#ifndef QOPT_LIB_ALGORITHMS_COLUMNS_H
#define QOPT_LIB_ALGORITHMS_COLUMNS_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"

#include <algorithm>

namespace qopt {

/// to[k * stride + r] = matrix[r, k].
inline void copyColumns(MatrixView matrix, float *to, int64_t stride) {
  // As many columns at a time as a cache line holds: what is written stays in cache until it is full.
  constexpr int64_t kColumns = 16;
  for (int64_t first = 0; first < matrix.cols; first += kColumns) {
    int64_t end = std::min(first + kColumns, matrix.cols);
    for (int64_t r = 0; r < matrix.rows; ++r)
      for (int64_t k = first; k < end; ++k)
        to[k * stride + r] = matrix.data[r * matrix.stride + k];
  }
}

/// The matrix with columns outermost, [cols, rows]: what the functions of Dense that take rows side by side want.
inline AlignedVector<float> columnsOf(MatrixView matrix) {
  AlignedVector<float> columns(matrix.cols * matrix.rows);
  copyColumns(matrix, columns.data(), matrix.rows);
  return columns;
}

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_COLUMNS_H
