// The sums over a vocabulary that scores of a row are made of. RowSums.cpp is compiled once for each kind of processor
// that pays, and the best is chosen when the program starts; the functions of all are the same but for the last bits.
#ifndef QOPT_LIB_RUNTIME_APP_ROWSUMS_H
#define QOPT_LIB_RUNTIME_APP_ROWSUMS_H

#include <cstdint>

namespace qopt {

/// The least and the greatest of some floats as integers in the same order; NaN and the infinities are its ends.
struct RowExtent {
  int32_t least, most;
};

struct RowSums {
  RowExtent (*extent)(const float *logits, int64_t count);

  /// Σ exp(logit − maximum)
  double (*exponentials)(const float *logits, int64_t count, double maximum);

  /// Σ exp(r) (r − m) with r and m the logits less their maximum: Σ p (log p − log q) but for the logarithms of the
  /// sums.
  double (*weightedDifference)(const float *reference, double referenceMaximum, const float *logits, double maximum,
                               int64_t count);
};

/// The best for this processor.
const RowSums &rowSums();

namespace detail {
extern const RowSums rowSumsBaseline;
extern const RowSums rowSumsV3;
} // namespace detail

/// The integer that stands for a float in RowExtent, and back. Static: copies of RowSums.cpp must not share them.
static inline int32_t orderOf(float value) {
  auto bits = __builtin_bit_cast(int32_t, value);
  return bits ^ ((bits >> 31) & 0x7FFFFFFF);
}
static inline float ofOrder(int32_t order) { return __builtin_bit_cast(float, order ^ ((order >> 31) & 0x7FFFFFFF)); }

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_ROWSUMS_H
