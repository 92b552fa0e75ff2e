// What linears read on some tokens of a calibration's samples, for searches that look at outputs.
#ifndef QOPT_PASSES_QUANTIZE_SITESAMPLES_H
#define QOPT_PASSES_QUANTIZE_SITESAMPLES_H

#include "lib/Algorithms/Dense.h"
#include "lib/Parameters/ParameterEvaluator.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseSet.h"

#include <functional>

namespace qopt {

/// Samples, the first of a calibration, and how many tokens of each a search looks at, evenly spaced.
struct SearchedTokens {
  std::span<const int32_t> samples; ///< [samples, length]
  int64_t length, perSample;

  int64_t count() const { return static_cast<int64_t>(samples.size()) / length; }

  /// Up to 16 samples, and 2048 tokens of them in all. Error (bad input): there are no samples.
  static Result<SearchedTokens> some(std::span<const int32_t> tokens, int64_t length);
  /// All tokens of so many samples that there are 8192 of them, if there are. Error: the same.
  static Result<SearchedTokens> whole(std::span<const int32_t> tokens, int64_t length);
};
inline constexpr int64_t kSearchedSamples = 16, kSearchedTokens = 2048, kSearchedWhole = 8192;

/// Runs `module` as it is, its archives named relative to `directory`, over samples and calls `body` for each value of
/// `watched` in the order of the model, with its rows : [samples * perSample, channels], valid during the call. Memory
/// holds the rows of one segment (passes/Calibrate/WatchValues.h). Errors: those of `body`, of compiling.
Status forEachSite(mlir::ModuleOp module, const std::string &directory, const SearchedTokens &tokens,
                   const llvm::DenseSet<mlir::Value> &watched,
                   const std::function<Status(mlir::Value site, MatrixView rows)> &body);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_SITESAMPLES_H
