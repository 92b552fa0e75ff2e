// Inside of lib/Reference: one function for the ops of each dialect, on the values of a block's frame.
#ifndef QOPT_LIB_REFERENCE_OPS_H
#define QOPT_LIB_REFERENCE_OPS_H

#include "dialects/LowBit/Dialect.h"
#include "lib/Reference/Value.h"

#include "llvm/ADT/DenseMap.h"

#include <optional>

namespace qopt::reference {

/// The values that a block has computed so far. Lookups are of operands whose types the verifier has checked.
class Frame {
public:
  void set(mlir::Value name, HostValue value) { values.insert_or_assign(name, std::move(value)); }
  void forget(mlir::Value name) { values.erase(name); }
  const HostValue &get(mlir::Value name) const { return values.find(name)->second; }
  const Tensor &tensor(mlir::Value name) const { return *std::get<TensorRef>(get(name)); }
  const Cache &cache(mlir::Value name) const { return std::get<Cache>(get(name)); }
  int64_t index(mlir::Value name) const { return std::get<int64_t>(get(name)); }

private:
  llvm::DenseMap<mlir::Value, HostValue> values;
};

using Results = mlir::FailureOr<std::vector<HostValue>>;

inline std::vector<HostValue> single(Tensor tensor) { return {std::make_shared<const Tensor>(std::move(tensor))}; }

/// The results of an op of the dialect; nothing if it is none that is evaluated. Failure has emitted an error.
std::optional<Results> evaluateTransformerOp(mlir::Operation *op, const Frame &frame);
std::optional<Results> evaluateLowBitOp(mlir::Operation *op, const Frame &frame);
/// cache_update and attention, called by evaluateTransformerOp.
Results evaluateCacheUpdate(transformer::CacheUpdateOp op, const Frame &frame);
Results evaluateAttention(transformer::AttentionOp op, const Frame &frame);

/// Ops that scale and rotate, called by evaluateLowBitOp.
Results evaluateParameterOp(lowbit::ScaleOp op, const Frame &frame);
Results evaluateParameterOp(lowbit::RepeatHeadsOp op, const Frame &frame);
Results evaluateParameterOp(lowbit::OrthogonalOp op, const Frame &frame);
Results evaluateParameterOp(lowbit::FillOp op, const Frame &frame);
Results evaluateParameterOp(lowbit::ActivationScaleOp op, const Frame &frame);

/// `index` as a row of something with `rows` rows; failure, with an error at `op`, if it is none.
mlir::FailureOr<int64_t> checkedRow(mlir::Operation *op, llvm::StringRef what, int64_t index, int64_t rows);

/// Success if all `tensors` have as many rows as the first.
mlir::LogicalResult sameRows(mlir::Operation *op, llvm::ArrayRef<const Tensor *> tensors);

} // namespace qopt::reference

#endif // QOPT_LIB_REFERENCE_OPS_H
