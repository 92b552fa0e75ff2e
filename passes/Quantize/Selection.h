// What a recipe asks of a model: which parameters are to be quantized, and how.
#ifndef QOPT_PASSES_QUANTIZE_SELECTION_H
#define QOPT_PASSES_QUANTIZE_SELECTION_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Parameters/Ledger.h"
#include "passes/Quantize/Recipe.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

#include <string>
#include <vector>

namespace qopt {

/// What the ledger calls it.
inline constexpr const char *kRoundToNearest = "round to nearest";
inline constexpr const char *kGptq = "gptq";

struct QuantizationTarget {
  transformer::ParameterOp parameter;
  Scheme scheme;
  llvm::SmallVector<mlir::Operation *, 2> users; ///< transformer.linear and transformer.embedding ops
  size_t row;                                    ///< in the ledger
  Method method;                                 ///< how its codes are to be chosen
  bool isHead = false;                           ///< an embedding or the output head
  bool isOwn = false;                            ///< decided by an attribute of its ops

  mlir::RankedTensorType type() { return mlir::cast<mlir::RankedTensorType>(parameter.getType()); }
};

/// Targets by the ops that use them.
using TargetsByUser = llvm::DenseMap<mlir::Operation *, QuantizationTarget *>;
TargetsByUser targetsByUser(llvm::MutableArrayRef<QuantizationTarget> targets);

/// Whether a weight can have its scheme. Error (bad input): groups, activation groups or packed codes that do not fit
/// its inputs (with the op, K, the group and what would do).
Status checkFit(QuantizationTarget &target);

struct Selection {
  std::vector<QuantizationTarget> targets; ///< in the order in which forward first reads them
  Ledger ledger;                           ///< a row for each parameter; errors are zero as yet
};

/// Decides each parameter that @forward reads. A weight is a parameter that is the weight of linears or the table of
/// embeddings; the head is the linear whose result @forward returns first. The attribute lowbit.quantize of its ops
/// decides it, else the first rule that matches it, then the recipe's head (for the embedding and the head), then the
/// body's scheme. `previous` has the rows of what was quantized before. Errors: no @forward; a weight that is not read
/// by transformer.get, or that other ops use too; a scheme whose groups do not divide a weight's inputs (with the op,
/// K, the group and what would do); gptq of an embedding, gptq or static activations of a linear over the wanted rows,
/// which calibration does not see; a rule that decides nothing; nothing to quantize.
Result<Selection> selectTargets(mlir::ModuleOp module, const Recipe &recipe, const Ledger &previous);

/// A selection, and all that selectTargets would refuse it for; a weight whose scheme does not fit is among its
/// targets.
struct Survey {
  Selection selection;
  std::vector<Error> problems;
};
Survey surveyTargets(mlir::ModuleOp module, const Recipe &recipe, const Ledger &previous);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_SELECTION_H
