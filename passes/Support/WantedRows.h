// Values that are made of the rows whose logits are wanted, and of nothing else: calibration asks for no logits, and
// sees none of them.
#ifndef QOPT_PASSES_SUPPORT_WANTEDROWS_H
#define QOPT_PASSES_SUPPORT_WANTEDROWS_H

#include "dialects/Transformer/Dialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

namespace qopt {

/// All that comes of a transformer.select_rows.
inline llvm::DenseSet<mlir::Value> wantedRows(mlir::func::FuncOp forward) {
  llvm::DenseSet<mlir::Value> wanted;
  forward.walk([&](mlir::Operation *op) {
    if (mlir::isa<transformer::SelectRowsOp>(op) ||
        llvm::any_of(op->getOperands(), [&](mlir::Value value) { return wanted.contains(value); }))
      wanted.insert_range(op->getResults());
  });
  return wanted;
}

} // namespace qopt

#endif // QOPT_PASSES_SUPPORT_WANTEDROWS_H
