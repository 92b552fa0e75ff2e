// Attention's result is, in each query head, a mean of the values of one value head: linear in the values.
//
// Query heads of a group share a value head, so their channels must be scaled alike: the factor has to be a
// lowbit.repeat_heads of one over value heads, which is what the values are then scaled by. Values reach attention
// through the cache: the update of the layer must be the only one of the module, lie on the way of the cache that
// attention reads, and have no other attention as its reader. What earlier calls have written was scaled alike.
#include "passes/Fold/ScaleRules.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// Whether two indices of layers may be the same: they are told apart only if both are constants.
static bool maybeSameLayer(Value a, Value b) {
  APInt left, right;
  return a == b || !matchPattern(a, m_ConstantInt(&left)) || !matchPattern(b, m_ConstantInt(&right)) || left == right;
}

/// The factor over value heads that `factor` repeats for query heads, or an error.
static Result<Value> overValueHeads(AttentionOp op, Value factor) {
  CacheType cache = op.getCache().getType();
  int64_t dim = cache.getDim(), queryHeads = cast<RankedTensorType>(op.getType()).getDimSize(1) / dim;
  int64_t times = queryHeads / cache.getHeads();
  if (times == 1)
    return factor;
  auto repeat = factor.getDefiningOp<lowbit::RepeatHeadsOp>();
  if (!repeat || static_cast<int64_t>(repeat.getTimes()) != times || static_cast<int64_t>(repeat.getDim()) != dim)
    return declines("query heads that share a value head are not known to be scaled alike (lowbit.repeat_heads times " +
                    std::to_string(times) + " dim " + std::to_string(dim) + ")");
  return repeat.getInput();
}

Result<OpOperand *> qopt::valuesOf(AttentionOp op) {
  SmallVector<CacheUpdateOp> updates;
  bool readElsewhere = false;
  op->getParentOfType<ModuleOp>().walk([&](Operation *other) {
    if (auto update = dyn_cast<CacheUpdateOp>(other); update && maybeSameLayer(update.getLayer(), op.getLayer()))
      updates.push_back(update);
    else if (auto attention = dyn_cast<AttentionOp>(other);
             attention && attention != op && maybeSameLayer(attention.getLayer(), op.getLayer()))
      readElsewhere = true;
  });
  if (readElsewhere)
    return declines("another attention reads the same layer of the cache");
  if (updates.size() != 1)
    return declines("expected one update of the layer of the cache, but found " + std::to_string(updates.size()));
  Value cache = op.getCache();
  while (cache && cache != updates.front().getResult()) {
    auto update = cache.getDefiningOp<CacheUpdateOp>();
    cache = update ? Value(update.getCache()) : Value();
  }
  if (!cache)
    return declines("the update of the layer is not on the way of the cache that attention reads");
  return &updates.front().getValueMutable();
}

Result<ScaledOperands> qopt::detail::scaleThrough(AttentionOp op, const Scale &scale) {
  Result<Value> factor = overValueHeads(op, scale.factor);
  if (!factor)
    return factor.takeError();
  Result<OpOperand *> values = valuesOf(op);
  if (!values)
    return values.takeError();
  return ScaledOperands{{*values, {*factor, scale.axis, scale.inverse}}};
}
