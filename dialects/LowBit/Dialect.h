#ifndef QOPT_DIALECTS_LOWBIT_DIALECT_H
#define QOPT_DIALECTS_LOWBIT_DIALECT_H

#include "dialects/Kernel/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/LowBit/Dialect.h.inc"
#include "dialects/LowBit/Enums.h.inc"

namespace qopt::lowbit {
/// What an op asks of quantization; the dialect's description has its form.
inline constexpr llvm::StringLiteral kQuantizeAttribute = "lowbit.quantize";
} // namespace qopt::lowbit

#define GET_ATTRDEF_CLASSES
#include "dialects/LowBit/Attributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/LowBit/Types.h.inc"
#define GET_OP_CLASSES
#include "dialects/LowBit/Ops.h.inc"

#endif // QOPT_DIALECTS_LOWBIT_DIALECT_H
