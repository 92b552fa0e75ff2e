// The passes that decide numbers.
#ifndef QOPT_PASSES_QUANTIZE_PASSES_H
#define QOPT_PASSES_QUANTIZE_PASSES_H

#include "dialects/Kernel/Dialect.h"
#include "dialects/LowBit/Dialect.h"
#include "passes/Fold/SiteKindOption.h"
#include "passes/Quantize/QuantizeContext.h"
#include "passes/Quantize/Recipe.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"

#include <functional>
#include <memory>

namespace qopt {

/// The element type of a KV cache.
enum class CacheFormat { F16, F32 };

/// The order in which GPTQ takes columns.
enum class ColumnOrder { Activation, Stored };

#define GEN_PASS_DECL
#include "passes/Quantize/Passes.h.inc"

std::unique_ptr<mlir::Pass> createQuantizeRtn(QuantizeRtnOptions options, QuantizeContext context);
std::unique_ptr<mlir::Pass> createQuantizeGptq(QuantizeGptqOptions options, QuantizeContext context);
std::unique_ptr<mlir::Pass> createAwq(AwqOptions options, QuantizeContext context);
std::unique_ptr<mlir::Pass> createSmoothQuant(SmoothQuantOptions options, QuantizeContext context);

#define GEN_PASS_REGISTRATION
#include "passes/Quantize/Passes.h.inc"

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_PASSES_H
