#ifndef QOPT_DIALECTS_SHAPES_TD
#define QOPT_DIALECTS_SHAPES_TD

// Constraints on shapes that the dialects share. Arithmetic in verifiers relies on them: a dynamic or empty axis never
// reaches it.
include "mlir/IR/OpBase.td"

class Qopt_AxisKnown<int axis> : CPred<"::llvm::cast<::mlir::ShapedType>($_self).getDimSize(" # axis # ") > 0">;

class Qopt_AxisIs<int axis, int size>
    : CPred<"::llvm::cast<::mlir::ShapedType>($_self).getDimSize(" # axis # ") == " # size>;

// A tensor of `base` whose dimension `axis` is known and at least 1.
class Qopt_KnownAxis<Type base, int axis, string what>
    : Type<And<[base.predicate, Qopt_AxisKnown<axis>]>, what, "::mlir::RankedTensorType">;

// A matrix of known, nonzero shape.
class Qopt_KnownMatrix<Type base, string what>
    : Type<And<[base.predicate, Qopt_AxisKnown<0>, Qopt_AxisKnown<1>]>, what, "::mlir::RankedTensorType">;

// A tensor of known shape, of at least one axis and one element.
def Qopt_StaticTensor : Type<And<[AnyRankedTensor.predicate, // static_tensor_c1
    CPred<"::llvm::cast<::mlir::ShapedType>($_self).hasStaticShape()">,
    CPred<"::llvm::cast<::mlir::ShapedType>($_self).getRank() > 0">,
    CPred<"!::llvm::is_contained(::llvm::cast<::mlir::ShapedType>($_self).getShape(), 0)">]>,
    "tensor of static shape, of at least one axis and one element", "::mlir::RankedTensorType">;

#endif // QOPT_DIALECTS_SHAPES_TD
