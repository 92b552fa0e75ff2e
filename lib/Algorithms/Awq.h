// AWQ (Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration", 2023): multiplies
// the inputs of weights by s, and divides the activations by it, so that the channels that carry most are rounded most
// finely.
//
// With x̄ = mean |x| and w̄ = mean over rows of |w| / max |w of its group|, over all linears that read the activations,
// candidates are s = x̄^α and s = x̄^α / (w̄^(1-α) + 1e-4) for α = i/20, each at least 1e-4 and divided by √(max s·min s),
// and s = 1. The best has the least Σ tr(ΔW·H·ΔWᵀ) with ΔW = round(W·S)·S⁻¹ - W, rounded to nearest in the scheme that
// each weight will have: the error of the outputs. Of equals the first wins, 1 before all others.
//
// Where this differs from common implementations: H stands for the activations, all of them, and not a sample; and
// where several channels have one factor (the query heads of a value head), x̄ and w̄ are means over these channels, so
// that grouped-query attention is scaled too.
#ifndef QOPT_LIB_ALGORITHMS_AWQ_H
#define QOPT_LIB_ALGORITHMS_AWQ_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Algorithms/ParallelFor.h"
#include "lib/Algorithms/RangeSearch.h"
#include "lib/Numerics/Scheme.h"
#include "lib/Support/Error.h"

#include <functional>
#include <span>
#include <vector>

namespace qopt {

/// A weight that reads the activations.
struct AwqLinear {
  std::span<const float> weights; ///< [rows, inputs]
  int64_t rows;
  WeightScheme scheme; ///< that it will be rounded in
};

struct AwqInputs {
  std::span<const float> hessian;  ///< [inputs, inputs], symmetric, aligned
  std::span<const double> meanAbs; ///< x̄ : [inputs]
  std::vector<int64_t> factorOf;   ///< [inputs]: the factor of each channel
  int64_t factors;
};

struct AwqScale {
  std::vector<float> factor; ///< s : [factors]
  double alpha = 0;
  bool usesWeights = false;            ///< whether s has w̄ in it
  double error = 0, unscaledError = 0; ///< the objective with s, and with 1
  bool isIdentity() const { return error == unscaledError; }
};

/// What rounding the linears to nearest costs, in ranges chosen by `options`: Σ tr(ΔW·H·ΔWᵀ). Infinite where a scale's
/// format cannot hold one. The same bits for any number of threads.
double nearestError(std::span<const AwqLinear> linears, MatrixView h, const ParallelFor &parallel,
                    const RangeOptions &options = {});
/// Σ tr(W·H·Wᵀ): what that is relative to.
double outputPower(std::span<const AwqLinear> linears, MatrixView h, const ParallelFor &parallel);

/// What a scale costs : [inputs], one for each channel.
using AwqObjective = std::function<Result<double>(std::span<const float> scale)>;

/// The best scale by `objective`, or, without one, by Σ tr(ΔW·H·ΔWᵀ), which needs the Hessian and does not fail.
/// Weights are finite. The same bits for any number of threads, if those of the objective are. Errors: the objective's;
/// one that is NaN (Gate).
Result<AwqScale> searchAwqScale(std::span<const AwqLinear> linears, const AwqInputs &inputs,
                                const ParallelFor &parallel, const AwqObjective &objective = nullptr);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_AWQ_H
