// A quantization of a model's weights under way: what round to nearest and the calibrated algorithms have in common.
//
// A recipe decides what becomes of each weight; an algorithm turns rows of weights into codes; the run writes these to
// an overlay archive, rewrites the ops that read them, and keeps the ledger. Weights come in any order, and ops may be
// rewritten at once (the algorithms that follow the quantized model need that) or at the end; the overlay is complete
// before the IR names it.
#ifndef QOPT_PASSES_QUANTIZE_QUANTIZATIONRUN_H
#define QOPT_PASSES_QUANTIZE_QUANTIZATIONRUN_H

#include "lib/Numerics/RoundToNearest.h"
#include "lib/Parameters/OverlayWriter.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "passes/Quantize/Selection.h"

#include "mlir/IR/PatternMatch.h"

#include <functional>

namespace qopt {

/// Quantizes weights : [rows, inputs], rows [first, first + rows) of a parameter. For several threads at once.
using RowQuantizer =
    std::function<Status(int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out)>;

class QuantizationRun {
public:
  struct Options {
    std::string overlay;   ///< the archive to write
    std::string directory; ///< that the IR's paths are relative to
    llvm::SmallVector<std::string> absorb =
        {}; ///< files of archives whose tensors, if they stay in use, the overlay takes
  };

  /// Opens the model's archives and decides every parameter. Errors: as selectTargets; an overlay that is an archive of
  /// the model itself.
  static Result<QuantizationRun> begin(mlir::ModuleOp module, const Recipe &recipe, const Options &options);

  std::vector<QuantizationTarget> &targets() { return selection.targets; }
  LedgerRow &row(const QuantizationTarget &target) { return selection.ledger.rows[target.row]; }
  ParameterEvaluator &parameters() { return *evaluator; }
  int64_t totalElements();

  /// Starts the overlay: the ledger's rows are final but for errors and damping.
  Status startOverlay();

  /// Quantizes one weight by chunks of rows, a multiple of `rowMultiple` each, on the context's threads, writes it and
  /// completes its row of the ledger. With `keep`, the result is also provided to parameters(), under the names that
  /// rewrite() declares.
  Status quantize(QuantizationTarget &target, const RowQuantizer &quantizer, int64_t rowMultiple = 1,
                  bool keep = false);

  struct Finished {
    int64_t rewritten = 0, erased = 0; ///< ops; parameters that nothing uses any more
  };
  /// Starts the overlay, has `quantizer` quantize() each target in turn, and finishes it. `progress` hears of elements
  /// that are done and those that there are.
  Result<Finished> quantizeAll(llvm::function_ref<Status(QuantizationTarget &)> quantizer, OutputSet *outputs,
                               const std::function<void(int64_t done, int64_t total)> &progress = {});

  /// Declares what a weight became and rewrites the ops that use it. The new parameters have no source before finish().
  void rewrite(QuantizationTarget &target);

  /// Completes the overlay (or leaves its name to `outputs`), rewrites what is left, and drops what nothing uses.
  Result<Finished> finish(OutputSet *outputs);

private:
  QuantizationRun(mlir::ModuleOp module, Options options) : module(module), options(std::move(options)) {}

  mlir::ModuleOp module;
  Options options;
  std::string overlayPath; ///< as the IR will name it
  std::unique_ptr<ParameterEvaluator> evaluator;
  Selection selection;
  std::optional<OverlayWriter> writer;
  llvm::SmallVector<std::string> absorbedArchives;      ///< the symbols of `absorb`
  llvm::SmallVector<transformer::ParameterOp> absorbed; ///< parameters of these that what is not quantized needs
  llvm::SmallVector<transformer::ParameterOp> declared; ///< by rewrite()
  llvm::DenseSet<size_t> rewrittenRows;
  int64_t rewrittenOps = 0;
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_QUANTIZATIONRUN_H
