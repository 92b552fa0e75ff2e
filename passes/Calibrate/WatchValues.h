// Runs a model over samples, segment by segment, and shows values on the way: what calibration and static ranges have
// in common. Memory holds one segment, and the stream between segments of all samples.
#ifndef QOPT_PASSES_CALIBRATE_WATCHVALUES_H
#define QOPT_PASSES_CALIBRATE_WATCHVALUES_H

#include "passes/Calibrate/PartRunner.h"
#include "passes/Calibrate/Segments.h"

#include "llvm/ADT/DenseSet.h"

namespace qopt {

/// Who looks at the values of a run. A segment makes some of those that are watched.
struct ValueWatcher {
  /// The segment that makes `values` comes next, one of `segments` in all.
  std::function<void(llvm::ArrayRef<mlir::Value> values, int64_t segments)> begin;
  /// They are there for one sample, each [tokens, channels].
  std::function<Status(int64_t sample, llvm::ArrayRef<MatrixView> values)> see;
  /// The segment has been run over all samples.
  std::function<Status()> finish;
};

/// Runs the segments of `module`, which is flat, up to the last that makes a value of `watched`, and returns their
/// number. Values over the wanted rows, in the segment that ends in logits, are never seen.
/// `memory`: most bytes of a stream that is kept in memory. Errors: the watcher's, and those of compiling.
Result<int64_t> watchValues(mlir::ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner,
                            uint64_t memory, const llvm::DenseSet<mlir::Value> &watched, const ValueWatcher &watcher);

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_WATCHVALUES_H
