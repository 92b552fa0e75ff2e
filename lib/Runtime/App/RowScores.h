// What the logits at one place of a text say: of the token that follows, and of how far they are from a reference's.
#ifndef QOPT_LIB_RUNTIME_APP_ROWSCORES_H
#define QOPT_LIB_RUNTIME_APP_ROWSCORES_H

#include <cstdint>
#include <span>

namespace qopt {

/// Softmax and sums in f64, in nats.
struct RowScores {
  double loss = 0;          ///< −log p(next token) of the model
  double referenceLoss = 0; ///< and of the reference; these three are 0 without one
  double divergence = 0;    ///< KL(reference ‖ model)
  bool agrees = false;      ///< both find the same token most likely, the first of several
  bool finite = true;       ///< false: a logit is NaN or infinite, and nothing else is meant
};

/// logits, reference : [vocabulary], at least one; `reference` may be empty. `target` is the token that follows in the
/// text. Rounding of the sums depends on the CPU's vectors: figures of two kinds of CPU agree to 1e-12 or so, not to
/// the bit.
RowScores scoreRow(std::span<const float> logits, std::span<const float> reference, int32_t target);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_ROWSCORES_H
