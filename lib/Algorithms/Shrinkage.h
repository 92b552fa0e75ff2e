// Shrinking a Hessian toward its diagonal: H' = H with all but its diagonal times 1 - shrink.
//
// What calibration has seen of how channels go together holds less on other texts than what it has seen of each
// channel alone. GPTQ and AWQ choose less well on what they were calibrated on, and better on what they were not.
#ifndef QOPT_LIB_ALGORITHMS_SHRINKAGE_H
#define QOPT_LIB_ALGORITHMS_SHRINKAGE_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Support/Error.h"

namespace qopt {

/// Error (usage): not in [0, 1).
Status checkShrinkage(double shrink);

/// H' of h : [n, n] : [n, n], row-major.
AlignedVector<float> shrunkHessian(MatrixView h, double shrink);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_SHRINKAGE_H
