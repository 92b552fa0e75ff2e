// Verifiers of the kernel dialect. Labels (dispatch_c1) name the same constraint in the tests.
#include "dialects/Kernel/Dialect.h"

#include "dialects/Transformer/Dialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace qopt::kernel;

#define GET_OP_CLASSES
#include "dialects/Kernel/Ops.cpp.inc"

LogicalResult DispatchOp::verify() {
  AffineMap grid = getGrid();
  if (grid.getNumDims() != 2 || grid.getNumSymbols() != 0 || grid.getNumResults() != 1) // dispatch_c1
    return emitOpError() << "expected a grid of the form (tokens, rows) -> (tiles), but got " << getGridAttr();
  if (getPlacement() && getPlacement()->size() != getNumResults()) // dispatch_c2
    return emitOpError() << "expected a placement for each of " << getNumResults() << " results, but got "
                         << getPlacement()->size();
  return success();
}

LogicalResult DispatchOp::verifyRegions() {
  Block &body = getBody().front();
  if (TypeRange(body.getArgumentTypes()) != TypeRange(getBindings().getTypes())) // dispatch_c3
    return emitOpError("expected the body's arguments to have the types of the bindings");
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || TypeRange(yield.getValues().getTypes()) != TypeRange(getResultTypes())) // dispatch_c4
    return emitOpError("expected the body to yield the types of the results");
  return success();
}

LogicalResult RepeatOp::verify() {
  if (getTable().empty()) // repeat_c1
    return emitOpError("expected at least one row in the table");
  size_t columns = 0;
  for (auto [index, row] : llvm::enumerate(getTable())) {
    auto names = dyn_cast<ArrayAttr>(row);
    if (!names || !llvm::all_of(names, llvm::IsaPred<FlatSymbolRefAttr>)) // repeat_c2
      return emitOpError() << "expected row " << index << " of the table to be a list of symbols, but got " << row;
    if (index != 0 && names.size() != columns) // repeat_c3
      return emitOpError() << "expected rows of " << columns << " parameters, but row " << index << " has "
                           << names.size();
    columns = names.size();
  }
  if (TypeRange(getCarried().getTypes()) != TypeRange(getResultTypes())) // repeat_c4
    return emitOpError("expected results of the types of the carried values");
  return success();
}

LogicalResult RepeatOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, getCalleeAttr());
  if (!callee) // repeat_c5
    return emitOpError() << "expected " << getCalleeAttr() << " to name a function";
  size_t fixed = 1 + getCarried().size() + getInvariant().size();
  size_t columns = cast<ArrayAttr>(getTable()[0]).size();
  if (callee.getNumArguments() != fixed + columns) // repeat_c6
    return emitOpError() << "expected a function of " << fixed + columns << " arguments, but " << getCalleeAttr()
                         << " has " << callee.getNumArguments();
  SmallVector<Type> types{IndexType::get(getContext())};
  llvm::append_range(types, getCarried().getTypes());
  llvm::append_range(types, getInvariant().getTypes());
  for (auto [index, type] : llvm::enumerate(types))
    if (callee.getArgumentTypes()[index] != type) // repeat_c7
      return emitOpError() << "expected argument " << index << " of " << getCalleeAttr() << " to be " << type
                           << ", but got " << callee.getArgumentTypes()[index];
  if (TypeRange(callee.getResultTypes()) != TypeRange(getResultTypes())) // repeat_c8
    return emitOpError() << "expected " << getCalleeAttr() << " to return the types of the carried values";
  for (auto row : getTable().getAsRange<ArrayAttr>())
    for (auto [column, name] : llvm::enumerate(row.getAsRange<FlatSymbolRefAttr>())) {
      auto parameter = symbols.lookupNearestSymbolFrom<qopt::transformer::ParameterOp>(*this, name);
      if (!parameter) // repeat_c9
        return emitOpError() << "expected " << name << " to name a transformer.parameter";
      if (parameter.getType() != callee.getArgumentTypes()[fixed + column]) // repeat_c10
        return emitOpError() << "expected " << name << " to be " << callee.getArgumentTypes()[fixed + column]
                             << ", but got " << parameter.getType();
    }
  return success();
}

LogicalResult DotOp::verify() {
  auto accumulator = cast<VectorType>(getAccumulator().getType());
  auto input = cast<VectorType>(getLhs().getType());
  bool integer = accumulator.getElementType().isInteger(32);
  int64_t depth = integer ? 4 : 2;
  if (integer != input.getElementType().isInteger(8)) // dot_c1
    return emitOpError() << "expected i8 vectors for an i32 accumulator and bf16 vectors for an f32 one, but got "
                         << input;
  if (input.getNumElements() != depth * accumulator.getNumElements()) // dot_c2
    return emitOpError() << "expected vectors of " << depth * accumulator.getNumElements() << " elements, but got "
                         << input;
  return success();
}

LogicalResult DecodeCodesOp::verify() {
  if (cast<VectorType>(getWords().getType()).getShape() != cast<VectorType>(getResult().getType()).getShape())
    return emitOpError("expected a result as long as the words"); // decode_codes_c1
  int64_t bits = static_cast<int64_t>(getBits()), zero = static_cast<int64_t>(getZero());
  if (bits < 4 || bits > 6) // decode_codes_c2
    return emitOpError() << "expected 4, 5 or 6 bits, but got " << bits;
  if (zero < 0 || zero >> bits != 0) // decode_codes_c3
    return emitOpError() << "expected a zero point in [0, " << (1 << bits) - 1 << "], but got " << zero;
  return success();
}
