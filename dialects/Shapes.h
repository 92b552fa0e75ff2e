// What verifiers of the dialects ask of shapes. Operands are ranked and have at least one axis, see Shapes.td.
#ifndef QOPT_DIALECTS_SHAPES_H
#define QOPT_DIALECTS_SHAPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace qopt {

inline mlir::RankedTensorType typeOf(mlir::Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()); }

/// The number of columns of a matrix, or of elements of a vector.
inline int64_t width(mlir::Value value) { return typeOf(value).getShape().back(); }

inline int64_t rowsOf(mlir::Value value) { return typeOf(value).getShape().front(); }

inline mlir::LogicalResult expectEqual(mlir::Operation *op, llvm::StringRef what, int64_t wanted, int64_t got) {
  if (wanted == got)
    return mlir::success();
  return op->emitOpError() << "expected " << what << " to be " << wanted << ", but got " << got; // (the caller's label)
}

/// Values with a row for each token agree in the number of tokens, where it is known. Values may be null.
inline mlir::LogicalResult expectSameTokens(mlir::Operation *op, llvm::ArrayRef<mlir::Value> values) {
  int64_t tokens = mlir::ShapedType::kDynamic;
  for (mlir::Value value : values) {
    int64_t rows = value ? rowsOf(value) : mlir::ShapedType::kDynamic;
    if (!mlir::ShapedType::isDynamic(tokens) && !mlir::ShapedType::isDynamic(rows) && rows != tokens) // tokens_c1
      return op->emitOpError() << "expected " << tokens << " tokens in every operand and result, but got "
                               << value.getType();
    if (mlir::ShapedType::isDynamic(tokens))
      tokens = rows;
  }
  return mlir::success();
}

} // namespace qopt

#endif // QOPT_DIALECTS_SHAPES_H
