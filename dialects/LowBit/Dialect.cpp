// The lowbit dialect: registration and attributes. Ops are in Ops.cpp.
#include "dialects/LowBit/Dialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace qopt::lowbit;

#include "dialects/LowBit/Dialect.cpp.inc"
#include "dialects/LowBit/Enums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/LowBit/Attributes.cpp.inc"

void LowBitDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/LowBit/Attributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/LowBit/Ops.cpp.inc"
      >();
}

LogicalResult LowBitDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != kQuantizeAttribute)
    return success();
  if (!isa<qopt::transformer::LinearOp, qopt::transformer::EmbeddingOp>(op)) // quantize_attribute_c1
    return op->emitOpError() << "has " << kQuantizeAttribute
                             << ", expected it on transformer.linear and transformer.embedding alone";
  auto wanted = dyn_cast<DictionaryAttr>(attribute.getValue());
  if (!wanted || wanted.empty()) // quantize_attribute_c2
    return op->emitOpError() << "expected " << kQuantizeAttribute << " to be a dictionary of scheme, method or keep";
  for (NamedAttribute entry : wanted) {
    StringRef key = entry.getName();
    bool isText = (key == "scheme" || key == "method") && isa<StringAttr>(entry.getValue());
    bool isKeep = key == "keep" && isa<UnitAttr>(entry.getValue()) && wanted.size() == 1;
    if (!isText && !isKeep) // quantize_attribute_c3
      return op->emitOpError() << "expected " << kQuantizeAttribute
                               << " to have texts for scheme and method, or keep alone, but got " << key << " = "
                               << entry.getValue();
  }
  return success();
}

LogicalResult WeightsAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits, bool symmetric,
                                  int64_t group, Type scale, DenseF32ArrayAttr codebook) {
  if (bits < 2 || bits > 8) // weights_c1
    return emitError() << "expected 2 to 8 bits, but got " << bits;
  if (group < 0) // weights_c2
    return emitError() << "expected a group of at least 1, or 0 for one group per output, but got " << group;
  if (!scale.isF16() && !scale.isBF16() && !scale.isF32()) // weights_c3
    return emitError() << "expected scales of f16, bf16 or f32, but got " << scale;
  if (codebook && codebook.size() != (int64_t{1} << bits)) // weights_c4
    return emitError() << "expected a codebook of " << (1 << bits) << " values, but got " << codebook.size();
  if (codebook && !symmetric) // weights_c5
    return emitError() << "expected no zero points beside a codebook";
  if (codebook && !llvm::all_of(codebook.asArrayRef(), [](float value) { return std::isfinite(value); })) // weights_c6
    return emitError() << "expected a codebook of finite values";
  return success();
}

FailureOr<int64_t> WeightsAttr::groupsFor(int64_t inputs) const {
  if (getGroup() == 0)
    return 1;
  if (inputs % getGroup() != 0)
    return failure();
  return inputs / getGroup();
}

LogicalResult ActivationsAttr::verify(function_ref<InFlightDiagnostic()> emitError, ActivationKind kind, int64_t group,
                                      bool fixed) {
  if (group < 0) // activations_c1
    return emitError() << "expected a group of at least 1, or 0 for one scale per token, but got " << group;
  if (kind != ActivationKind::I8 && group != 0) // activations_c2
    return emitError() << "expected a group for i8 activations only, but got one for " << stringifyActivationKind(kind);
  if (fixed && (kind != ActivationKind::I8 || group != 0)) // activations_c3
    return emitError() << "expected a fixed scale for i8 activations without groups only";
  return success();
}

LogicalResult SchemeAttr::verify(function_ref<InFlightDiagnostic()> emitError, WeightsAttr weights,
                                 ActivationsAttr activations, Type accumulation) {
  bool integer = activations.getKind() == ActivationKind::I8;
  if (integer ? !accumulation.isInteger(32) : !accumulation.isF32()) // scheme_c1
    return emitError() << "expected accumulation in " << (integer ? "i32" : "f32") << " for "
                       << stringifyActivationKind(activations.getKind()) << " activations, but got " << accumulation;
  int64_t w = weights.getGroup(), a = activations.getGroup();
  if (w != 0 && a != 0 && w % a != 0 && a % w != 0) // scheme_c2
    return emitError()
           << "expected a group of weights and a group of activations of which one divides the other, but got " << w
           << " and " << a;
  return success();
}
