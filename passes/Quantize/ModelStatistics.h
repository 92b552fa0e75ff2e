// Statistics of what a module computes: taken from the model as it was calibrated, and brought up to date where scales
// have been taken into its weights since.
//
// Activations x that became x / s have S⁻¹·H·S⁻¹ in place of H. Which s that is, the weights that read them say
// (passes/Fold/InputScale.h), so nothing has to be kept in step.
#ifndef QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H
#define QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Parameters/ParameterEvaluator.h"

#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace qopt {

class ModelStatistics {
public:
  /// Opens the archive at `path`, for a module whose archives are named relative to `directory`. Errors: no path
  /// (usage); an archive that cannot be read, is of another model, its weights included, or a shard (bad input).
  static Result<ModelStatistics> open(mlir::ModuleOp module, const std::string &path, const std::string &directory);

  /// The same if they are `needed`, else none.
  static Result<std::optional<ModelStatistics>> openIf(bool needed, mlir::ModuleOp module, const std::string &path,
                                                       const std::string &directory);

  const StatisticsArchive &archive() const { return statistics; }
  int64_t tokens() const { return statistics.tokens(); }

  /// The inputs of a weight.
  struct Inputs {
    const Site *site;
    std::vector<float> scale; ///< s : [inputs], or empty

    bool operator==(const Inputs &) const = default;
  };
  /// Error (bad input): the archive knows nothing of the linear of this weight, or has no Gram matrix where one is
  /// needed.
  Result<Inputs> inputsOf(transformer::ParameterOp weight, ParameterEvaluator &parameters, bool needsGram = true) const;

  /// H = Σ x·xᵀ over the inputs as they are now.
  struct Hessian {
    AlignedVector<float> own;      ///< [inputs, inputs], where they are scaled
    std::span<const float> values; ///< [inputs, inputs], aligned: a view into `own` or the archive
  };
  Hessian hessianOf(const Inputs &inputs) const;

private:
  explicit ModelStatistics(StatisticsArchive archive) : statistics(std::move(archive)) {}
  StatisticsArchive statistics;
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H
