// Verifiers of the lowbit dialect. Labels (linear_c1) name the same constraint in the tests.
#include "dialects/LowBit/Dialect.h"

#include "dialects/Shapes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::lowbit;

#define GET_OP_CLASSES
#include "dialects/LowBit/Ops.cpp.inc"

/// Codes, scales and zero points of one weight fit each other and the scheme.
static LogicalResult verifyWeight(Operation *op, WeightsAttr scheme, Value codes, Value scales, Value zeroPoints) {
  int64_t outputs = rowsOf(codes), inputs = width(codes);
  if (typeOf(codes).getElementTypeBitWidth() != scheme.getBits()) // weight_c1
    return op->emitOpError() << "expected codes of " << scheme.getBits() << " bits, but got " << codes.getType();
  FailureOr<int64_t> groups = scheme.groupsFor(inputs);
  if (failed(groups)) // weight_c2
    return op->emitOpError() << "expected a group that divides " << inputs << " inputs, but got " << scheme.getGroup();
  if (typeOf(scales).getElementType() != scheme.getScale()) // weight_c3
    return op->emitOpError() << "expected scales of " << scheme.getScale() << ", but got " << scales.getType();
  if (rowsOf(scales) != outputs || width(scales) != *groups) // weight_c4
    return op->emitOpError() << "expected " << outputs << "x" << *groups << " scales, but got " << scales.getType();
  bool wantsZeroPoints = !scheme.getSymmetric();
  if (wantsZeroPoints != (zeroPoints != nullptr)) // weight_c5
    return op->emitOpError() << "expected " << (wantsZeroPoints ? "" : "no ") << "zero points, but got "
                             << (zeroPoints ? "some" : "none");
  if (zeroPoints && (rowsOf(zeroPoints) != outputs || width(zeroPoints) != *groups)) // weight_c6
    return op->emitOpError() << "expected " << outputs << "x" << *groups << " zero points, but got "
                             << zeroPoints.getType();
  return success();
}

LogicalResult ObserveOp::verify() {
  if (getSite().empty()) // observe_c1
    return emitOpError("expected a name for the site, but got none");
  return success();
}

LogicalResult ScaleOp::verify() {
  RankedTensorType type = typeOf(getInput());
  auto axis = static_cast<int64_t>(getAxis());
  if (axis < 0 || axis >= type.getRank()) // scale_c1
    return emitOpError() << "expected an axis of " << type << ", but got " << axis;
  if (typeOf(getResult()).getShape() != type.getShape() || !typeOf(getResult()).getElementType().isF32()) // scale_c2
    return emitOpError() << "expected an f32 result of the input's shape, but got " << getResult().getType();
  if (type.isDynamicDim(axis)) // scale_c3
    return emitOpError("expected an axis of channels, but got that of tokens");
  return expectEqual(*this, "the factor's length", type.getDimSize(axis), rowsOf(getFactor())); // scale_c4
}

LogicalResult RepeatHeadsOp::verify() {
  auto times = static_cast<int64_t>(getTimes()), dim = static_cast<int64_t>(getDim());
  if (times < 1 || dim < 1 || rowsOf(getInput()) % dim != 0) // repeat_heads_c1
    return emitOpError() << "expected heads of a size that divides " << rowsOf(getInput()) << ", but got " << dim
                         << " (" << times << " times)";
  int64_t wanted;
  if (llvm::MulOverflow(rowsOf(getInput()), times, wanted)) // repeat_heads_c2
    return emitOpError() << "expected a result of at most 2^63 elements, but got " << times << " times";
  return expectEqual(*this, "the result's length", wanted, rowsOf(getResult())); // repeat_heads_c3
}

LogicalResult OrthogonalOp::verify() {
  RankedTensorType type = typeOf(getInput());
  auto axis = static_cast<int64_t>(getAxis()), size = static_cast<int64_t>(getSize());
  if (!isa<FloatType>(type.getElementType()) || type.getRank() > 2) // orthogonal_c1
    return emitOpError() << "expected a float matrix or vector, but got " << type;
  if (axis < 0 || axis >= type.getRank()) // orthogonal_c2
    return emitOpError() << "expected an axis of " << type << ", but got " << axis;
  if (size < 1 || type.getDimSize(axis) % size != 0) // orthogonal_c3
    return emitOpError() << "expected a size that divides " << type.getDimSize(axis) << ", but got " << size;
  if (getResult().getType() != RankedTensorType::get(type.getShape(), Float32Type::get(getContext()))) // orthogonal_c4
    return emitOpError() << "expected an f32 result of the input's shape, but got " << getResult().getType();
  return success();
}

LogicalResult FillOp::verify() {
  if (!typeOf(getResult()).getElementType().isF32()) // fill_c1
    return emitOpError() << "expected an f32 tensor, but got " << getResult().getType();
  return success();
}

