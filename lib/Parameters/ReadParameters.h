// Which parameters of a module something reads.
#ifndef QOPT_LIB_PARAMETERS_READPARAMETERS_H
#define QOPT_LIB_PARAMETERS_READPARAMETERS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SetVector.h"

namespace qopt {

/// The parameters that `readers`, and what is in them, read by `transformer.get`, and those that the initializers of
/// these read, in the order in which they are found. Those of which `passOver` is true, if it is there, are not among
/// them, and nothing is found through them.
llvm::SetVector<mlir::Operation *> parametersReadBy(mlir::ModuleOp module, llvm::ArrayRef<mlir::Operation *> readers,
                                                    llvm::function_ref<bool(mlir::Operation *parameter)> passOver = {});

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_READPARAMETERS_H
