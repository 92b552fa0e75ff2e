#ifndef QOPT_PASSES_TARGET_PASSES_H
#define QOPT_PASSES_TARGET_PASSES_H

#include "dialects/Kernel/Dialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace qopt {

/// The instruction set that vector ops are spelled in.
enum class VectorTarget { Generic, X86, X86V4, X86V4Bf16 };

#define GEN_PASS_DECL
#include "passes/Target/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Target/Passes.h.inc"
} // namespace qopt

#endif // QOPT_PASSES_TARGET_PASSES_H
