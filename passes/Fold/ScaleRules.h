// How a scale of a value becomes scales of what the value is made from: a rule for each kind of op, a file each.
//
//   rms_norm(x, w) / s               rms_norm(x, w / s)                   NormRule.cpp
//   linear(x, w, b) / s              linear(x, w / s by rows, b / s)      LinearRule.cpp
//   gated_product(gate, up) / s      gated_product(gate, up / s)          GatedProductRule.cpp
//   attention(q, k, v) / s           attention(q, k, v / s')              AttentionRule.cpp
//   embedding(tokens, table) / s     embedding(tokens, table / s)         EmbeddingRule.cpp
//   select_rows(x, rows) / s         select_rows(x / s, rows)             SelectRowsRule.cpp
//
// Rules look at the op alone. Who else reads a value, and so would see it scaled, is the business of ScaleFolding.h.
#ifndef QOPT_PASSES_FOLD_SCALERULES_H
#define QOPT_PASSES_FOLD_SCALERULES_H

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Support/Error.h"

#include "llvm/ADT/SmallVector.h"

namespace qopt {

/// v · factor along an axis of v; v / factor if inverse.
struct Scale {
  mlir::Value factor;
  int64_t axis;
  bool inverse;
};

/// An operand that has to be scaled.
struct ScaledOperand {
  mlir::OpOperand *operand;
  Scale scale;
};
using ScaledOperands = llvm::SmallVector<ScaledOperand, 2>;

/// The operands that have to be scaled for `op`'s result to be. The error's rule says why there is no such way.
Result<ScaledOperands> scaleOperands(mlir::Operation *op, const Scale &scale);

/// The operand of a cache update that all values of an attention come from, and that nothing else reads. The error says
/// why there is none.
Result<mlir::OpOperand *> valuesOf(transformer::AttentionOp op);

namespace detail {
Result<ScaledOperands> scaleThrough(transformer::RmsNormOp op, const Scale &scale);
Result<ScaledOperands> scaleThrough(transformer::LayerNormOp op, const Scale &scale);
Result<ScaledOperands> scaleThrough(transformer::LinearOp op, const Scale &scale);
Result<ScaledOperands> scaleThrough(transformer::GatedProductOp op, const Scale &scale);
Result<ScaledOperands> scaleThrough(transformer::AttentionOp op, const Scale &scale);
Result<ScaledOperands> scaleThrough(transformer::EmbeddingOp op, const Scale &scale);
Result<ScaledOperands> scaleThrough(transformer::SelectRowsOp op, const Scale &scale);
} // namespace detail

/// An error for a rule that declines.
inline Error declines(std::string reason) { return badInput(std::move(reason)); }

} // namespace qopt

#endif // QOPT_PASSES_FOLD_SCALERULES_H
