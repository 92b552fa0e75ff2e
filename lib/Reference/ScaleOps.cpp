// The ops of the lowbit dialect that scale and rotate: most of them stand in initializers of parameters.
#include "lib/Reference/Ops.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Algorithms/Rotation.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

Results reference::evaluateParameterOp(lowbit::ScaleOp op, const Frame &frame) {
  Tensor result = frame.tensor(op.getInput());
  result.type = RankedTensorType::get(result.type.getShape(), Float32Type::get(op.getContext()));
  const Tensor &factor = frame.tensor(op.getFactor());
  int64_t inner = 1;
  for (int64_t axis = static_cast<int64_t>(op.getAxis()) + 1; axis < result.type.getRank(); ++axis)
    inner *= result.dim(axis);
  for (int64_t i = 0; i < result.elements(); ++i) {
    double by = factor.floats[i / inner % factor.elements()], value = result.floats[i];
    result.floats[i] = static_cast<float>(op.getInverse() ? value / by : value * by);
  }
  return single(std::move(result));
}

Results reference::evaluateParameterOp(lowbit::RepeatHeadsOp op, const Frame &frame) {
  const Tensor &input = frame.tensor(op.getInput());
  Tensor result = Tensor::zeros(cast<RankedTensorType>(op.getResult().getType()));
  auto times = static_cast<int64_t>(op.getTimes()), dim = static_cast<int64_t>(op.getDim());
  for (int64_t i = 0; i < result.elements(); ++i)
    result.floats[i] = input.floats[i / (dim * times) * dim + i % dim];
  return single(std::move(result));
}

/// Vectors times the matrix, summed in f64.
Results reference::evaluateParameterOp(lowbit::OrthogonalOp op, const Frame &frame) {
  const Tensor &input = frame.tensor(op.getInput());
  auto kind =
      op.getKind() == lowbit::RotationKind::Hadamard ? qopt::RotationKind::Hadamard : qopt::RotationKind::Orthogonal;
  auto size = static_cast<int64_t>(op.getSize());
  Result<Rotation> rotation = Rotation::create(kind, size, static_cast<uint64_t>(op.getSeed()));
  if (!rotation)
    return op.emitOpError() << rotation.error().rule;
  std::vector<double> q = rotation->matrix();
  Tensor result = Tensor::zeros(cast<RankedTensorType>(op.getResult().getType()));
  int64_t rows = input.dim(0), cols = input.elements() / rows;
  bool alongRows = op.getAxis() == 1;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t col = 0; col < cols; ++col) {
      int64_t at = alongRows ? col : row, start = at / size * size;
      double sum = 0;
      for (int64_t i = 0; i < size; ++i) {
        int64_t from = alongRows ? row * cols + start + i : (start + i) * cols + col;
        sum += static_cast<double>(input.floats[from]) * q[i * size + at - start];
      }
      result.floats[row * cols + col] = static_cast<float>(sum);
    }
  return single(std::move(result));
}

Results reference::evaluateParameterOp(lowbit::FillOp op, const Frame &) {
  Tensor result = Tensor::zeros(cast<RankedTensorType>(op.getResult().getType()));
  std::ranges::fill(result.floats, static_cast<float>(op.getValue().convertToDouble()));
  return single(std::move(result));
}

Results reference::evaluateParameterOp(lowbit::ActivationScaleOp op, const Frame &) {
  Tensor result = Tensor::zeros(cast<RankedTensorType>(op.getResult().getType()));
  result.floats[0] = op.getValue().convertToFloat();
  return single(std::move(result));
}
