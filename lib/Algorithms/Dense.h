// The dense arithmetic of calibrated algorithms: Gram matrices, factors of their inverses, products, rounding errors.
//
// Eigen factors and inverts; sums of products are ours (ProductSums.h). Dense.cpp is compiled once for each instruction
// set that pays, and the best that the processor has is chosen when the program starts (DenseDispatch.cpp); the
// functions of all are the same but for the last bits. Each is a pure function of its operands, on one thread: callers
// that split work by output get the same bits for any number of threads. Operands begin at multiples of 64 bytes
// (Aligned.h).
#ifndef QOPT_LIB_ALGORITHMS_DENSE_H
#define QOPT_LIB_ALGORITHMS_DENSE_H

#include <cstdint>

namespace qopt {

/// A row-major matrix of f32 that belongs to someone else; rows begin `stride` elements apart.
struct MatrixView {
  const float *data;
  int64_t rows, cols, stride;
};

struct Dense {
  /// The name of the instruction set: "x86-64-v4+amx", "x86-64-v4", "x86-64-v3" or "baseline".
  const char *name;

  /// out[i, j] += Σ_t x[t, firstRow + i] · x[t, firstCol + j], for out : [rows, cols] row-major. Of what is below the
  /// diagonal, firstRow + i > firstCol + j, some is left as it was: it stands above it too. With AMX products are those
  /// of ProductTiles.h.
  void (*addGram)(MatrixView x, int64_t firstRow, int64_t rows, int64_t firstCol, int64_t cols, float *out,
                  int64_t outStride);

  /// For each column c, over the rows: sum[c] += x, magnitude[c] += |x|, and greatest[c] becomes the greatest |x|.
  /// Gives how many numbers are NaN, which greatest passes over, or infinite.
  int64_t (*addMoments)(MatrixView x, double *sum, double *magnitude, float *greatest);

  /// u : [n, n] row-major, upper triangular, with (P·h'·Pᵀ + damping·I)⁻¹ = uᵀ·u, where row i of P·h'·Pᵀ is row
  /// order[i] of h', and h' is h with all but its diagonal times 1 - shrink. Factored in f64 (the Cholesky factor of
  /// the reversed matrix, inverted in place), rounded once to f32. False, and `u` is worthless, if the matrix is not
  /// positive definite. Takes 8·n² bytes.
  bool (*inverseFactor)(MatrixView h, const int32_t *order, int64_t n, double shrink, double damping, float *u);

  /// w[k·rows + r] -= Σ_b e[b·rows + r] · u[b·uStride + k], for k < cols, b < depth: what the errors of `depth` columns
  /// leave to those after them.
  void (*subtractFeedback)(float *w, int64_t rows, int64_t cols, const float *e, int64_t depth, const float *u,
                           int64_t uStride);

  /// The same for the errors of one column: w[k·rows + r] -= e[r] · u[k].
  void (*subtractColumn)(float *w, int64_t rows, int64_t cols, const float *e, const float *u);

  /// delta[k·rows + r] = w - scale[r]·rint(clamp(w / scale[r], low[r], high[r])) with w = w[k·rows + r]; w itself where
  /// the scale is 0.
  void (*roundingErrors)(const float *w, int64_t rows, int64_t cols, const float *scale, const float *low,
                         const float *high, float *delta);

  /// Numbers of a symmetric matrix [n, n] as quadraticForms reads it, and how they are made (PackedSymmetric.h).
  int64_t (*packedSize)(int64_t n);
  void (*packSymmetric)(MatrixView h, float *packed);

  /// out[r] = Σ_jk delta[j·rows + r] · h[j, k] · delta[k·rows + r] for symmetric h : [n, n].
  void (*quadraticForms)(const float *packed, int64_t n, const float *delta, int64_t rows, float *out);
};

/// The best for this processor.
const Dense &dense();

namespace detail {
extern const Dense denseBaseline;
extern const Dense denseV3;
extern const Dense denseV4;
extern const Dense denseTiles;
} // namespace detail

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_DENSE_H
