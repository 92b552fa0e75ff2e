// @forward: the function of a module that its model is.
#ifndef QOPT_PASSES_SUPPORT_FORWARD_H
#define QOPT_PASSES_SUPPORT_FORWARD_H

#include "lib/Support/Error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace qopt {

/// Error (bad input): there is none, or it has no body.
inline Result<mlir::func::FuncOp> forwardOf(mlir::ModuleOp module) {
  auto forward = module.lookupSymbol<mlir::func::FuncOp>("forward");
  if (!forward || forward.isExternal())
    return badInput("expected a function @forward with a body")
        .withNext("start from a module that 'qopt import' wrote");
  return forward;
}

} // namespace qopt

#endif // QOPT_PASSES_SUPPORT_FORWARD_H
