// The passes that take scales into the graph.
#ifndef QOPT_PASSES_FOLD_PASSES_H
#define QOPT_PASSES_FOLD_PASSES_H

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "passes/Fold/ScaleKinds.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace qopt {

#define GEN_PASS_DECL
#include "passes/Fold/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Fold/Passes.h.inc"

} // namespace qopt

#endif // QOPT_PASSES_FOLD_PASSES_H
