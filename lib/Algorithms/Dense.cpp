// One copy of Dense's functions; CMake compiles this file once for each instruction set (see Dense.h).
//
// QOPT_DENSE names the table that this copy defines. Eigen's own namespace is renamed with it: otherwise the linker
// would keep one copy of each of Eigen's templates, and perhaps one that the processor cannot run. For the same reason
// nothing else that could become a symbol of its own (standard containers, for one) is used here; a test looks at the
// objects.
#define QOPT_JOIN_(a, b) a##b
#define QOPT_JOIN(a, b) QOPT_JOIN_(a, b)
#define Eigen QOPT_JOIN(EigenFor_, QOPT_DENSE)
#define EIGEN_DONT_PARALLELIZE
#define EIGEN_MPL2_ONLY
#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "lib/Algorithms/Dense.h"
#include "lib/Algorithms/ProductSums.h"
#if defined(__AMX_BF16__)
#include "lib/Algorithms/ProductTiles.h"
#endif

namespace {

using Doubles = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

void addGram(qopt::MatrixView x, int64_t firstRow, int64_t rows, int64_t firstCol, int64_t cols, float *out,
             int64_t outStride) {
#if defined(__AMX_BF16__)
  tiles::addGram(x.data, x.stride, x.rows, firstRow, rows, firstCol, cols, out, outStride);
#else
  sums::addProduct(x.data + firstRow, x.stride, rows, x.data + firstCol, x.stride, cols, x.rows, 1, out, outStride,
                   firstCol - firstRow);
#endif
}

int64_t addMoments(qopt::MatrixView x, double *sum, double *magnitude, float *greatest) {
  constexpr float kInfinity = __builtin_huge_valf();
  int64_t strange = 0;
  for (int64_t row = 0; row < x.rows; ++row) {
    const float *values = x.data + row * x.stride;
    int32_t here = 0;
    for (int64_t col = 0; col < x.cols; ++col) {
      float value = values[col], size = __builtin_fabsf(value);
      here += !(size < kInfinity);
      greatest[col] = size > greatest[col] ? size : greatest[col];
      sum[col] += static_cast<double>(value);
      magnitude[col] += static_cast<double>(size);
    }
    strange += here;
  }
  return strange;
}

/// Columns that invertLower takes at a time.
constexpr int64_t kInverseBlock = 64;

/// The inverse of a lower triangular matrix in its own place, by columns from the last: below the block that is being
/// inverted stands the inverse already, X_below = -X_rest · L_below · X_block.
void invertLower(Eigen::Ref<Doubles> l) {
  int64_t n = l.rows();
  for (int64_t end = n; end > 0;) {
    int64_t first = end > kInverseBlock ? end - kInverseBlock : 0, width = end - first, below = n - end;
    Doubles block = Doubles::Identity(width, width);
    l.block(first, first, width, width).triangularView<Eigen::Lower>().solveInPlace(block);
    if (below > 0) {
      Doubles product =
          l.block(end, end, below, below).triangularView<Eigen::Lower>() * l.block(end, first, below, width);
      l.block(end, first, below, width).noalias() = -product * block;
    }
    l.block(first, first, width, width).triangularView<Eigen::Lower>() = block;
    end = first;
  }
}

bool inverseFactor(qopt::MatrixView h, const int32_t *order, int64_t n, double shrink, double damping, float *u) {
  // Reversed, so that the lower factor of the matrix becomes the upper factor of its inverse.
  Doubles reversed(n, n);
  for (int64_t j = 0; j < n; ++j) {
    const float *row = h.data + order[n - 1 - j] * h.stride;
    for (int64_t i = j; i < n; ++i)
      reversed(i, j) = row[order[n - 1 - i]] * (i == j ? 1 : 1 - shrink);
    reversed(j, j) += damping;
  }
  Eigen::LLT<Eigen::Ref<Doubles>> cholesky(reversed);
  if (cholesky.info() != Eigen::Success)
    return false;
  invertLower(reversed);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j)
      u[i * n + j] = 0;
    for (int64_t j = i; j < n; ++j)
      u[i * n + j] = static_cast<float>(reversed(n - 1 - i, n - 1 - j));
    // A factor that overflows f32, or is not a number, is no factor.
    if (!(u[i * n + i] > 0 && u[i * n + i] < 3e38F))
      return false;
  }
  return true;
}

void subtractFeedback(float *w, int64_t rows, int64_t cols, const float *e, int64_t depth, const float *u,
                      int64_t uStride) {
  sums::addProduct(u, uStride, cols, e, rows, rows, depth, -1, w, rows);
}

void subtractColumn(float *w, int64_t rows, int64_t cols, const float *e, const float *u) {
  for (int64_t k = 0; k < cols; ++k)
    for (int64_t r = 0; r < rows; ++r)
      w[k * rows + r] -= e[r] * u[k];
}

void roundingErrors(const float *w, int64_t rows, int64_t cols, const float *scale, const float *low, const float *high,
                    float *delta) {
  for (int64_t k = 0; k < cols; ++k) {
    const float *from = w + k * rows;
    float *to = delta + k * rows;
    for (int64_t r = 0; r < rows; ++r) {
      float steps = from[r] / scale[r];
      steps = steps > low[r] ? steps : low[r];
      steps = steps < high[r] ? steps : high[r];
      // 1.5·2^23: adding it leaves the nearest integer, as in lib/Numerics/RoundToNearest.cpp.
      float nearest = (steps + 0x1.8p23F) - 0x1.8p23F;
      to[r] = scale[r] != 0 ? from[r] - scale[r] * nearest : from[r];
    }
  }
}

int64_t packedSize(int64_t n) { return sums::packedSize(n); }

void packSymmetric(qopt::MatrixView h, float *packed) { sums::packSymmetric(h.data, h.stride, h.cols, packed); }

void quadraticForms(const float *packed, int64_t n, const float *delta, int64_t rows, float *out) {
  sums::forms(packed, n, delta, rows, out);
}

} // namespace

namespace qopt::detail {
const Dense QOPT_DENSE{QOPT_DENSE_NAME, addGram,        addMoments, inverseFactor, subtractFeedback,
                       subtractColumn,  roundingErrors, packedSize, packSymmetric, quadraticForms};
} // namespace qopt::detail
