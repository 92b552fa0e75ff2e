// The passes that decide numbers.
#ifndef QOPT_PASSES_QUANTIZE_PASSES_H
#define QOPT_PASSES_QUANTIZE_PASSES_H

#include "lib/Algorithms/Gptq.h"

#include "mlir/Pass/Pass.h"

#include <functional>
#include <memory>

namespace qopt {

class OutputSet;

/// The element type of a KV cache.
enum class CacheFormat { F16, F32 };

/// The order in which GPTQ takes columns.
enum class ColumnOrder { Activation, Stored };

#define GEN_PASS_DECL
#include "passes/Quantize/Passes.h.inc"

/// Called now and then with the elements that are done and those that there are; from one thread at a time.
using QuantizeProgress = std::function<void(int64_t done, int64_t total)>;
/// With `outputs`, the overlay is added there and gets its name with the others.
std::unique_ptr<mlir::Pass> createQuantizeRtn(QuantizeRtnOptions options, QuantizeProgress progress,
                                              OutputSet *outputs = nullptr);

std::unique_ptr<mlir::Pass> createQuantizeGptq(QuantizeGptqOptions options, QuantizeProgress progress,
                                               OutputSet *outputs = nullptr);

#define GEN_PASS_REGISTRATION
#include "passes/Quantize/Passes.h.inc"

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_PASSES_H
