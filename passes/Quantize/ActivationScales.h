// The static scales of activations: what linears with a scheme such as w8a8s read is encoded by one number per site.
//
// Linears that read the same value share it. It is chosen (lib/Algorithms/ActivationRange.h) from magnitudes of the
// model as it is when its weights are about to be rounded, over the samples of calibration. The statistics of
// calibration would not do: scales that have been folded since have changed each channel by its own factor.
#ifndef QOPT_PASSES_QUANTIZE_ACTIVATIONSCALES_H
#define QOPT_PASSES_QUANTIZE_ACTIVATIONSCALES_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Algorithms/ActivationRange.h"
#include "lib/Parameters/ParameterEvaluator.h"

#include "llvm/ADT/DenseMap.h"

#include <functional>
#include <string>
#include <vector>

namespace qopt {

class ActivationScales {
public:
  struct Site {
    std::string name; ///< the weight of the first linear that reads it
    float scale = 0, greatest = 0;
    double clamped = 0; ///< the fraction of what was seen that lies beyond 127 steps
  };

  ActivationScales() = default;

  /// Runs `module`, which is flat, over `tokens` : [samples, length]. `progress`, which may be null, is called with
  /// samples that are done, over all parts. Errors: a linear over the wanted rows, which is
  /// never seen (bad input); as chooseActivationScale; those of compiling.
  static Result<ActivationScales> find(mlir::ModuleOp module, const ParameterEvaluator &parameters,
                                       llvm::ArrayRef<transformer::LinearOp> linears, std::span<const int32_t> tokens,
                                       int64_t length, const ActivationRangeOptions &options,
                                       const std::function<void(int64_t done, int64_t total)> &progress);

  const std::vector<Site> &sites() const { return found; }
  /// The place in sites() of what an op reads, if it was among the linears.
  std::optional<size_t> siteOf(mlir::Operation *op) const {
    auto at = places.find(op);
    return at == places.end() ? std::nullopt : std::optional<size_t>(at->second);
  }

private:
  std::vector<Site> found;
  llvm::DenseMap<mlir::Operation *, size_t> places;
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_ACTIVATIONSCALES_H
