// How much a model's predictions change when one weight alone is rounded.
//
// The model is run once over the samples as it is. Then, for each weight, the segment (passes/Calibrate/Segments.h)
// that reads it is run with the weight rounded to nearest, from what the segments before have given, and the segments
// after it; what comes before is not run again. All segments stay compiled: memory is that of the whole model.
#ifndef QOPT_PASSES_QUANTIZE_SENSITIVITY_H
#define QOPT_PASSES_QUANTIZE_SENSITIVITY_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Numerics/Scheme.h"
#include "passes/Calibrate/PartRunner.h"

#include <functional>
#include <string>
#include <vector>

namespace qopt {

/// A weight, and what it is rounded to.
struct SensitivityProbe {
  std::string parameter;
  WeightScheme scheme;
};

struct SensitivityOptions {
  uint64_t memory = kStreamMemory; ///< most bytes of each stream that stay in memory
  std::function<void(int64_t done, int64_t total, const std::string &parameter)> progress = {};
};

/// KL(model ‖ model with the weight rounded), the mean in nats over the predictions of the runner's samples, for each
/// probe, in their order. `module` stays as it is. Errors: a probe that no linear over tokens reads (bad input); logits
/// that are not finite (gate); as PartRunner::run.
Result<std::vector<double>> measureSensitivities(mlir::ModuleOp module, const ParameterEvaluator &parameters,
                                                 PartRunner &runner, const std::vector<SensitivityProbe> &probes,
                                                 const SensitivityOptions &options);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_SENSITIVITY_H
