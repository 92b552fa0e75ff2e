// The ops of the transformer dialect, as their descriptions say them, in f64.
#include "lib/Reference/Ops.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;
using namespace qopt::transformer;

namespace {

/// [rows, channels] of f32.
Tensor activations(MLIRContext *context, int64_t rows, int64_t channels) {
  return Tensor::zeros(RankedTensorType::get({rows, channels}, Float32Type::get(context)));
}

//===----------------------------------------------------------------------===//
// Initializers
//===----------------------------------------------------------------------===//

/// Copies `count` rows, each of rowElements() elements, whatever their type.
void copyRows(const Tensor &from, int64_t fromRow, Tensor &to, int64_t toRow, int64_t count) {
  int64_t width = from.rowElements();
  auto copy = [&](const auto &source, auto &target) {
    std::copy_n(source.begin() + fromRow * width, count * width, target.begin() + toRow * width);
  };
  if (from.isFloat())
    copy(from.floats, to.floats);
  else
    copy(from.integers, to.integers);
}

Results evaluate(ConcatOp op, const Frame &frame) {
  Tensor result = Tensor::zeros(cast<RankedTensorType>(op.getResult().getType()));
  int64_t step = static_cast<int64_t>(op.getInterleave()), next = 0;
  if (step == 0) {
    for (mlir::Value input : op.getInputs()) {
      const Tensor &part = frame.tensor(input);
      copyRows(part, 0, result, next, part.dim(0));
      next += part.dim(0);
    }
    return single(std::move(result));
  }
  for (int64_t row = 0; row < frame.tensor(op.getInputs()[0]).dim(0); row += step)
    for (mlir::Value input : op.getInputs()) {
      copyRows(frame.tensor(input), row, result, next, step);
      next += step;
    }
  return single(std::move(result));
}

/// [heads, dim/2, 2, …] to [heads, 2, dim/2, …].
Results evaluate(UnpermuteRotaryOp op, const Frame &frame) {
  const Tensor &input = frame.tensor(op.getInput());
  Tensor result = Tensor::zeros(input.type);
  int64_t heads = static_cast<int64_t>(op.getHeads()), dim = input.dim(0) / heads;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t pair = 0; pair < dim / 2; ++pair)
      for (int64_t half = 0; half < 2; ++half)
        copyRows(input, head * dim + 2 * pair + half, result, head * dim + half * (dim / 2) + pair, 1);
  return single(std::move(result));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Rows of `table` by index, in f32.
Results gatherRows(Operation *op, StringRef what, const Tensor &table, const Tensor &indices) {
  Tensor result = activations(op->getContext(), indices.dim(0), table.dim(1));
  for (int64_t t = 0; t < indices.dim(0); ++t) {
    FailureOr<int64_t> row = checkedRow(op, what, indices.integers[t], table.dim(0));
    if (failed(row))
      return failure();
    copyRows(table, *row, result, t, 1);
  }
  return single(std::move(result));
}

Results evaluate(EmbeddingOp op, const Frame &frame) {
  return gatherRows(op, "a token", frame.tensor(op.getTable()), frame.tensor(op.getTokens()));
}

Results evaluate(SelectRowsOp op, const Frame &frame) {
  return gatherRows(op, "a row", frame.tensor(op.getInput()), frame.tensor(op.getRows()));
}

Results evaluate(SliceOp op, const Frame &frame) {
  const Tensor &input = frame.tensor(op.getInput());
  int64_t width = cast<RankedTensorType>(op.getResult().getType()).getDimSize(1);
  Tensor result = activations(op.getContext(), input.dim(0), width);
  for (int64_t t = 0; t < input.dim(0); ++t)
    std::copy_n(input.floats.begin() + t * input.dim(1) + static_cast<int64_t>(op.getOffset()), width,
                result.floats.begin() + t * width);
  return single(std::move(result));
}

//===----------------------------------------------------------------------===//
// Norms and linear
//===----------------------------------------------------------------------===//

Results evaluate(RmsNormOp op, const Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput()), &weight = frame.tensor(op.getWeight());
  Tensor result = Tensor::zeros(x.type);
  int64_t width = x.dim(1);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    double squares = 0;
    for (int64_t c = 0; c < width; ++c)
      squares += double{x.floats[t * width + c]} * x.floats[t * width + c];
    double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + op.getEpsilon().convertToDouble());
    for (int64_t c = 0; c < width; ++c)
      result.floats[t * width + c] = static_cast<float>(x.floats[t * width + c] * scale * weight.floats[c]);
  }
  return single(std::move(result));
}

