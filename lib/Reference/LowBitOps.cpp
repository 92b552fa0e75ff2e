// The ops of the lowbit dialect. The number formats are those of lib/Numerics; the sums are done here, in f64, which is
// exact for products of integer codes.
#include "lib/Reference/Ops.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Numerics/Activations.h"
#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/Float.h"
#include "lib/Numerics/Panel.h"
#include "lib/Numerics/RoundToNearest.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;
using namespace qopt::lowbit;

namespace {

LogicalResult emit(Operation *op, const Error &error) { return op->emitOpError() << error.rule << " " << error.where; }

ElementFormat formatOf(Type scale) {
  return scale.isF16() ? ElementFormat::F16 : scale.isBF16() ? ElementFormat::BF16 : ElementFormat::F32;
}

/// A matrix as numbers in units of scales: value[r, k] = units[r, k] · scales[r, k / group].
struct Coded {
  int64_t rows, width, group;
  std::vector<double> units;  ///< [rows, width]; code − zero point, or the number itself
  std::vector<double> scales; ///< [rows, width / group]

  double value(int64_t row, int64_t column) const {
    return units[row * width + column] * scales[row * (width / group) + column / group];
  }
};

/// Numbers that have no scale.
Coded uncoded(const Tensor &tensor) {
  Coded result{tensor.dim(0), tensor.dim(1), tensor.dim(1), {tensor.floats.begin(), tensor.floats.end()}, {}};
  result.scales.assign(result.rows, 1.0);
  return result;
}

/// A weight of codes, scales and perhaps zero points.
Coded codedWeight(WeightsAttr scheme, const Tensor &codes, const Tensor &scales, const Tensor *zeroPoints) {
  Coded result{
      codes.dim(0), codes.dim(1), codes.dim(1) / scales.dim(1), {}, {scales.floats.begin(), scales.floats.end()}};
  int32_t mask = (1 << scheme.getBits()) - 1;
  for (int64_t i = 0; i < codes.elements(); ++i) {
    int32_t code = codes.integers[i] & mask, zero = 1 << (scheme.getBits() - 1);
    if (zeroPoints)
      zero = zeroPoints->integers[i / result.group] & 0xFF;
    result.units.push_back(scheme.getCodebook() ? double{scheme.getCodebook()[code]} : double(code - zero));
  }
  return result;
}

/// The input of a linear as its scheme lets it be seen: i8 codes and scales, or rounded numbers.
/// `fixed`: the static scale, or null.
FailureOr<Coded> codedActivations(Operation *op, ActivationsAttr kind, const Tensor &x, const Tensor *fixed) {
  if (kind.getKind() != lowbit::ActivationKind::I8) {
    Tensor rounded = x;
    if (kind.getKind() == lowbit::ActivationKind::BF16)
      for (float &value : rounded.floats)
        value = bfloat16ToFloat(floatToBfloat16(value));
    return uncoded(rounded);
  }
  int64_t tokens = x.dim(0), width = x.dim(1), group = kind.getGroup() ? kind.getGroup() : width;
  Coded result{tokens, width, group, {}, {}};
  if (tokens == 0)
    return result;
  std::vector<int8_t> codes(x.elements());
  std::vector<float> scales(tokens * (width / group));
  Status status;
  if (fixed) {
    status = encodeActivationsStatic(fixed->floats[0], tokens, width, x.floats, codes, scales);
  } else {
    status = encodeActivationsI8(tokens, width, group, x.floats, codes, scales);
  }
  if (!status)
    return emit(op, status.error());
  result.units.assign(codes.begin(), codes.end());
  result.scales.assign(scales.begin(), scales.end());
  return result;
}

/// x · weightᵀ + bias: units are summed over runs of inputs in which both scales stay the same, the sums are scaled.
Tensor multiply(MLIRContext *context, const Coded &x, const Coded &weight, const Tensor *bias) {
  int64_t run = std::gcd(x.group, weight.group), width = x.width;
  Tensor result = Tensor::zeros(RankedTensorType::get({x.rows, weight.rows}, Float32Type::get(context)));
  for (int64_t o = 0; o < weight.rows; ++o)
    for (int64_t t = 0; t < x.rows; ++t) {
      double total = bias ? double{bias->floats[o]} : 0.0;
      for (int64_t start = 0; start < width; start += run) {
        double sum = 0;
        for (int64_t k = start; k < start + run; ++k)
          sum += x.units[t * width + k] * weight.units[o * width + k];
        total += sum * weight.scales[o * (width / weight.group) + start / weight.group] *
                 x.scales[t * (width / x.group) + start / x.group];
      }
      result.floats[t * weight.rows + o] = static_cast<float>(total);
    }
  return result;
}

/// Rows of a coded table by token.
Results gatherRows(Operation *op, const Coded &table, int64_t rows, const Tensor &tokens) {
  Tensor result =
      Tensor::zeros(RankedTensorType::get({tokens.dim(0), table.width}, Float32Type::get(op->getContext())));
  for (int64_t t = 0; t < tokens.dim(0); ++t) {
    FailureOr<int64_t> row = checkedRow(op, "a token", tokens.integers[t], rows);
    if (failed(row))
      return failure();
    for (int64_t c = 0; c < table.width; ++c)
      result.floats[t * table.width + c] = static_cast<float>(table.value(*row, c));
  }
  return single(std::move(result));
}

const Tensor *optional(const Frame &frame, mlir::Value value) { return value ? &frame.tensor(value) : nullptr; }

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Results evaluate(QuantizeOp op, const Frame &frame) {
  WeightsAttr attribute = op.getScheme();
  const Tensor &weight = frame.tensor(op.getWeight());
  if (attribute.getCodebook())
    return op.emitOpError("expected no codebook: rounding to one is not implemented");
  int64_t rows = weight.dim(0), width = weight.dim(1);
  WeightScheme scheme{static_cast<int>(attribute.getBits()), attribute.getSymmetric(), attribute.getGroup(),
                      formatOf(attribute.getScale())};
  if (Status status = scheme.validate(width); !status)
    return emit(op, status.error());
  Tensor codes = Tensor::zeros(cast<RankedTensorType>(op.getCodes().getType()));
  Tensor scales = Tensor::zeros(cast<RankedTensorType>(op.getScales().getType()));
  size_t scaleBytes = info(scheme.scale).blockBytes;
  std::vector<uint8_t> bytes(codes.elements()), zeros(attribute.getSymmetric() ? 0 : scales.elements());
  std::vector<std::byte> stored(scales.elements() * scaleBytes);
  if (Status status = quantizeRoundToNearest(scheme, rows, width, weight.floats, {bytes, stored, zeros}); !status)
    return emit(op, status.error());
  codes.integers.assign(bytes.begin(), bytes.end());
  for (int64_t i = 0; i < scales.elements(); ++i)
    scales.floats[i] = loadScale(scheme.scale, stored.data() + i * scaleBytes);
  std::vector<HostValue> results{std::make_shared<const Tensor>(std::move(codes)),
                                 std::make_shared<const Tensor>(std::move(scales))};
  if (op.getZeroPoints()) {
    Tensor points = Tensor::zeros(cast<RankedTensorType>(op.getZeroPoints().getType()));
    points.integers.assign(zeros.begin(), zeros.end());
    results.push_back(std::make_shared<const Tensor>(std::move(points)));
  }
  return results;
}

Results evaluate(DequantizeOp op, const Frame &frame) {
  Coded weight = codedWeight(op.getScheme(), frame.tensor(op.getCodes()), frame.tensor(op.getScales()),
                             optional(frame, op.getZeroPoints()));
  Tensor result = Tensor::zeros(cast<RankedTensorType>(op.getWeight().getType()));
  for (int64_t i = 0; i < result.elements(); ++i)
    result.floats[i] = static_cast<float>(weight.value(i / weight.width, i % weight.width));
  return single(std::move(result));
}

//===----------------------------------------------------------------------===//
// The quantized graph
//===----------------------------------------------------------------------===//

Results evaluate(lowbit::LinearOp op, const Frame &frame) {
  Coded weight = codedWeight(op.getScheme().getWeights(), frame.tensor(op.getCodes()), frame.tensor(op.getScales()),
                             optional(frame, op.getZeroPoints()));
  FailureOr<Coded> x = codedActivations(op, op.getScheme().getActivations(), frame.tensor(op.getInput()),
                                        optional(frame, op.getStaticScale()));
  if (failed(x))
    return failure();
  return single(multiply(op.getContext(), *x, weight, optional(frame, op.getBias())));
}

Results evaluate(lowbit::EmbeddingOp op, const Frame &frame) {
  Coded table = codedWeight(op.getScheme(), frame.tensor(op.getCodes()), frame.tensor(op.getScales()),
                            optional(frame, op.getZeroPoints()));
  return gatherRows(op, table, table.rows, frame.tensor(op.getTokens()));
}

//===----------------------------------------------------------------------===//
// With layouts
//===----------------------------------------------------------------------===//

/// The layout as lib/Numerics knows it.
FailureOr<PanelLayout> panelOf(Operation *op, kernel::LayoutAttrInterface attribute, int64_t rows, int64_t width) {
  auto panel = dyn_cast<kernel::PanelAttr>(attribute);
  if (!panel)
    return op->emitOpError() << "expected a layout that the reference evaluator knows, but got " << attribute;
  PanelLayout layout;
  layout.dot = static_cast<int>(panel.getDot());
  layout.code = static_cast<PanelCode>(panel.getCode());
  layout.group = panel.getGroupSize(width);
  if (panel.isQuantized())
    layout.scale = formatOf(panel.getScale());
  layout.zeroPoints = panel.getZeroPoints();
  if (Status status = layout.validate(rows, width); !status)
    return emit(op, status.error());
  return layout;
}
static_assert(static_cast<int>(kernel::PanelCode::U4) == static_cast<int>(PanelCode::U4) &&
              static_cast<int>(kernel::PanelCode::U8) == static_cast<int>(PanelCode::U8) &&
              static_cast<int>(kernel::PanelCode::F32) == static_cast<int>(PanelCode::F32) &&
              static_cast<int>(kernel::PanelCode::F16) == static_cast<int>(PanelCode::F16) &&
              static_cast<int>(kernel::PanelCode::BF16) == static_cast<int>(PanelCode::BF16) &&
              static_cast<int>(kernel::PanelCode::U2) == static_cast<int>(PanelCode::U2) &&
              static_cast<int>(kernel::PanelCode::U3) == static_cast<int>(PanelCode::U3) &&
              static_cast<int>(kernel::PanelCode::U5) == static_cast<int>(PanelCode::U5) &&
              static_cast<int>(kernel::PanelCode::U6) == static_cast<int>(PanelCode::U6));

std::vector<std::byte> bytesOf(const Tensor &tensor) {
  std::vector<std::byte> bytes;
  bytes.reserve(tensor.integers.size());
  for (int32_t value : tensor.integers)
    bytes.push_back(static_cast<std::byte>(value & 0xFF));
  return bytes;
}

/// What packed panels hold of a matrix [rows, width].
FailureOr<Coded> unpack(Operation *op, kernel::LayoutAttrInterface attribute, const Tensor &packed, int64_t rows,
                        int64_t width) {
  FailureOr<PanelLayout> layout = panelOf(op, attribute, rows, width);
  if (failed(layout))
    return failure();
  std::vector<std::byte> bytes = bytesOf(packed);
  Coded result{rows, width, layout->group, {}, {}};
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < width; ++column) {
      PanelElement element = unpackElement(*layout, width, bytes, row, column);
      result.units.push_back(layout->isQuantized() ? double(static_cast<int>(element.code) - element.zero)
                                                   : double{element.value});
      if (column % layout->group == 0)
        result.scales.push_back(element.scale);
    }
  return result;
}

