// Seeded orthogonal matrices Q, for rotating what flows through a model (Ashkboos et al., "QuaRot: Outlier-Free 4-Bit
// Inference in Rotated LLMs", 2024): outliers of single channels are spread over all of them.
//
//   hadamard    Q = diag(±1) · H / √n, with random signs and H the Kronecker product of Hadamard matrices of orders 2,
//               12 and 20 (Paley's construction for the last two). n = 2^a · 12^b · 20^c; applied in n·log n steps.
//   orthogonal  Q uniform over all orthogonal matrices, as a product of Householder reflections of Gaussian vectors
//               (Stewart, 1980); any n.
//
// The same seed gives the same matrix; `orthogonal` also depends on the C library's logarithm and cosine.
#ifndef QOPT_LIB_ALGORITHMS_ROTATION_H
#define QOPT_LIB_ALGORITHMS_ROTATION_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Support/Error.h"

#include <cstdint>
#include <vector>

namespace qopt {

enum class RotationKind : uint8_t { Hadamard, Orthogonal };

class Rotation {
public:
  /// Error (bad input): no Hadamard matrix of that size is known here.
  static Status check(RotationKind kind, int64_t size);

  /// Errors as check. Orthogonal matrices take size³ steps.
  static Result<Rotation> create(RotationKind kind, int64_t size, uint64_t seed);

  int64_t size() const { return n; }

  /// v ← v·Q for `count` row vectors; element i of vector t stands at tile[i·count + t]. `tile` is aligned to 64 bytes.
  void apply(float *tile, int64_t count) const;

  /// Q : [size, size], row-major.
  std::vector<double> matrix() const;

private:
  Rotation(RotationKind kind, int64_t n) : kind(kind), n(n) {}

  RotationKind kind;
  int64_t n;
  std::vector<float> signs;      ///< [n], of a Hadamard rotation
  std::vector<int> orders;       ///< whose Kronecker product H is, from the slowest index to the fastest
  AlignedVector<float> negative; ///< -Q : [n, n], of an orthogonal one
};

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_ROTATION_H
