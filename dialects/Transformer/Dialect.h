#ifndef QOPT_DIALECTS_TRANSFORMER_DIALECT_H
#define QOPT_DIALECTS_TRANSFORMER_DIALECT_H

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

#include "dialects/Transformer/Dialect.h.inc"
#include "dialects/Transformer/Enums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Transformer/Attributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Transformer/Types.h.inc"
#define GET_OP_CLASSES
#include "dialects/Transformer/Ops.h.inc"

#include <optional>

namespace qopt::transformer {

/// The bits of the codes that `encoding` packs (lib/Numerics/CodePacking.h); nothing for others.
std::optional<unsigned> getPackedBits(Encoding encoding);

} // namespace qopt::transformer

#endif // QOPT_DIALECTS_TRANSFORMER_DIALECT_H
