// What a llama module says, read back from its graph: the inverse of lib/Import/LlamaGraph.h. Internal to lib/Export.
#ifndef QOPT_LIB_EXPORT_LLAMAMODEL_H
#define QOPT_LIB_EXPORT_LLAMAMODEL_H

#include "dialects/LowBit/Dialect.h"
#include "lib/Import/LlamaGraph.h"
#include "lib/Parameters/ParameterEvaluator.h"

#include <vector>

namespace qopt {

/// A weight under its name in the checkpoint: either one parameter, or the parts of a quantized one.
struct LlamaWeight {
  std::string name;
  llvm::SmallVector<int64_t, 2> shape;
  transformer::ParameterOp plain;
  transformer::ParameterOp codes, scales, zeros; ///< zeros: null if symmetric
  lowbit::WeightsAttr scheme;
};

struct LlamaModel {
  LlamaConfig config;
  std::vector<LlamaWeight> weights; ///< in the order in which forward reads them
};

/// Reads the model. Errors: a graph other than buildLlama makes, but for linears and embeddings that are quantized.
Result<LlamaModel> readLlama(mlir::ModuleOp module);

/// The numbers of a weight in f32 : [elements of weight.shape].
Result<FloatView> evaluateWeight(LlamaWeight &weight, ParameterEvaluator &evaluator);

} // namespace qopt

#endif // QOPT_LIB_EXPORT_LLAMAMODEL_H
