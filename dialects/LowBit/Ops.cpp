// Verifiers of the lowbit dialect. Labels (linear_c1) name the same constraint in the tests.
#include "dialects/LowBit/Dialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowbit;

#define GET_OP_CLASSES
#include "dialects/LowBit/Ops.cpp.inc"

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static int64_t width(Value value) { return typeOf(value).getShape().back(); }
static int64_t rowsOf(Value value) { return typeOf(value).getShape().front(); }

static LogicalResult expectEqual(Operation *op, StringRef what, int64_t wanted, int64_t got) {
  if (wanted == got)
    return success();
  return op->emitOpError() << "expected " << what << " to be " << wanted << ", but got " << got;
}

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
  return verifyWeight(*this, getScheme().getWeights(), getCodes(), getScales(), getZeroPoints());
}

LogicalResult EmbeddingOp::verify() {
  if (failed(expectEqual(*this, "the result's channels", width(getCodes()), width(getResult())))) // embedding_c1
    return failure();
  return verifyWeight(*this, getScheme(), getCodes(), getScales(), getZeroPoints());
}

//===----------------------------------------------------------------------===//
// With layouts
//===----------------------------------------------------------------------===//

/// A packed weight has the tiles that the layout gives for [outputs, inputs].
static LogicalResult verifyPacked(Operation *op, kernel::LayoutAttrInterface layout, Value packed, int64_t outputs,
                                  int64_t inputs) {
  if (failed(layout.verifyShape([&] { return op->emitOpError(); }, outputs, inputs))) // packed_c1
    return failure();
  int64_t tiles = (outputs + layout.getTileOutputs() - 1) / layout.getTileOutputs();
  if (rowsOf(packed) != tiles || width(packed) != layout.getTileBytes(inputs)) // packed_c2
    return op->emitOpError() << "expected a packed weight of " << tiles << "x" << layout.getTileBytes(inputs)
                             << " bytes, but got " << packed.getType();
  return success();
}

LogicalResult PackOp::verify() {
  auto weight = dyn_cast<RankedTensorType>(getWeight().getType());
  if (!weight || weight.getRank() != 2 || !weight.hasStaticShape()) // pack_c1
    return emitOpError() << "expected a matrix of static shape, but got " << getWeight().getType();
  if (weight.getElementTypeBitWidth() != getLayout().getCodeBits()) // pack_c2
    return emitOpError() << "expected elements of " << getLayout().getCodeBits() << " bits, but got " << weight;
  return verifyPacked(*this, getLayout(), getPacked(), weight.getDimSize(0), weight.getDimSize(1));
}

LogicalResult EncodeOp::verify() {
  ActivationsAttr activations = getActivations();
  int64_t inputs = width(getInput());
  Type payload = typeOf(getPayload()).getElementType();
  bool isI8 = activations.getKind() == ActivationKind::I8;
  if (failed(expectEqual(*this, "the payload's channels", inputs, width(getPayload())))) // encode_c1
    return failure();
  if (isI8 ? !payload.isInteger(8) : activations.getKind() == ActivationKind::BF16 ? !payload.isBF16() : !payload.isF32())
    return emitOpError() << "expected a payload of " << stringifyActivationKind(activations.getKind()) // encode_c2
                         << ", but got " << payload;
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
  return verifyPacked(*this, getLayout(), getWeight(), width(getResult()), width(getPayload()));
}

LogicalResult GatherOp::verify() {
  return verifyPacked(*this, getLayout(), getTable(), getRows(), width(getResult()));
}
