#include "lib/Runtime/App/RowScores.h"

#include "lib/Runtime/App/RowSums.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qopt {

const RowSums &rowSums() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v3"))
    return detail::rowSumsV3;
#endif
  return detail::rowSumsBaseline;
}

namespace {
struct Softmax {
  double maximum = 0; ///< of the logits
  double sum = 0;     ///< of exp(logit − maximum)
  size_t most = 0;    ///< where the maximum is first
  bool finite = true;
};
} // namespace

static Softmax softmaxOf(std::span<const float> logits) {
  auto count = static_cast<int64_t>(logits.size());
  RowExtent extent = rowSums().extent(logits.data(), count);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  if (extent.least <= orderOf(-infinity) || extent.most >= orderOf(infinity))
    return {.finite = false};
  float maximum = ofOrder(extent.most);
  // By value, not by order: a zero equals one of the other sign.
  auto most = std::find(logits.begin(), logits.end(), maximum) - logits.begin();
  return {maximum, rowSums().exponentials(logits.data(), count, maximum), static_cast<size_t>(most), true};
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
  double weighted = rowSums().weightedDifference(reference.data(), wanted.maximum, logits.data(), model.maximum,
                                                 static_cast<int64_t>(reference.size()));
  scores.divergence = weighted / wanted.sum + logSum - wantedLogSum;
  return scores;
}

} // namespace qopt
