#ifndef QOPT_PASSES_LOWER_PASSES_H
#define QOPT_PASSES_LOWER_PASSES_H

#include "dialects/Kernel/Dialect.h"
#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace qopt {
#define GEN_PASS_DECL
#include "passes/Lower/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

#endif // QOPT_PASSES_LOWER_PASSES_H
