// A vocabulary has a hundred thousand tokens, and each takes an exponential or two: scalar, they take as long as a
// small model does for the logits. The loops are plain; what makes vectors of them is one clone for each width of
// vectors, leave to add in another order, and a vector library's exp (CMakeLists.txt names it).
#include "lib/Runtime/App/RowScores.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#if defined(__x86_64__)
#define QOPT_CLONE_FOR_VECTORS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QOPT_CLONE_FOR_VECTORS
#endif

namespace qopt {

namespace {

struct Softmax {
  double maximum = 0; ///< of the logits
  double sum = 0;     ///< of exp(logit − maximum)
  size_t most = 0;    ///< where the maximum is first
  bool finite = true;
};

/// The order of floats as one of integers; NaN and the infinities are its ends.
int32_t orderOf(float value) {
  auto bits = std::bit_cast<int32_t>(value);
  return bits ^ ((bits >> 31) & std::numeric_limits<int32_t>::max());
}

struct Extent {
  int32_t least, most; ///< as orderOf has them
};

} // namespace

QOPT_CLONE_FOR_VECTORS static Extent extentOf(const float *logits, size_t count) {
  Extent extent = {std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()};
  for (size_t i = 0; i < count; ++i) {
    int32_t order = orderOf(logits[i]);
    extent.least = std::min(extent.least, order);
    extent.most = std::max(extent.most, order);
  }
  return extent;
}

QOPT_CLONE_FOR_VECTORS static double sumOfExponentials(const float *logits, size_t count, double maximum) {
#pragma clang fp reassociate(on)
  double sum = 0;
  for (size_t i = 0; i < count; ++i)
    sum += std::exp(static_cast<double>(logits[i]) - maximum);
  return sum;
}

/// Σ exp(r) (r − m) with r and m the logits less their maximum: log p − log q but for the logarithms of the sums.
QOPT_CLONE_FOR_VECTORS static double weightedDifference(const float *reference, double referenceMaximum,
                                                        const float *logits, double maximum, size_t count) {
#pragma clang fp reassociate(on)
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    double shifted = static_cast<double>(reference[i]) - referenceMaximum;
    sum += std::exp(shifted) * (shifted - (static_cast<double>(logits[i]) - maximum));
  }
  return sum;
}

static Softmax softmaxOf(std::span<const float> logits) {
  Extent extent = extentOf(logits.data(), logits.size());
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if (extent.least <= orderOf(-infinity) || extent.most >= orderOf(infinity))
    return {.finite = false};
  // By value, not by order: a zero equals one of the other sign.
  auto maximum =
      std::bit_cast<float>(extent.most < 0 ? extent.most ^ std::numeric_limits<int32_t>::max() : extent.most);
  return {maximum, sumOfExponentials(logits.data(), logits.size(), maximum),
          static_cast<size_t>(std::find(logits.begin(), logits.end(), maximum) - logits.begin()), true};
}

RowScores scoreRow(std::span<const float> logits, std::span<const float> reference, int32_t target) {
  Softmax model = softmaxOf(logits);
  RowScores scores = {.finite = model.finite};
  if (!model.finite)
    return scores;
  double logSum = std::log(model.sum);
  auto next = static_cast<size_t>(target);
  scores.loss = model.maximum + logSum - logits[next];
  if (reference.empty())
    return scores;
  Softmax wanted = softmaxOf(reference);
  scores.finite = wanted.finite;
  if (!wanted.finite)
    return scores;
  double wantedLogSum = std::log(wanted.sum);
  scores.referenceLoss = wanted.maximum + wantedLogSum - reference[next];
  scores.agrees = model.most == wanted.most;
  double weighted =
      weightedDifference(reference.data(), wanted.maximum, logits.data(), model.maximum, reference.size());
  scores.divergence = weighted / wanted.sum + logSum - wantedLogSum;
  return scores;
}

} // namespace qopt
