// What linears read on some tokens: the model is run over samples of a calibration as it is, a segment
// (passes/Calibrate/Segments.h) at a time.
#ifndef QOPT_PASSES_QUANTIZE_SITESAMPLES_H
#define QOPT_PASSES_QUANTIZE_SITESAMPLES_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "passes/Calibrate/PartRunner.h"
#include "passes/Calibrate/Segments.h"

#include "llvm/ADT/DenseMap.h"

namespace qopt {

class SiteSamples {
public:
  /// `tokens` : [samples, length], which must outlive the object. Of the first kSamples samples evenly spaced tokens
  /// are looked at, `wanted` in all or as many as there are. `module` may not change until the last site was asked for;
  /// its archives are named relative to `directory`.
  static Result<SiteSamples> create(mlir::ModuleOp module, const std::string &directory,
                                    std::span<const int32_t> tokens, int64_t length, int64_t wanted);

  /// The rows of `site`, a value over tokens of @forward that linears read : [tokens, channels]. Valid until the next
  /// call. Sites are asked for in the order of the model. Error (bad input): one that is not in a segment to come.
  Result<MatrixView> of(mlir::Value site);

  static constexpr int64_t kSamples = 16;
  /// Tokens that a search for scales looks at.
  static constexpr int64_t kSearchedTokens = 2048;

private:
  SiteSamples(mlir::ModuleOp module) : module(module) {}
  /// Runs the next segment and keeps what linears in it read.
  Status runSegment();

  mlir::ModuleOp module;
  std::unique_ptr<ParameterEvaluator> parameters;
  std::unique_ptr<PartRunner> runner;
  llvm::SmallVector<Segment> segments;
  size_t next = 0;
  int64_t perSample = 0;              ///< tokens that are looked at
  std::optional<SampleStream> stream; ///< what the segment before `next` gave
  llvm::DenseMap<mlir::Value, AlignedVector<float>> kept;
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_SITESAMPLES_H
