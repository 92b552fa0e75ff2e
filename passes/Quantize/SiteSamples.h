// What linears read on some tokens of a calibration's samples, for searches that look at outputs.
#ifndef QOPT_PASSES_QUANTIZE_SITESAMPLES_H
#define QOPT_PASSES_QUANTIZE_SITESAMPLES_H

#include "lib/Algorithms/Dense.h"
#include "lib/Parameters/ParameterEvaluator.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseSet.h"

#include <functional>

namespace qopt {

/// Samples, the first of a calibration, that a search looks at, and the tokens of them in all, evenly spaced.
inline constexpr int64_t kSearchedSamples = 16, kSearchedTokens = 2048;

/// Runs `module` as it is, its archives named relative to `directory`, over samples of `tokens` : [samples, length],
/// and calls `body` for each value of `watched` in the order of the model, with its rows : [tokens, channels], valid
/// during the call. Memory holds the rows of one segment (passes/Calibrate/WatchValues.h). Errors: those of `body`, of
/// compiling; no samples (bad input).
Status forEachSite(mlir::ModuleOp module, const std::string &directory, std::span<const int32_t> tokens, int64_t length,
                   const llvm::DenseSet<mlir::Value> &watched,
                   const std::function<Status(mlir::Value site, MatrixView rows)> &body);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_SITESAMPLES_H
