// SmoothQuant (Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models",
// 2023), equation 4: s_j = max|X_j|^α / max|W_j|^(1-α) moves what makes activations hard to round into the weights.
//
// α is given, or searched for among 0, 0.05, … 1 (the paper's grid search): the one with the least error of the outputs
// of all linears that read X, ‖Q(X·S⁻¹)·Q(S·Wᵀ) - X·Wᵀ‖² summed over them, with Q for weights as well as activations as
// each linear's scheme has it, weights rounded to nearest. s = 1 is among the candidates, and wins where nothing is
// better.
#ifndef QOPT_LIB_ALGORITHMS_SMOOTHQUANT_H
#define QOPT_LIB_ALGORITHMS_SMOOTHQUANT_H

#include "lib/Algorithms/ActivationRange.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Algorithms/ParallelFor.h"
#include "lib/Numerics/Scheme.h"
#include "lib/Support/Error.h"

#include <span>
#include <vector>

namespace qopt {

/// s : [factors] for max|X_j| and max|W_j| : [factors], over all linears that read the activations. Both, and s, are at
/// least 1e-5. 0 ≤ alpha ≤ 1.
std::vector<float> smoothQuantScale(std::span<const float> inputs, std::span<const float> weights, double alpha);

/// A linear that reads the activations.
struct SmoothQuantLinear {
  std::span<const float> weights; ///< [rows, channels]
  int64_t rows;
  Scheme scheme;
};

struct SmoothQuantInputs {
  MatrixView samples;                              ///< X : [tokens, channels], rows next to each other
  std::span<const float> greatest, greatestWeight; ///< max|X_j|, max|W_j| : [factors]
  std::vector<int64_t> factorOf;                   ///< [channels]: the factor of each channel
  ActivationRangeOptions staticRange = {};         ///< of static activations: of the maxima, or of the samples
};

struct SmoothQuantChoice {
  std::vector<float> factor; ///< s : [factors]; empty where 1 is best
  double alpha = 0;
  double error = 0, unscaledError = 0; ///< the objective with s, and with 1
};

/// The best α. The same bits for any number of threads. Errors (bad input): weights or activations that cannot be
/// rounded (lib/Numerics).
Result<SmoothQuantChoice> searchSmoothQuantScale(std::span<const SmoothQuantLinear> linears,
                                                 const SmoothQuantInputs &inputs, const ParallelFor &parallel);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_SMOOTHQUANT_H
