// What each op of an initializer computes; the formulas are in lib/Numerics.
#include "lib/Parameters/InitializerOps.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/Decode.h"
#include "lib/Numerics/Panel.h"
#include "lib/Numerics/RoundToNearest.h"
#include "lib/Parameters/ParallelRows.h"
#include "lib/Parameters/SchemeAttributes.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace qopt;
using Operands = ArrayRef<HostTensor>;
using Results = llvm::SmallVector<HostTensor, 3>;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static std::span<const uint8_t> asCodes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()};
}

/// Codes packed along the last axis may be moved by rows only where rows are whole bytes.
static HostTensor rowsAsBytes(const HostTensor &tensor) {
  bool whole = tensor.type.getRank() >= 2 &&
               packedCodeBytes(tensor.type.getElementTypeBitWidth(), tensor.type.getShape().back());
  return whole ? tensor : tensor.canonical();
}

//===----------------------------------------------------------------------===//
// Moving rows
//===----------------------------------------------------------------------===//

static Result<Results> concat(transformer::ConcatOp op, Operands operands) {
  llvm::SmallVector<HostTensor> inputs;
  bool packed = true;
  for (const HostTensor &operand : operands) {
    inputs.push_back(rowsAsBytes(operand));
    packed &= inputs.back().packed;
  }
  int64_t total = 0;
  for (HostTensor &input : inputs) {
    if (!packed)
      input = input.canonical();
    total += static_cast<int64_t>(input.bytes.size());
  }
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getResult()), total);
  result.tensor.packed = packed;
  std::byte *out = result.bytes.data();
  auto interleave = static_cast<int64_t>(op.getInterleave());
  // The verifier has seen to it that interleaved inputs are equally long, in whole blocks.
  int64_t steps = interleave ? inputs[0].rows() / interleave : 1;
  for (int64_t step = 0; step < steps; ++step)
    for (const HostTensor &input : inputs) {
      size_t bytes = input.bytes.size() / steps;
      std::memcpy(out, input.bytes.data() + step * bytes, bytes);
      out += bytes;
    }
  return Results{result.tensor};
}

static Result<Results> unpermuteRotary(transformer::UnpermuteRotaryOp op, Operands operands) {
  HostTensor input = rowsAsBytes(operands[0]);
  OwnedTensor result = OwnedTensor::allocate(input.type, static_cast<int64_t>(input.bytes.size()));
  result.tensor.packed = input.packed;
  auto heads = static_cast<int64_t>(op.getHeads());
  int64_t half = input.rows() / heads / 2;
  size_t rowBytes = input.bytes.size() / input.rows();
  // [heads, dim/2, 2] to [heads, 2, dim/2]
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t pair = 0; pair < half; ++pair)
      for (int64_t side = 0; side < 2; ++side)
        std::memcpy(result.bytes.data() + ((head * 2 + side) * half + pair) * rowBytes,
                    input.bytes.data() + ((head * half + pair) * 2 + side) * rowBytes, rowBytes);
  return Results{result.tensor};
}

//===----------------------------------------------------------------------===//
// Scale pairs and rotations
//===----------------------------------------------------------------------===//

static Result<Results> scale(lowbit::ScaleOp op, Operands operands) {
  const HostTensor &input = operands[0];
  ElementFormat format = *input.floatFormat();
  FloatView factor = viewAsF32(operands[1]);
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getResult()));
  int64_t rows = input.rows(), cols = input.elements() / rows;
  bool byRow = op.getAxis() == 0, inverse = op.getInverse();
  size_t rowBytes = input.bytes.size() / rows;
  Status status =
      parallelRows(op.getContext(), rows, rowsPerChunk(cols * 4), [&](int64_t, int64_t first, int64_t end) -> Status {
        std::span<float> out = result.as<float>().subspan(first * cols, (end - first) * cols);
        decodeToF32(format, input.bytes.subspan(first * rowBytes, (end - first) * rowBytes), out);
        for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
          float by = factor.values[byRow ? first + i / cols : i % cols];
          out[i] = inverse ? out[i] / by : out[i] * by;
        }
        for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i)
          if (!std::isfinite(out[i]))
            return badInput("expected scaled values that f32 can hold, but got " + std::to_string(out[i]),
                            "row " + std::to_string(first + i / cols) + ", column " + std::to_string(i % cols))
                .withNext("scale by less, or leave this site out");
        return {};
      });
  if (!status)
    return status.takeError();
  return Results{result.tensor};
}

static Result<Results> repeatHeads(lowbit::RepeatHeadsOp op, Operands operands) {
  FloatView input = viewAsF32(operands[0]);
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getResult()));
  auto times = static_cast<int64_t>(op.getTimes()), dim = static_cast<int64_t>(op.getDim());
  std::span<float> out = result.as<float>();
  for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i)
    out[i] = input.values[i / (dim * times) * dim + i % dim];
  return Results{result.tensor};
}

/// Vectors that are rotated together.
static constexpr int64_t kRotatedTogether = 64;

