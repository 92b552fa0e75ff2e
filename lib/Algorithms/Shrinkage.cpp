// See Shrinkage.h.
#include "lib/Algorithms/Shrinkage.h"

using namespace qopt;

Status qopt::checkShrinkage(double shrink) {
  if (!(shrink >= 0 && shrink < 1))
    return usageError("expected a shrinkage in [0, 1), but got " + std::to_string(shrink));
  return {};
}

AlignedVector<float> qopt::shrunkHessian(MatrixView h, double shrink) {
  AlignedVector<float> result(h.rows * h.cols);
  auto keep = static_cast<float>(1 - shrink);
  for (int64_t i = 0; i < h.rows; ++i)
    for (int64_t j = 0; j < h.cols; ++j)
      result[i * h.cols + j] = h.data[i * h.stride + j] * (i == j ? 1 : keep);
  return result;
}
