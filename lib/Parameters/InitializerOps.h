// What each op of an initializer computes. Internal to lib/Parameters.
#ifndef QOPT_LIB_PARAMETERS_INITIALIZEROPS_H
#define QOPT_LIB_PARAMETERS_INITIALIZEROPS_H

#include "lib/Parameters/HostTensor.h"
#include "lib/Support/Error.h"

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"

namespace qopt {

/// The results of `op` (any op of an initializer but `transformer.get` and the terminator) for those operands.
/// Codes of 2 to 4 bits may come and go packed. Errors: an op that is not evaluated, a matrix that its scheme or layout
/// does not fit, a number that is not finite.
Result<llvm::SmallVector<HostTensor, 3>> evaluateOp(mlir::Operation *op, llvm::ArrayRef<HostTensor> operands);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_INITIALIZEROPS_H