Results evaluate(LayerNormOp op, const Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput()), &weight = frame.tensor(op.getWeight());
  const Tensor *bias = op.getBias() ? &frame.tensor(op.getBias()) : nullptr;
  Tensor result = Tensor::zeros(x.type);
  int64_t width = x.dim(1);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const float *row = x.floats.data() + t * width;
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < width; ++c)
      mean += row[c] / static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c)
      variance += (row[c] - mean) * (row[c] - mean) / static_cast<double>(width);
    double scale = 1.0 / std::sqrt(variance + op.getEpsilon().convertToDouble());
    for (int64_t c = 0; c < width; ++c)
      result.floats[t * width + c] =
          static_cast<float>((row[c] - mean) * scale * weight.floats[c] + (bias ? double{bias->floats[c]} : 0.0));
  }
  return single(std::move(result));
}

Results evaluate(LinearOp op, const Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput()), &weight = frame.tensor(op.getWeight());
  const Tensor *bias = op.getBias() ? &frame.tensor(op.getBias()) : nullptr;
  int64_t tokens = x.dim(0), inputs = x.dim(1), outputs = weight.dim(0);
  std::vector<float> seen = x.floats; // the input as the weight's type lets it be seen
  if (weight.type.getElementType().isBF16())
    for (float &value : seen)
      value = roundTo(weight.type.getElementType(), value);
  Tensor result = activations(op.getContext(), tokens, outputs);
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t t = 0; t < tokens; ++t) {
      double sum = 0;
      for (int64_t i = 0; i < inputs; ++i)
        sum += double{seen[t * inputs + i]} * weight.floats[o * inputs + i];
      result.floats[t * outputs + o] = static_cast<float>(sum + (bias ? double{bias->floats[o]} : 0.0));
    }
  return single(std::move(result));
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

/// [tokens, dim]: dim/2 cosines, then dim/2 sines, of f32 angles.
Tensor rotaryTable(RotaryAttr rotary, const Tensor &positions) {
  SmallVector<float> frequencies = rotary.getFrequencies();
  int64_t half = rotary.getDim() / 2;
  Tensor table = activations(rotary.getContext(), positions.dim(0), rotary.getDim());
  for (int64_t t = 0; t < positions.dim(0); ++t)
    for (int64_t i = 0; i < half; ++i) {
      float angle = static_cast<float>(positions.integers[t]) * frequencies[i];
      table.floats[t * 2 * half + i] = static_cast<float>(std::cos(double{angle}));
      table.floats[t * 2 * half + half + i] = static_cast<float>(std::sin(double{angle}));
    }
  return table;
}

Tensor rotate(const Tensor &x, const Tensor &table) {
  Tensor result = Tensor::zeros(x.type);
  int64_t dim = table.dim(1), half = dim / 2;
  for (int64_t t = 0; t < x.dim(0); ++t)
    for (int64_t head = 0; head < x.dim(1) / dim; ++head)
      for (int64_t i = 0; i < half; ++i) {
        double c = table.floats[t * dim + i], s = table.floats[t * dim + half + i];
        int64_t first = t * x.dim(1) + head * dim + i, second = first + half;
        result.floats[first] = static_cast<float>(x.floats[first] * c - x.floats[second] * s);
        result.floats[second] = static_cast<float>(x.floats[second] * c + x.floats[first] * s);
      }
  return result;
}

