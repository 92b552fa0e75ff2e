// Schemes, layouts and rotations: the attributes of the IR, and the types of lib/Numerics and lib/Algorithms that say
// the same.
#ifndef QOPT_LIB_PARAMETERS_SCHEMEATTRIBUTES_H
#define QOPT_LIB_PARAMETERS_SCHEMEATTRIBUTES_H

#include "dialects/Kernel/Dialect.h"
#include "dialects/LowBit/Dialect.h"
#include "lib/Algorithms/Rotation.h"
#include "lib/Numerics/Panel.h"
#include "lib/Numerics/Scheme.h"

namespace qopt {

/// F16, BF16 or F32, the scales that both sides know.
mlir::Type scaleType(mlir::MLIRContext *context, ElementFormat format);
ElementFormat scaleFormat(mlir::Type type);

/// Errors: bits, group or codebook that are not implemented.
Result<WeightScheme> toWeightScheme(lowbit::WeightsAttr attribute);
lowbit::WeightsAttr toAttribute(mlir::MLIRContext *context, const WeightScheme &scheme);
lowbit::SchemeAttr toAttribute(mlir::MLIRContext *context, const Scheme &scheme);

/// The layout of a matrix with rows of `inputs`. PanelLayout::validate says whether there is one.
PanelLayout toPanelLayout(kernel::PanelAttr attribute, int64_t inputs);

RotationKind toRotationKind(lowbit::RotationKind kind);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_SCHEMEATTRIBUTES_H