Results evaluate(PackOp op, const Frame &frame) {
  const Tensor &weight = frame.tensor(op.getWeight());
  int64_t rows = weight.dim(0), width = weight.dim(1);
  FailureOr<PanelLayout> layout = panelOf(op, op.getLayout(), rows, width);
  if (failed(layout))
    return failure();
  std::vector<std::byte> out(layout->totalBytes(rows, width));
  Status status;
  if (!layout->isQuantized()) {
    status = packPanels(*layout, rows, width, weight.floats, out);
  } else {
    int bits = layout->codeBits();
    std::vector<uint8_t> codes;
    codes.reserve(weight.integers.size());
    for (int32_t code : weight.integers)
      codes.push_back(static_cast<uint8_t>(code & ((1 << bits) - 1)));
    std::vector<std::byte> packed(packedCodeBytes(bits, weight.elements()).value_or(0));
    if (Status packing = packCodes(bits, codes, packed); !packing)
      return emit(op, packing.error());
    const Tensor &scales = frame.tensor(op.getScales());
    size_t scaleBytes = info(layout->scale).blockBytes;
    std::vector<std::byte> stored(scales.elements() * scaleBytes);
    for (int64_t i = 0; i < scales.elements(); ++i)
      storeScale(layout->scale, scales.floats[i], stored.data() + i * scaleBytes);
    std::vector<uint8_t> zeros;
    if (op.getZeroPoints())
      for (int32_t zero : frame.tensor(op.getZeroPoints()).integers)
        zeros.push_back(static_cast<uint8_t>(zero));
    status = packPanels(*layout, rows, width, PackedWeightsView{packed, stored, zeros}, out);
  }
  if (!status)
    return emit(op, status.error());
  Tensor result = Tensor::zeros(cast<RankedTensorType>(op.getPacked().getType()));
  for (size_t i = 0; i < out.size(); ++i)
    result.integers[i] = std::to_integer<int32_t>(out[i]);
  return single(std::move(result));
}