LogicalResult ActivationScaleOp::verify() {
  APFloat value = getValue();
  if (!value.isFinite() || value.isNegative() || value.isZero() || value.isDenormal()) // activation_scale_c1
    return emitOpError() << "expected a finite scale of at least 2^-126, but got " << getValueAttr();
  return success();
}

/// A scale is there exactly where activations are fixed: neither side is taken silently for the other.
static LogicalResult verifyStaticScale(Operation *op, ActivationsAttr activations, Value scale) {
  if (activations.getFixed() != (scale != nullptr)) // static_scale_c1
    return op->emitOpError() << "expected a static scale for fixed activations, and for no others";
  return success();
}

LogicalResult QuantizeOp::verify() {
  if (typeOf(getWeight()).getShape() != typeOf(getCodes()).getShape()) // quantize_c1
    return emitOpError() << "expected codes of the weight's shape, but got " << getCodes().getType();
  return verifyWeight(*this, getScheme(), getCodes(), getScales(), getZeroPoints());
}

LogicalResult DequantizeOp::verify() {
  if (typeOf(getWeight()).getShape() != typeOf(getCodes()).getShape()) // dequantize_c1
    return emitOpError() << "expected a result of the codes' shape, but got " << getWeight().getType();
  return verifyWeight(*this, getScheme(), getCodes(), getScales(), getZeroPoints());
}

LogicalResult LinearOp::verify() {
  if (failed(expectEqual(*this, "the codes' inputs", width(getInput()), width(getCodes()))) ||     // linear_c1
      failed(expectEqual(*this, "the result's channels", rowsOf(getCodes()), width(getResult())))) // linear_c2
    return failure();
  if (getBias() && failed(expectEqual(*this, "the bias's length", rowsOf(getCodes()), width(getBias())))) // linear_c3
    return failure();
  int64_t group = getScheme().getActivations().getGroup();
  if (group != 0 && width(getInput()) % group != 0) // linear_c4
    return emitOpError() << "expected a group of activations that divides " << width(getInput()) << " inputs, but got "
                         << group;
  if (failed(verifyStaticScale(*this, getScheme().getActivations(), getStaticScale())))
    return failure();
  if (failed(expectSameTokens(*this, {getInput(), getResult()})))
    return failure();
  return verifyWeight(*this, getScheme().getWeights(), getCodes(), getScales(), getZeroPoints());
}

LogicalResult EmbeddingOp::verify() {
  if (failed(expectEqual(*this, "the result's channels", width(getCodes()), width(getResult())))) // embedding_c1
    return failure();
  if (failed(expectSameTokens(*this, {getTokens(), getResult()})))
    return failure();
  return verifyWeight(*this, getScheme(), getCodes(), getScales(), getZeroPoints());
}

//===----------------------------------------------------------------------===//
// With layouts
//===----------------------------------------------------------------------===//

/// Whether `values` groups of inputs, each one number, can stand beside groups of the layout: one group of the two lies
/// within the other.
static bool fitsGroups(kernel::LayoutAttrInterface layout, int64_t inputs, int64_t values) {
  if (inputs % values != 0)
    return false;
  int64_t group = inputs / values, layoutGroup = layout.getGroupSize(inputs);
  return group % layoutGroup == 0 || layoutGroup % group == 0;
}

/// A packed weight has the tiles that the layout gives for [outputs, inputs].
static LogicalResult verifyPacked(Operation *op, kernel::LayoutAttrInterface layout, Value packed, int64_t outputs,
                                  int64_t inputs) {
  if (failed(layout.verifyShape([&] { return op->emitOpError(); }, outputs, inputs))) // packed_c1
    return failure();
  int64_t tiles = llvm::divideCeil(outputs, layout.getTileOutputs());
  if (rowsOf(packed) != tiles || width(packed) != layout.getTileBytes(inputs)) // packed_c2
    return op->emitOpError() << "expected a packed weight of " << tiles << "x" << layout.getTileBytes(inputs)
                             << " bytes, but got " << packed.getType();
  return success();
}

LogicalResult PackOp::verify() {
  RankedTensorType weight = typeOf(getWeight());
  kernel::LayoutAttrInterface layout = getLayout();
  Type scale = layout.getScaleType();
  if (weight.getRank() != 2) // pack_c1
    return emitOpError() << "expected a matrix, but got " << weight;
  Type element = weight.getElementType();
  if (scale ? !element.isInteger(layout.getCodeBits()) : !isa<FloatType>(element)) // pack_c2
    return emitOpError() << "expected " << (scale ? "codes" : "floats") << " of " << layout.getCodeBits()
                         << " bits, but got " << weight;
  if (!scale && element.getIntOrFloatBitWidth() < layout.getCodeBits()) // pack_c3
    return emitOpError() << "expected floats of at least " << layout.getCodeBits() << " bits, but got " << weight;
  int64_t outputs = weight.getDimSize(0), inputs = weight.getDimSize(1);
  if (failed(verifyPacked(*this, layout, getPacked(), outputs, inputs)))
    return failure();
  if ((getScales() ? typeOf(getScales()).getElementType() : Type()) != scale) // pack_c4
    return emitOpError() << "expected the layout's scales, and no scales where it has none";
  if ((getZeroPoints() != nullptr) != layout.hasZeroPoints()) // pack_c5
    return emitOpError() << "expected zero points where the layout has them, and nowhere else";
  int64_t groups = inputs / layout.getGroupSize(inputs);
  for (Value value : {Value(getScales()), Value(getZeroPoints())})
    if (value && (rowsOf(value) != outputs || width(value) != groups)) // pack_c6
      return emitOpError() << "expected " << outputs << "x" << groups << " scales and zero points, but got "
                           << value.getType();
  return success();
}

