// Hessians of a model that is being quantized: each linear's inputs are what the linears before it, already quantized,
// make of the samples.
//
// The model is run segment by segment (passes/Calibrate/Segments.h). Within a segment, linears that read the same value
// are a stage; stages come in the order of the ops (q, k and v; o; gate and up; down). For each, the part of the
// segment that leads from the stage before to their input is compiled and run over all samples, with the weights
// quantized so far; then its linears are quantized and rewritten, and the next stage follows. So each op is run once.
// Memory holds a segment's weights, one Hessian, the stream between segments and what the last stage has read.
#ifndef QOPT_PASSES_QUANTIZE_MODELFOLLOWER_H
#define QOPT_PASSES_QUANTIZE_MODELFOLLOWER_H

#include "passes/Calibrate/PartRunner.h"
#include "passes/Quantize/QuantizationRun.h"

#include <functional>

namespace qopt {

/// Linears of one stage whose activations take the same form.
struct FollowedStage {
  std::string site; ///< for messages: the weight of the first linear
  std::vector<QuantizationTarget *> targets;
  AlignedVector<float> hessian; ///< [inputs, inputs], after the form that activations take; empty if nobody needs
                                ///< it, or all targets are finished
  int64_t inputs = 0, tokens = 0;
};

class ModelFollower {
public:
  struct Options {
    std::span<const int32_t> tokens; ///< [samples, length]
    int64_t length = 0;
    uint64_t memory = kStreamMemory; ///< most bytes of streams that stay in memory
    int threads = 0;                 ///< 0: the usable CPUs
  };

  /// `run` has its overlay started, and must outlive the follower, as must the tokens.
  static Result<ModelFollower> create(mlir::ModuleOp module, QuantizationRun &run, const Options &options);

  /// Quantizes the targets of a stage, keeping the results (QuantizationRun::quantize with `keep`).
  using Quantizer = std::function<Status(FollowedStage &stage)>;
  /// Runs through the model once. Targets that stand after the last segment (the output head) are left to the caller.
  Status follow(const Quantizer &quantize);

  /// Targets that follow() has not come to.
  std::vector<QuantizationTarget *> left();

private:
  ModelFollower(mlir::ModuleOp module, QuantizationRun &run, const Options &options)
      : module(module), run(run), options(options) {}

  Status quantizeStages(size_t segment, const Quantizer &quantize);
  /// Of what `reader` reads.
  Status gatherHessian(FollowedStage &stage, mlir::Operation *reader, mlir::Value input);
  Status advance(size_t segment);
  /// Compiles what leads to `wanted` from the streams that there are, and the streams that it reads. `input` is the
  /// segment's, which may be null.
  struct Part {
    std::shared_ptr<const Model> model;
    llvm::SmallVector<SampleStream *> inputs;
  };
  Result<Part> partTo(mlir::Value wanted, mlir::Value input);
  QuantizationTarget *targetOf(mlir::Operation *op);

  mlir::ModuleOp module;
  QuantizationRun &run;
  Options options;
  std::unique_ptr<PartRunner> runner;
  std::optional<SampleStream> stream; ///< what the segments so far have given
  mlir::Value reached;                ///< within the segment, what a stage has read last; null: none has
  std::optional<SampleStream> reachedStream;
  TargetsByUser pending;
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_MODELFOLLOWER_H
