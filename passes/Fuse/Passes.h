#ifndef QOPT_PASSES_FUSE_PASSES_H
#define QOPT_PASSES_FUSE_PASSES_H

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace qopt {
#define GEN_PASS_DECL
#include "passes/Fuse/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt

#endif // QOPT_PASSES_FUSE_PASSES_H
