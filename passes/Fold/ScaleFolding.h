// Takes scales of activations into what makes the activations, and scales of weights into the weights.
//
// A scale may go where each value that it changes on its way is read only by what asked for the change: along def-use
// chains, and by no name of an op or a parameter. Whether it can go all the way is found out before anything is
// rewritten.
#ifndef QOPT_PASSES_FOLD_SCALEFOLDING_H
#define QOPT_PASSES_FOLD_SCALEFOLDING_H

#include "passes/Fold/ScaleRules.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/StringMap.h"

namespace qopt {

class ScaleFolding {
public:
  explicit ScaleFolding(mlir::ModuleOp module);

  /// Whether `use` may read its value scaled: all that the value is made from can be. The error says why not, and
  /// where.
  Status check(mlir::OpOperand &use, const Scale &scale) const;

  /// Moves a scale of activations to its place: it becomes scales of what the function reads as weights, and its result
  /// is its input. `check(op.getInputMutable(), …)` has held.
  void fold(lowbit::ScaleOp op, mlir::RewriterBase &rewriter);

  /// Takes scales that `use` reads a parameter through into the parameter: @w with an initializer, of what is now
  /// @w.unscaled. `use` is the only one that reads it.
  void foldIntoParameter(mlir::OpOperand &use, mlir::RewriterBase &rewriter);

private:
  Status checkParameter(mlir::OpOperand &use, transformer::GetOp get) const;

  mlir::ModuleOp module;
  llvm::StringMap<unsigned> readers; ///< of each parameter, in functions and initializers
};

/// Whether the value is a parameter, perhaps scaled.
bool isWeight(mlir::Value value);

/// The parameter, or the repeat_heads of one, that a factor is; null if it is something else.
transformer::GetOp factorSource(mlir::Value factor);

} // namespace qopt

#endif // QOPT_PASSES_FOLD_SCALEFOLDING_H
