// Runs a model over samples, segment by segment, and gathers statistics where its observers stand.
//
// Memory holds one segment with its statistics, and the residual stream of all samples, which moves to a file where it
// would take more than `memory`. Statistics are those of the model as it is: nothing is quantized on the way.
#ifndef QOPT_PASSES_CALIBRATE_CALIBRATEMODEL_H
#define QOPT_PASSES_CALIBRATE_CALIBRATEMODEL_H

#include "lib/Calibration/StatisticsArchive.h"
#include "passes/Calibrate/PartRunner.h"

namespace qopt {

struct CalibrateOptions {
  uint64_t memory = kStreamMemory; ///< most bytes of a stream that is kept in memory
  int64_t firstSample = 0;         ///< the number of the runner's first sample: not 0 for a shard
  /// Called with samples done and in all, over all segments.
  std::function<void(int64_t, int64_t)> progress;
};

/// What people should know of the sites.
struct CalibrationReport {
  struct Silent {
    std::string site;
    int64_t channels; ///< that no token has touched
  };
  std::vector<Silent> silent;
  std::vector<std::string> fewTokens; ///< sites with fewer tokens than channels: GPTQ will refuse them
  int64_t segments = 0, compiled = 0; ///< segments that were run, and how many of them needed code of their own
};

/// The sites of a module's observers, in order.
std::vector<Site> findSites(mlir::ModuleOp module);

/// `module` has observers and is flat. Errors: no observers; activations that are not finite (gate); those of
/// compiling.
Result<CalibrationReport> calibrateModel(mlir::ModuleOp module, const ParameterEvaluator &parameters,
                                         PartRunner &runner, StatisticsWriter &writer, const CalibrateOptions &options);

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_CALIBRATEMODEL_H
