// The passes that measure what flows through a model.
#ifndef QOPT_PASSES_CALIBRATE_PASSES_H
#define QOPT_PASSES_CALIBRATE_PASSES_H

#include "dialects/Transformer/Dialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace qopt {

#define GEN_PASS_DECL
#include "passes/Calibrate/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Calibrate/Passes.h.inc"

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_PASSES_H
