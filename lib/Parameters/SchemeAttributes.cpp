#include "lib/Parameters/SchemeAttributes.h"

using namespace mlir;
using namespace qopt;

Type qopt::scaleType(MLIRContext *context, ElementFormat format) {
  switch (format) {
  case ElementFormat::F16:
    return Float16Type::get(context);
  case ElementFormat::BF16:
    return BFloat16Type::get(context);
  default:
    return Float32Type::get(context);
  }
}

ElementFormat qopt::scaleFormat(Type type) {
  return type.isF16() ? ElementFormat::F16 : type.isBF16() ? ElementFormat::BF16 : ElementFormat::F32;
}

Result<WeightScheme> qopt::toWeightScheme(lowbit::WeightsAttr attribute) {
  if (attribute.getCodebook())
    return badInput("codebooks are not implemented").withNext("use a scheme without a codebook");
  WeightScheme scheme{static_cast<int>(attribute.getBits()), attribute.getSymmetric(), attribute.getGroup(),
                      scaleFormat(attribute.getScale())};
  if (Status status = scheme.validate(); !status)
    return status.takeError();
  return scheme;
}

lowbit::WeightsAttr qopt::toAttribute(MLIRContext *context, const WeightScheme &scheme) {
  return lowbit::WeightsAttr::get(context, scheme.bits, scheme.symmetric, scheme.group,
                                  scaleType(context, scheme.scale), DenseF32ArrayAttr());
}

lowbit::SchemeAttr qopt::toAttribute(MLIRContext *context, const Scheme &scheme) {
  auto kind = lowbit::ActivationKind::F32;
  int64_t group = 0;
  switch (scheme.activations) {
  case ActivationKind::F32:
    break;
  case ActivationKind::BF16:
    kind = lowbit::ActivationKind::BF16;
    break;
  case ActivationKind::I8PerGroup:
    group = 32;
    [[fallthrough]];
  case ActivationKind::I8PerToken:
  case ActivationKind::I8Static:
    kind = lowbit::ActivationKind::I8;
    break;
  }
  Type accumulation =
      kind == lowbit::ActivationKind::I8 ? Type(IntegerType::get(context, 32)) : Type(Float32Type::get(context));
  return lowbit::SchemeAttr::get(
      context, toAttribute(context, scheme.weights),
      lowbit::ActivationsAttr::get(context, kind, group, scheme.activations == ActivationKind::I8Static), accumulation);
}

PanelLayout qopt::toPanelLayout(kernel::PanelAttr attribute, int64_t inputs) {
  PanelLayout layout;
  layout.dot = static_cast<int>(attribute.getDot());
  switch (attribute.getCode()) {
  case kernel::PanelCode::U4:
    layout.code = PanelCode::U4;
    break;
  case kernel::PanelCode::U8:
    layout.code = PanelCode::U8;
    break;
  case kernel::PanelCode::F32:
    layout.code = PanelCode::F32;
    break;
  case kernel::PanelCode::F16:
    layout.code = PanelCode::F16;
    break;
  case kernel::PanelCode::BF16:
    layout.code = PanelCode::BF16;
    break;
  case kernel::PanelCode::U2:
    layout.code = PanelCode::U2;
    break;
  case kernel::PanelCode::U3:
    layout.code = PanelCode::U3;
    break;
  case kernel::PanelCode::U5:
    layout.code = PanelCode::U5;
    break;
  case kernel::PanelCode::U6:
    layout.code = PanelCode::U6;
    break;
  }
  layout.group = attribute.getGroupSize(inputs);
  if (attribute.getScale())
    layout.scale = scaleFormat(attribute.getScale());
  layout.zeroPoints = attribute.getZeroPoints();
  return layout;
}

RotationKind qopt::toRotationKind(lowbit::RotationKind kind) {
  switch (kind) {
  case lowbit::RotationKind::Hadamard:
    return RotationKind::Hadamard;
  case lowbit::RotationKind::Orthogonal:
    return RotationKind::Orthogonal;
  }
  llvm_unreachable("a rotation of no kind");
}
