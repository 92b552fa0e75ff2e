// SmoothQuant (Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models",
// 2023), equation 4: s_j = max|X_j|^α / max|W_j|^(1-α) moves what makes activations hard to round into the weights.
#ifndef QOPT_LIB_ALGORITHMS_SMOOTHQUANT_H
#define QOPT_LIB_ALGORITHMS_SMOOTHQUANT_H

#include <span>
#include <vector>

namespace qopt {

/// s : [factors] for max|X_j| and max|W_j| : [factors], over all linears that read the activations. Both, and s, are at
/// least 1e-5. 0 ≤ alpha ≤ 1.
std::vector<float> smoothQuantScale(std::span<const float> inputs, std::span<const float> weights, double alpha);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_SMOOTHQUANT_H
