#ifndef QOPT_DIALECTS_KERNEL_DIALECT_H
#define QOPT_DIALECTS_KERNEL_DIALECT_H

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

#include "dialects/Kernel/Dialect.h.inc"
#include "dialects/Kernel/Enums.h.inc"
#include "dialects/Kernel/Interfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/Attributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Kernel/Types.h.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/Ops.h.inc"

#endif // QOPT_DIALECTS_KERNEL_DIALECT_H
