// Activations in the form in which a linear takes them, as f32 again: what calibrated algorithms see of them.
#ifndef QOPT_LIB_ALGORITHMS_ACTIVATIONROUNDER_H
#define QOPT_LIB_ALGORITHMS_ACTIVATIONROUNDER_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Numerics/Scheme.h"
#include "lib/Support/Error.h"

#include <optional>
#include <vector>

namespace qopt {

class ActivationRounder {
public:
  ActivationRounder(ActivationKind kind, int64_t tokens, int64_t channels);

  /// x : [tokens, channels], rows next to each other; `fixed` : the scale of static activations. The result is x itself
  /// where activations stay in f32, and valid until the next call. Errors: as lib/Numerics/Activations.h.
  Result<MatrixView> round(MatrixView x, std::optional<float> fixed = std::nullopt);

private:
  int64_t group() const;

  ActivationKind kind;
  int64_t tokens, channels;
  AlignedVector<float> rounded;
  std::vector<uint16_t> halves;
  std::vector<int8_t> codes;
  std::vector<float> scales;
};

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_ACTIVATIONROUNDER_H