Result<const Rotation *> Rotations::of(lowbit::OrthogonalOp op) {
  std::tuple key(toRotationKind(op.getKind()), static_cast<int64_t>(op.getSize()), static_cast<uint64_t>(op.getSeed()));
  auto found = made.find(key);
  if (found == made.end()) {
    Result<Rotation> rotation = std::apply(Rotation::create, key);
    if (!rotation)
      return rotation.takeError();
    found = made.emplace(key, std::move(*rotation)).first;
  }
  return &found->second;
}

static Result<Results> rotate(lowbit::OrthogonalOp op, Operands operands, const Rotation &rotation) {
  int64_t size = rotation.size();
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getResult()));
  std::span<float> out = result.as<float>();
  decodeToF32(*operands[0].floatFormat(), operands[0].bytes, out);
  // A vector of a matrix lies along a row (axis 1) or down a column (axis 0); that of a vector is all of it.
  int64_t rows = operands[0].rows(), cols = operands[0].elements() / rows;
  bool alongRows = op.getAxis() == 1;
  int64_t length = alongRows ? cols : rows, vectors = alongRows ? rows : cols;
  int64_t step = alongRows ? 1 : cols, between = alongRows ? cols : 1;
  Status status = parallelRows(op.getContext(), vectors, kRotatedTogether, [&](int64_t, int64_t first, int64_t end) {
    int64_t count = end - first;
    AlignedVector<float> tile(size * count);
    for (int64_t start = 0; start < length; start += size) {
      auto element = [&](int64_t i, int64_t t) -> float & { return out[(start + i) * step + (first + t) * between]; };
      for (int64_t i = 0; i < size; ++i)
        for (int64_t t = 0; t < count; ++t)
          tile[i * count + t] = element(i, t);
      rotation.apply(tile.data(), count);
      for (int64_t i = 0; i < size; ++i)
        for (int64_t t = 0; t < count; ++t)
          element(i, t) = tile[i * count + t];
    }
    return Status();
  });
  if (!status)
    return status.takeError();
  return Results{result.tensor};
}

static Result<Results> fill(lowbit::FillOp op, Operands) {
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getResult()));
  std::ranges::fill(result.as<float>(), static_cast<float>(op.getValue().convertToDouble()));
  return Results{result.tensor};
}

static Result<Results> activationScale(lowbit::ActivationScaleOp op, Operands) {
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getResult()));
  result.as<float>().front() = op.getValue().convertToFloat();
  return Results{result.tensor};
}

//===----------------------------------------------------------------------===//
// Quantization
//===----------------------------------------------------------------------===//

static Result<Results> quantize(lowbit::QuantizeOp op, Operands operands) {
  Result<WeightScheme> scheme = toWeightScheme(op.getScheme());
  if (!scheme)
    return scheme.takeError();
  FloatView weight = viewAsF32(operands[0]);
  int64_t rows = operands[0].type.getDimSize(0), cols = operands[0].type.getDimSize(1);
  OwnedTensor codes = OwnedTensor::allocate(typeOf(op.getCodes()));
  OwnedTensor scales = OwnedTensor::allocate(typeOf(op.getScales()));
  Results results{codes.tensor, scales.tensor};
  std::span<std::byte> zeros;
  if (op.getZeroPoints()) {
    OwnedTensor owned = OwnedTensor::allocate(typeOf(op.getZeroPoints()));
    zeros = owned.bytes;
    results.push_back(owned.tensor);
  }
  int64_t groups = scheme->groupsPerRow(cols);
  size_t scaleBytes = scales.bytes.size() / rows;
  Status status = parallelRows(op.getContext(), rows, rowsPerChunk(cols * 4), [&](int64_t, int64_t first, int64_t end) {
    int64_t count = end - first;
    auto *zeroData = reinterpret_cast<uint8_t *>(zeros.data());
    QuantizedRows out{codes.as<uint8_t>().subspan(first * cols, count * cols),
                      scales.bytes.subspan(first * scaleBytes, count * scaleBytes),
                      zeros.empty() ? std::span<uint8_t>()
                                    : std::span<uint8_t>(zeroData + first * groups, count * groups)};
    return quantizeRoundToNearest(*scheme, count, cols, weight.values.subspan(first * cols, count * cols), out, first);
  });
  if (!status)
    return status.takeError();
  return results;
}

static Result<Results> dequantize(lowbit::DequantizeOp op, Operands operands) {
  Result<WeightScheme> scheme = toWeightScheme(op.getScheme());
  if (!scheme)
    return scheme.takeError();
  HostTensor codes = operands[0].canonical();
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getWeight()));
  QuantizedRowsView in(asCodes(codes.bytes), operands[1].bytes,
                       operands.size() > 2 ? asCodes(operands[2].bytes) : std::span<const uint8_t>());
  Status status = dequantizeRows(*scheme, codes.type.getDimSize(0), codes.type.getDimSize(1), in, result.as<float>());
  if (!status)
    return status.takeError();
  return Results{result.tensor};
}