LogicalResult EncodeOp::verify() {
  ActivationsAttr activations = getActivations();
  int64_t inputs = width(getInput());
  Type payload = typeOf(getPayload()).getElementType();
  bool isI8 = activations.getKind() == ActivationKind::I8;
  if (activations.getKind() == ActivationKind::F32) // encode_c10
    return emitOpError("expected activations of i8 or bf16: a matmul reads f32 as they are");
  if (failed(expectEqual(*this, "the payload's channels", inputs, width(getPayload())))) // encode_c1
    return failure();
  if (isI8 ? !payload.isInteger(8) : !payload.isBF16())
    return emitOpError() << "expected a payload of " << stringifyActivationKind(activations.getKind()) // encode_c2
                         << ", but got " << payload;
  if (failed(expectSameTokens(*this, {getInput(), getPayload(), getScales(), getSums()})))
    return failure();
  if (failed(verifyStaticScale(*this, activations, getStaticScale())))
    return failure();
  if (isI8 != (getScales() != nullptr)) // encode_c3
    return emitOpError("expected scales for i8 activations, and for no others");
  if (activations.getGroup() != 0 && inputs % activations.getGroup() != 0) // encode_c4
    return emitOpError() << "expected a group that divides " << inputs << " inputs, but got " << activations.getGroup();
  if (isI8 && failed(expectEqual(*this, "the number of scales",
                                 activations.getGroup() ? inputs / activations.getGroup() : 1, width(getScales()))))
    return failure(); // encode_c5
  int64_t sums = static_cast<int64_t>(getSumsGroup());
  if ((sums != 0) != (getSums() != nullptr)) // encode_c6
    return emitOpError("expected sums where a group for them is given, and nowhere else");
  if (sums < 0 || (sums != 0 && inputs % sums != 0)) // encode_c7
    return emitOpError() << "expected a group of sums that divides " << inputs << " inputs, but got " << sums;
  if (sums != 0) {
    if (failed(expectEqual(*this, "the number of sums", inputs / sums, width(getSums())))) // encode_c8
      return failure();
    if (typeOf(getSums()).getElementType().isInteger(32) != isI8) // encode_c9
      return emitOpError() << "expected sums of " << (isI8 ? "i32" : "f32") << ", but got " << getSums().getType();
  }
  return success();
}

LogicalResult MatmulOp::verify() {
  if (getBias() && failed(expectEqual(*this, "the bias's length", width(getResult()), width(getBias())))) // matmul_c1
    return failure();
  bool isI8 = typeOf(getPayload()).getElementType().isInteger(8);
  if (isI8 != (getScales() != nullptr)) // matmul_c2
    return emitOpError("expected scales for an i8 payload, and for no other");
  if (getSums() && typeOf(getSums()).getElementType().isInteger(32) != isI8) // matmul_c3
    return emitOpError() << "expected sums of " << (isI8 ? "i32" : "f32") << ", but got " << getSums().getType();
  if (failed(expectSameTokens(*this, {getPayload(), getScales(), getSums(), getResult()})))
    return failure();
  int64_t inputs = width(getPayload());
  if (getScales() && !fitsGroups(getLayout(), inputs, width(getScales()))) // matmul_c4
    return emitOpError() << "expected scales of groups that fit those of the weight, but got " << getScales().getType();
  // What is summed before a scale is applied lies within one group of the weight and one of the activations.
  if (getSums()) { // matmul_c5
    int64_t group = getLayout().getGroupSize(inputs), sums = width(getSums());
    int64_t finest = getScales() ? std::gcd(group, inputs / width(getScales())) : group;
    if (inputs % sums != 0 || finest % (inputs / sums) != 0)
      return emitOpError() << "expected sums over as many inputs as divide " << finest
                           << ", over which both scales are constant, but got " << getSums().getType();
  }
  return verifyPacked(*this, getLayout(), getWeight(), width(getResult()), inputs);
}

LogicalResult GatherOp::verify() {
  if (failed(expectSameTokens(*this, {getTokens(), getResult()})))
    return failure();
  return verifyPacked(*this, getLayout(), getTable(), getRows(), width(getResult()));
}
