// Numbers for parameters that have none: the same for the same name, seed and type, in any module.
#ifndef QOPT_LIB_REFERENCE_RANDOMPARAMETERS_H
#define QOPT_LIB_REFERENCE_RANDOMPARAMETERS_H

#include "lib/Reference/Evaluator.h"

namespace qopt::reference {

/// Numbers of `type` that depend on name, seed and index alone:
///   scales, that is a name that ends in ".scales"   uniform in [0.005, 0.015]
///   other floats, one axis (norms, biases)          uniform in [0.5, 1.5]
///   other floats, more axes                         uniform in ±sqrt(3 / last axis): variance 1 / last axis
///   zero points, that is a name in ".zeros"         uniform in [0, 16)
///   integers of b < 32 bits                         uniform over all 2^b values, unsigned
///   i32                                             uniform in [0, 2^31)
/// Floats are rounded to the element type.
Tensor randomTensor(llvm::StringRef name, mlir::RankedTensorType type, uint64_t seed);

/// A source that makes up every parameter that has neither entry nor initializer, and refuses those with an entry
/// unless `entriesToo`.
ParameterSource randomParameters(uint64_t seed, bool entriesToo);

} // namespace qopt::reference

#endif // QOPT_LIB_REFERENCE_RANDOMPARAMETERS_H
