// What each op of an initializer computes. Internal to lib/Parameters.
#ifndef QOPT_LIB_PARAMETERS_INITIALIZEROPS_H
#define QOPT_LIB_PARAMETERS_INITIALIZEROPS_H

#include "dialects/LowBit/Dialect.h"
#include "lib/Algorithms/Rotation.h"
#include "lib/Parameters/HostTensor.h"
#include "lib/Support/Error.h"

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"

#include <map>
#include <tuple>

namespace qopt {

/// Matrices of rotations, kept from one op to the next: all of a model's ops share one or two, and an orthogonal one
/// takes size³ steps to make. For one thread.
class Rotations {
public:
  /// Errors: as Rotation::create.
  Result<const Rotation *> of(lowbit::OrthogonalOp op);

private:
  std::map<std::tuple<RotationKind, int64_t, uint64_t>, Rotation> made;
};

/// The results of `op` (any op of an initializer but `transformer.get` and the terminator) for those operands.
/// Codes of 2 to 4 bits may come and go packed. Errors: an op that is not evaluated, a matrix that its scheme or layout
/// does not fit, a number that is not finite.
Result<llvm::SmallVector<HostTensor, 3>> evaluateOp(mlir::Operation *op, llvm::ArrayRef<HostTensor> operands,
                                                    Rotations &rotations);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_INITIALIZEROPS_H
