// What every algorithm asks of a Hessian, Σ x·xᵀ.
#ifndef QOPT_LIB_ALGORITHMS_HESSIAN_H
#define QOPT_LIB_ALGORITHMS_HESSIAN_H

#include "lib/Support/Error.h"

#include <span>

namespace qopt {

/// hessian : [inputs, inputs]. Error (gate): a number that is not finite, or a negative one on the diagonal, with its
/// row. A search by errors that are not a number would choose its first candidate, and say nothing.
Status checkHessian(std::span<const float> hessian, int64_t inputs);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_HESSIAN_H
