// Who reads and who writes the residual stream of a model: found by following values, never by names.
#ifndef QOPT_PASSES_FOLD_RESIDUALSTREAM_H
#define QOPT_PASSES_FOLD_RESIDUALSTREAM_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Support/Error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt {

struct ResidualStream {
  int64_t channels = 0;
  llvm::SmallVector<transformer::EmbeddingOp> embeddings; ///< where it begins
  llvm::SmallVector<transformer::LinearOp> writers;       ///< what is added to it
  llvm::SmallVector<transformer::RmsNormOp> norms;        ///< all that reads it
};

/// The one stream of @forward. Errors (bad input): there is none, or more than one; something else reads or writes it
/// (with the op).
Result<ResidualStream> findResidualStream(mlir::func::FuncOp forward);

} // namespace qopt

#endif // QOPT_PASSES_FOLD_RESIDUALSTREAM_H