Results evaluate(EncodeOp op, const Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput());
  bool isI8 = op.getActivations().getKind() == lowbit::ActivationKind::I8;
  FailureOr<Coded> coded = codedActivations(op, op.getActivations(), x, optional(frame, op.getStaticScale()));
  if (failed(coded))
    return failure();
  auto sized = [&](mlir::Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    return Tensor::zeros(RankedTensorType::get({x.dim(0), type.getDimSize(1)}, type.getElementType()));
  };
  Tensor payload = sized(op.getPayload());
  if (isI8)
    payload.integers.assign(coded->units.begin(), coded->units.end());
  else
    payload.floats.assign(coded->units.begin(), coded->units.end());
  std::vector<HostValue> results{std::make_shared<const Tensor>(std::move(payload))};
  if (op.getScales()) {
    Tensor scales = sized(op.getScales());
    scales.floats.assign(coded->scales.begin(), coded->scales.end());
    results.push_back(std::make_shared<const Tensor>(std::move(scales)));
  }
  if (op.getSums()) {
    Tensor sums = sized(op.getSums());
    int64_t group = static_cast<int64_t>(op.getSumsGroup());
    for (int64_t i = 0; i < sums.elements(); ++i) {
      double sum = std::accumulate(coded->units.begin() + i * group, coded->units.begin() + (i + 1) * group, 0.0);
      if (isI8)
        sums.integers[i] = static_cast<int32_t>(sum);
      else
        sums.floats[i] = static_cast<float>(sum);
    }
    results.push_back(std::make_shared<const Tensor>(std::move(sums)));
  }
  return results;
}

