// Runs a compiled model's @forward on the reference as a runtime would: many sequences, chunks, pages.
#ifndef QOPT_TOOLS_DEV_QOPT_REFERENCE_FORWARD_H
#define QOPT_TOOLS_DEV_QOPT_REFERENCE_FORWARD_H

#include "lib/Reference/Evaluator.h"

namespace qopt::reference {

struct ForwardOptions {
  std::vector<std::vector<int32_t>> texts; ///< token ids of each sequence
  int64_t chunk = 0;                       ///< tokens of each sequence in one call; 0: all
  int64_t pageTokens = 32;                 ///< tokens of a cache page
  uint64_t seed = 0;                       ///< of the order of pages
};

/// Whether the function has the arguments of @forward: tokens, positions, sequences, block tables, rows, cache.
bool isForward(mlir::func::FuncOp function);

/// Made-up token ids for sequences of these lengths. A sequence's ids do not depend on its companions.
std::vector<std::vector<int32_t>> randomTexts(mlir::ModuleOp module, llvm::ArrayRef<int64_t> lengths, uint64_t seed);

/// Logits : [tokens of all sequences, vocabulary], by sequence and position. In each call tokens of the sequences
/// alternate, and all rows are asked for. Failure as Evaluator::call.
mlir::FailureOr<Tensor> runForward(Evaluator &evaluator, mlir::func::FuncOp function, const ForwardOptions &options);

} // namespace qopt::reference

#endif // QOPT_TOOLS_DEV_QOPT_REFERENCE_FORWARD_H
