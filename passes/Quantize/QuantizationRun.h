// A quantization of a model's weights under way: what round to nearest and the calibrated algorithms have in common.
//
// A recipe decides what becomes of each weight; an algorithm turns rows of weights into codes; the run writes these to
// an overlay archive, rewrites the ops that read them, and keeps the ledger. Weights come in any order, and ops may be
// rewritten at once (the algorithms that follow the quantized model need that) or at the end; the overlay is complete
// before the IR names it.
#ifndef QOPT_PASSES_QUANTIZE_QUANTIZATIONRUN_H
#define QOPT_PASSES_QUANTIZE_QUANTIZATIONRUN_H

#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Numerics/RoundToNearest.h"
#include "lib/Parameters/OverlayWriter.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "lib/Parameters/ResumeFolder.h"
#include "passes/Quantize/ActivationScales.h"
#include "passes/Quantize/QuantizeContext.h"
#include "passes/Quantize/Selection.h"

#include "mlir/IR/PatternMatch.h"

#include <functional>

namespace qopt {

/// Quantizes weights : [rows, inputs], rows [first, first + rows) of a parameter. For several threads at once.
using RowQuantizer =
    std::function<Status(int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out)>;

/// What quantizing a weight has cost, for a line of progress: "NAME: error 1.2e-03, output 4.1e-05, damping 0.01".
std::string describeCost(const LedgerRow &row);

class QuantizationRun {
public:
  struct Options {
    std::string overlay;   ///< the archive to write
    std::string directory; ///< that the IR's paths are relative to
    llvm::SmallVector<std::string> absorb =
        {};                         ///< files of archives whose tensors, if they stay in use, the overlay takes
    ResumeFolder *resume = nullptr; ///< where finished weights are kept, if they are
    // For the overlay's provenance:
    const StatisticsArchive *statistics = nullptr;
    std::string recipe = {};               ///< as YAML; empty: begin()'s, whose gates nobody judges
    nlohmann::ordered_json gateTexts = {}; ///< see QuantizeContext
    std::function<void(int64_t done, int64_t total)> rangeProgress = {}; ///< see QuantizeContext

    /// What the options of a pass and its context come to. `statistics` may be null.
    static Options of(const std::string &overlay, const std::string &directory, llvm::ArrayRef<std::string> absorb,
                      const QuantizeContext &context, const StatisticsArchive *statistics) {
      return {overlay,        directory,         {absorb.begin(), absorb.end()}, context.resume, statistics,
              context.recipe, context.gateTexts, context.rangeProgress};
    }
  };

  /// Opens the model's archives, decides every parameter, and finds the static scales of activations, where any are
  /// wanted. Errors: as selectTargets and ActivationScales::find; no statistics where scales are wanted (usage); as
  /// checkArchiveToWrite.
  static Result<QuantizationRun> begin(mlir::ModuleOp module, const Recipe &recipe, const Options &options);

  std::vector<QuantizationTarget> &targets() { return selection.targets; }
  LedgerRow &row(const QuantizationTarget &target) { return selection.ledger.rows[target.row]; }
  ParameterEvaluator &parameters() { return *evaluator; }
  int64_t totalElements();
  /// The static scale of what an op of a target reads; nothing if it has none.
  std::optional<float> activationScaleOf(mlir::Operation *op) const;

  /// Starts the overlay: the ledger's rows are final but for errors and damping.
  Status startOverlay();

  struct How {
    int64_t chunkRows = 0; ///< that a thread takes at a time; 0: about 1 MiB of them
    bool keep = false;     ///< provide the result to parameters(), under the names that rewrite() declares
    std::function<void(LedgerRow &)> complete = {}; ///< what the quantizer adds to the row, when all rows are done
  };
  /// Quantizes one weight by chunks of rows on the context's threads, writes it and completes its row of the ledger.
  Status quantize(QuantizationTarget &target, const RowQuantizer &quantizer, const How &how);
  Status quantize(QuantizationTarget &target, const RowQuantizer &quantizer);

  /// Whether an earlier process has finished this weight.
  bool isFinished(const QuantizationTarget &target) const;
  /// What quantize() does, for a weight that is finished: codes and row are those of that process.
  Status takeFinished(QuantizationTarget &target, bool keep);

  struct Finished {
    int64_t rewritten = 0, erased = 0; ///< ops; parameters that nothing uses any more
  };
  /// Starts the overlay, has `quantizer` quantize() each target in turn that is not finished, and finishes it.
  Result<Finished> quantizeAll(llvm::function_ref<Status(QuantizationTarget &)> quantizer,
                               const QuantizeContext &context);

  /// Declares what a weight became and rewrites the ops that use it. The new parameters have no source before finish().
  void rewrite(QuantizationTarget &target);

  /// Completes the overlay (or leaves its name to `outputs`), rewrites what is left, and drops what nothing uses.
  Result<Finished> finish(OutputSet *outputs);

private:
  QuantizationRun(mlir::ModuleOp module, Options options) : module(module), options(std::move(options)) {}

  Status findActivationScales(const Recipe &recipe);
  /// The parameter of a linear's static scale, declared the first time; null if it has none.
  transformer::ParameterOp activationScaleParameter(mlir::Operation *op, mlir::RewriterBase &rewriter);

  mlir::ModuleOp module;
  Options options;
  std::string overlayPath; ///< as the IR will name it
  std::unique_ptr<ParameterEvaluator> evaluator;
  Selection selection;
  ActivationScales activationScales;
  llvm::DenseMap<size_t, transformer::ParameterOp> scaleParameters; ///< of the sites of activationScales
  nlohmann::ordered_json provenance;
  std::optional<OverlayWriter> writer;
  llvm::SmallVector<std::string> absorbedArchives;      ///< the symbols of `absorb`
  llvm::SmallVector<transformer::ParameterOp> absorbed; ///< parameters of these that what is not quantized needs
  llvm::SmallVector<transformer::ParameterOp> declared; ///< by rewrite()
  llvm::DenseSet<size_t> rewrittenRows;
  int64_t rewrittenOps = 0;
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_QUANTIZATIONRUN_H