/// The sums are there to help a kernel; payload and weight say all, and the sums must agree with the payload.
Results evaluate(MatmulOp op, const Frame &frame) {
  const Tensor &payload = frame.tensor(op.getPayload());
  int64_t outputs = cast<RankedTensorType>(op.getResult().getType()).getDimSize(1);
  FailureOr<Coded> weight = unpack(op, op.getLayout(), frame.tensor(op.getWeight()), outputs, payload.dim(1));
  if (failed(weight))
    return failure();
  Coded x{payload.dim(0), payload.dim(1), payload.dim(1), {}, {}};
  if (payload.isFloat()) {
    x = uncoded(payload);
  } else {
    const Tensor &scales = frame.tensor(op.getScales());
    if (failed(sameRows(op, {&payload, &scales})))
      return failure();
    for (int32_t code : payload.integers)
      x.units.push_back(static_cast<int8_t>(code));
    x.group = payload.dim(1) / scales.dim(1);
    x.scales.assign(scales.floats.begin(), scales.floats.end());
  }
  if (op.getSums()) {
    const Tensor &sums = frame.tensor(op.getSums());
    if (failed(sameRows(op, {&payload, &sums})))
      return failure();
    int64_t group = payload.dim(1) / sums.dim(1);
    for (int64_t i = 0; i < sums.elements(); ++i) {
      double wanted = 0, size = 0; // sums in f32 differ by the order of their terms
      for (int64_t k = i * group; k < (i + 1) * group; ++k)
        wanted += x.units[k], size += std::fabs(x.units[k]);
      double got = sums.isFloat() ? double{sums.floats[i]} : static_cast<double>(sums.integers[i]);
      if (std::fabs(got - wanted) > (sums.isFloat() ? 1e-5 * size : 0))
        return op.emitOpError() << llvm::formatv("expected sums of the payload, {0}, but got {1}",
                                                 llvm::format("%g", wanted), llvm::format("%g", got))
                                       .str();
    }
  }
  return single(multiply(op.getContext(), x, *weight, optional(frame, op.getBias())));
}

Results evaluate(GatherOp op, const Frame &frame) {
  int64_t rows = static_cast<int64_t>(op.getRows());
  int64_t width = cast<RankedTensorType>(op.getResult().getType()).getDimSize(1);
  FailureOr<Coded> table = unpack(op, op.getLayout(), frame.tensor(op.getTable()), rows, width);
  if (failed(table))
    return failure();
  return gatherRows(op, *table, rows, frame.tensor(op.getTokens()));
}

} // namespace

std::optional<Results> reference::evaluateLowBitOp(Operation *op, const Frame &frame) {
  return llvm::TypeSwitch<Operation *, std::optional<Results>>(op)
      .Case<QuantizeOp, DequantizeOp, PackOp, lowbit::LinearOp, lowbit::EmbeddingOp, EncodeOp, MatmulOp, GatherOp>(
          [&](auto op) { return evaluate(op, frame); })
      .Case<ScaleOp, RepeatHeadsOp, OrthogonalOp, FillOp, ActivationScaleOp>(
          [&](auto op) { return evaluateParameterOp(op, frame); })
      // It looks, and computes nothing.
      .Case([](ObserveOp) { return Results(std::vector<HostValue>()); })
      .Default([](Operation *) { return std::nullopt; });
}
