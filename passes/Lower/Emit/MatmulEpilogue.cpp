// See MatmulEpilogue.h.
#include "passes/Lower/Emit/MatmulEpilogue.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;

MatmulEpilogue::MatmulEpilogue(KernelBuilder &b, KernelContext &context, lowbit::MatmulOp op, Operation *after)
    : b(b), after(after) {
  auto bufferOf = [&](Value value) { return value ? context.buffers.lookup(value) : Value(); };
  bias = bufferOf(op.getBias());
  auto yield = cast<kernel::YieldOp>(context.dispatch.getBody().front().getTerminator());
  output = bufferOf(yield.getValues()[0]);
  if (auto residual = dyn_cast_or_null<transformer::ResidualOp>(after)) {
    Value other = residual.getInput() == op.getResult() ? residual.getUpdate() : residual.getInput();
    residualInput = bufferOf(throughSlices(other, residualColumn));
  }
  outputs = cast<MemRefType>(output.getType()).getDimSize(1);
}

Value MatmulEpilogue::withBias(Value sums, Value panel) {
  if (!bias)
    return sums;
  // Bias vectors are padded to whole panels only by luck: read scalars past the end as 0.
  if (outputs % kLanes == 0)
    return b.add(sums, b.extendToF32(b.load(bias, {b.mul(panel, kLanes)}, kLanes)));
  Value values = b.splat(kLanes, 0.0f);
  int64_t last = cast<MemRefType>(bias.getType()).getDimSize(0) - 1;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    Value at = b.minIndex(b.add(b.mul(panel, kLanes), lane), b.index(last));
    values = vector::InsertOp::create(b, b.extendToF32(b.loadScalar(bias, {at})), values, lane);
  }
  return b.add(sums, values);
}

Value MatmulEpilogue::gated(Value gate, Value up) { return b.mul(b.activation(gatedProduct().getKind(), gate), up); }

void MatmulEpilogue::store(Value tile, Value token, ArrayRef<Value> results) {
  Value column = b.mul(tile, kLanes);
  int64_t rest = outputs % kLanes;
  if (rest == 0)
    return storePieces(token, column, results, {{0, kLanes}});
  SmallVector<std::pair<int64_t, int64_t>> pieces;
  for (int64_t lanes = kLanes / 2, at = 0; lanes != 0; lanes /= 2)
    if (rest & lanes) {
      pieces.push_back({at, lanes});
      at += lanes;
    }
  Value isLast = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, tile, b.index(outputs / kLanes));
  auto branch = scf::IfOp::create(b, isLast, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  storePieces(token, column, results, pieces);
  b.setInsertionPointToStart(branch.elseBlock());
  storePieces(token, column, results, {{0, kLanes}});
}

void MatmulEpilogue::storePieces(Value token, Value column, ArrayRef<Value> results,
                                 ArrayRef<std::pair<int64_t, int64_t>> pieces) {
  for (auto [m, result] : llvm::enumerate(results))
    for (auto [at, lanes] : pieces) {
      Value piece = result;
      if (lanes != kLanes)
        piece = vector::ExtractStridedSliceOp::create(b, result, ArrayRef<int64_t>{at}, ArrayRef<int64_t>{lanes},
                                                      ArrayRef<int64_t>{1});
      SmallVector<Value> position{b.add(token, static_cast<int64_t>(m)), b.add(column, at)};
      if (residualInput)
        piece = b.add(b.load(residualInput, {position[0], b.add(position[1], residualColumn)}, lanes), piece);
      if (auto activation = dyn_cast_or_null<transformer::ActivationOp>(after))
        piece = b.activation(activation.getKind(), piece);
      b.store(piece, output, position);
    }
}
