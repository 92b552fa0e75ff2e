#ifndef QOPT_LIB_ALGORITHMS_PACKEDSYMMETRIC_H
#define QOPT_LIB_ALGORITHMS_PACKEDSYMMETRIC_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"

namespace qopt {

/// A symmetric matrix as quadratic forms read it: about half of its numbers, for any number of calls.
class PackedSymmetric {
public:
  PackedSymmetric() = default;
  explicit PackedSymmetric(MatrixView h) { assign(h); }

  void assign(MatrixView h) {
    n = h.cols;
    packed.resize(dense().packedSize(n));
    dense().packSymmetric(h, packed.data());
  }

  int64_t size() const { return n; }

  /// out[r] = Σ_jk delta[j·rows + r] · h[j, k] · delta[k·rows + r]
  void forms(const float *delta, int64_t rows, float *out) const {
    dense().quadraticForms(packed.data(), n, delta, rows, out);
  }

private:
  int64_t n = 0;
  AlignedVector<float> packed;
};

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_PACKEDSYMMETRIC_H
