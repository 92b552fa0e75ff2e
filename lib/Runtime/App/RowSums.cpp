// One copy of RowSums' functions; CMake compiles this file once for each kind of processor (see RowSums.h). As in
// lib/Algorithms/Dense.cpp, nothing is used here that could become a symbol of its own.
//
// A vocabulary has a hundred thousand tokens, and each takes an exponential or two: one by one they take as long as a
// small model does for the logits. The loops are plain; what makes vectors of them is the leave to add in another order
// and a vector library's exp. The baseline's exp is scalar: clang takes an AVX2 function there.
#include "lib/Runtime/App/RowSums.h"

#include <math.h>

#pragma clang fp reassociate(on)

namespace {

qopt::RowExtent extent(const float *logits, int64_t count) {
  qopt::RowExtent found = {0x7FFFFFFF, -0x7FFFFFFF - 1};
  for (int64_t i = 0; i < count; ++i) {
    int32_t order = qopt::orderOf(logits[i]);
    found.least = order < found.least ? order : found.least;
    found.most = order > found.most ? order : found.most;
  }
  return found;
}

double exponentials(const float *logits, int64_t count, double maximum) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += ::exp(static_cast<double>(logits[i]) - maximum);
  return sum;
}

double weightedDifference(const float *reference, double referenceMaximum, const float *logits, double maximum,
                          int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    double shifted = static_cast<double>(reference[i]) - referenceMaximum;
    sum += ::exp(shifted) * (shifted - (static_cast<double>(logits[i]) - maximum));
  }
  return sum;
}

} // namespace

namespace qopt::detail {
const RowSums QOPT_ROW_SUMS{extent, exponentials, weightedDifference};
} // namespace qopt::detail