Results evaluate(RotaryOp op, const Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput()), &positions = frame.tensor(op.getPositions());
  if (failed(sameRows(op, {&x, &positions})))
    return failure();
  return single(rotate(x, rotaryTable(op.getRotary(), positions)));
}

Results evaluate(RotaryTableOp op, const Frame &frame) {
  return single(rotaryTable(op.getRotary(), frame.tensor(op.getPositions())));
}

Results evaluate(RotateOp op, const Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput()), &table = frame.tensor(op.getTable());
  if (failed(sameRows(op, {&x, &table})))
    return failure();
  return single(rotate(x, table));
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

double activate(ActivationKind kind, double x) {
  switch (kind) {
  case ActivationKind::Silu:
    return x / (1.0 + std::exp(-x));
  case ActivationKind::GeluErf:
    return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
  case ActivationKind::GeluTanh:
    return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 * std::numbers::inv_pi) * (x + 0.044715 * x * x * x)));
  case ActivationKind::Relu:
    return std::fmax(x, 0.0);
  }
  llvm_unreachable("an activation that is not evaluated");
}

Results evaluate(ActivationOp op, const Frame &frame) {
  Tensor result = frame.tensor(op.getInput());
  for (float &value : result.floats)
    value = static_cast<float>(activate(op.getKind(), value));
  return single(std::move(result));
}

Results evaluate(GatedProductOp op, const Frame &frame) {
  const Tensor &gate = frame.tensor(op.getGate()), &up = frame.tensor(op.getUp());
  if (failed(sameRows(op, {&gate, &up})))
    return failure();
  Tensor result = Tensor::zeros(gate.type);
  for (auto [out, g, u] : llvm::zip_equal(result.floats, gate.floats, up.floats))
    out = static_cast<float>(activate(op.getKind(), g) * u);
  return single(std::move(result));
}

Results evaluate(InterleavedGatedProductOp op, const Frame &frame) {
  const Tensor &input = frame.tensor(op.getInput());
  int64_t width = input.dim(1) / 2, block = static_cast<int64_t>(op.getBlock());
  Tensor result = activations(op.getContext(), input.dim(0), width);
  for (int64_t t = 0; t < input.dim(0); ++t)
    for (int64_t c = 0; c < width; ++c) {
      int64_t gate = t * 2 * width + c / block * 2 * block + c % block;
      result.floats[t * width + c] =
          static_cast<float>(activate(op.getKind(), input.floats[gate]) * input.floats[gate + block]);
    }
  return single(std::move(result));
}

Results evaluate(ResidualOp op, const Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput()), &update = frame.tensor(op.getUpdate());
  if (failed(sameRows(op, {&x, &update})))
    return failure();
  Tensor result = Tensor::zeros(x.type);
  for (auto [out, a, b] : llvm::zip_equal(result.floats, x.floats, update.floats))
    out = static_cast<float>(double{a} + b);
  return single(std::move(result));
}

} // namespace

std::optional<Results> reference::evaluateTransformerOp(Operation *op, const Frame &frame) {
  return llvm::TypeSwitch<Operation *, std::optional<Results>>(op)
      .Case<ConcatOp, UnpermuteRotaryOp, EmbeddingOp, SelectRowsOp, SliceOp, RmsNormOp, LayerNormOp, LinearOp, RotaryOp,
            RotaryTableOp, RotateOp, ActivationOp, GatedProductOp, InterleavedGatedProductOp, ResidualOp>(
          [&](auto op) { return evaluate(op, frame); })
      .Case<CacheUpdateOp>([&](auto op) { return evaluateCacheUpdate(op, frame); })
      .Case<AttentionOp>([&](auto op) { return evaluateAttention(op, frame); })
      .Default([](Operation *) { return std::nullopt; });
}