/// The codes of `tensor` as an archive holds them.
static Result<HostTensor> archiveForm(const HostTensor &tensor) {
  unsigned bits = tensor.type.getElementTypeBitWidth();
  if (tensor.packed || bits == 8)
    return tensor;
  std::optional<uint64_t> bytes = packedCodeBytes(bits, tensor.elements());
  if (!bytes)
    return badInput("expected codes of 2, 3, 4, 5, 6 or 8 bits that fill whole bytes, but got " +
                    std::to_string(tensor.elements()) + " codes of " + std::to_string(bits) + " bits");
  OwnedTensor packed = OwnedTensor::allocate(tensor.type, static_cast<int64_t>(*bytes));
  packed.tensor.packed = true;
  if (Status status = packCodes(bits, asCodes(tensor.bytes), packed.bytes); !status)
    return status.takeError();
  return packed.tensor;
}

static Result<Results> pack(lowbit::PackOp op, Operands operands) {
  auto attribute = dyn_cast<kernel::PanelAttr>(op.getLayout());
  if (!attribute)
    return badInput("expected a layout of kind #kernel.panel");
  const HostTensor &weight = operands[0];
  int64_t n = weight.type.getDimSize(0), k = weight.type.getDimSize(1);
  PanelLayout layout = toPanelLayout(attribute, k);
  if (Status status = layout.validate(n, k); !status)
    return status.takeError();
  OwnedTensor result = OwnedTensor::allocate(typeOf(op.getPacked()));
  int64_t panelBytes = layout.panelBytes(k);
  auto panels = [&](int64_t first, int64_t end) {
    int64_t firstPanel = first / layout.rows, count = (end - first + layout.rows - 1) / layout.rows;
    return result.bytes.subspan(firstPanel * panelBytes, count * panelBytes);
  };
  Status status;
  if (layout.isQuantized()) {
    Result<HostTensor> codes = archiveForm(weight);
    if (!codes)
      return codes.takeError();
    size_t next = 1;
    std::span<const std::byte> scales = op.getScales() ? operands[next++].bytes : std::span<const std::byte>();
    std::span<const std::byte> zeros = op.getZeroPoints() ? operands[next++].bytes : std::span<const std::byte>();
    size_t codeBytes = codes->bytes.size() / n, scaleBytes = scales.size() / n, zeroBytes = zeros.size() / n;
    status = parallelRows(op.getContext(), n, rowsPerChunk(k, layout.rows), [&](int64_t, int64_t first, int64_t end) {
      int64_t count = end - first;
      PackedWeightsView view{codes->bytes.subspan(first * codeBytes, count * codeBytes),
                             scales.subspan(first * scaleBytes, count * scaleBytes),
                             asCodes(zeros.subspan(first * zeroBytes, count * zeroBytes))};
      return packPanels(layout, count, k, view, panels(first, end));
    });
  } else {
    ElementFormat format = *weight.floatFormat();
    size_t rowBytes = weight.bytes.size() / n;
    status = parallelRows(op.getContext(), n, rowsPerChunk(k * 4, layout.rows),
                          [&](int64_t, int64_t first, int64_t end) -> Status {
                            int64_t count = end - first;
                            std::vector<float> values(count * k);
                            decodeToF32(format, weight.bytes.subspan(first * rowBytes, count * rowBytes), values);
                            return packPanels(layout, count, k, values, panels(first, end), first);
                          });
  }
  if (!status)
    return status.takeError();
  return Results{result.tensor};
}

Result<Results> qopt::evaluateOp(Operation *op, Operands operands, Rotations &rotations) {
  return llvm::TypeSwitch<Operation *, Result<Results>>(op)
      .Case<transformer::ConcatOp>([&](auto op) { return concat(op, operands); })
      .Case<transformer::UnpermuteRotaryOp>([&](auto op) { return unpermuteRotary(op, operands); })
      .Case<lowbit::ScaleOp>([&](auto op) { return scale(op, operands); })
      .Case<lowbit::RepeatHeadsOp>([&](auto op) { return repeatHeads(op, operands); })
      .Case<lowbit::OrthogonalOp>([&](auto op) -> Result<Results> {
        Result<const Rotation *> rotation = rotations.of(op);
        if (!rotation)
          return rotation.takeError();
        return rotate(op, operands, **rotation);
      })
      .Case<lowbit::FillOp>([&](auto op) { return fill(op, operands); })
      .Case<lowbit::ActivationScaleOp>([&](auto op) { return activationScale(op, operands); })
      .Case<lowbit::QuantizeOp>([&](auto op) { return quantize(op, operands); })
      .Case<lowbit::DequantizeOp>([&](auto op) { return dequantize(op, operands); })
      .Case<lowbit::PackOp>([&](auto op) { return pack(op, operands); })
      .Default([](Operation *op) {
        return badInput("expected an op that initializers can be evaluated with, but got " +
                        op->getName().getStringRef().str());
      });
}
