// See Segments.h.
#include "passes/Calibrate/Segments.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "dialects/Transformer/Entry.h"
#include "lib/Parameters/ReadParameters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// Ops that are no step of the computation. Observers come along with what they look at.
static bool isLeaf(Operation *op) { return isa<GetOp, arith::ConstantOp, lowbit::ObserveOp>(op); }

/// [tokens, channels] of floats.
static bool isStream(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 2 && type.isDynamicDim(0) && isa<FloatType>(type.getElementType());
}

/// The layer that a cache op names, or -1 if it is not a constant.
static int64_t layerOf(Value layer) {
  IntegerAttr value;
  return matchPattern(layer, m_Constant(&value)) ? value.getInt() : -1;
}

Status qopt::checkCuts(func::FuncOp forward) {
  auto refuse = [&](const std::string &got) {
    return badInput("expected a function @forward with the arguments of a model (tokens, positions, sequences, block "
                    "tables, rows, cache) and constants for the cache's layers, but got " +
                    got)
        .withNext("start from a module that 'qopt import' wrote");
  };
  if (!llvm::hasSingleElement(forward.getBody()))
    return refuse("several blocks");
  ArrayRef<Type> types = forward.getArgumentTypes();
  if (types.size() < kModelArguments || !isa<CacheType>(types[Cache]) ||
      !llvm::all_of(types.take_front(Cache), [](Type type) { return isa<RankedTensorType>(type); })) {
    std::string got;
    llvm::raw_string_ostream(got) << forward.getFunctionType();
    return refuse(got);
  }
  bool isConstant = true;
  forward.walk([&](Operation *op) {
    if (auto attention = dyn_cast<AttentionOp>(op))
      isConstant &= layerOf(attention.getLayer()) >= 0;
    else if (auto update = dyn_cast<CacheUpdateOp>(op))
      isConstant &= layerOf(update.getLayer()) >= 0;
  });
  return isConstant ? Status() : refuse("a layer that is computed");
}

SmallVector<Segment> qopt::findSegments(func::FuncOp forward) {
  SmallVector<Operation *> sequence;
  for (Operation &op : forward.getBody().front().without_terminator())
    if (!isLeaf(&op))
      sequence.push_back(&op);
  llvm::DenseMap<Operation *, size_t> order;
  for (auto [index, op] : llvm::enumerate(sequence))
    order[op] = index;
  auto lastUse = [&](Value value) {
    size_t last = 0;
    for (Operation *user : value.getUsers()) {
      if (isLeaf(user))
        continue;
      auto found = order.find(user);
      last = std::max(last, found == order.end() ? sequence.size() : found->second);
    }
    return last;
  };
  SmallVector<Segment> segments(1);
  llvm::SmallSetVector<Value, 8> live;
  for (auto [index, op] : llvm::enumerate(sequence)) {
    // From here on rows stand for tokens: all of that is the last segment.
    bool overRows = isa<SelectRowsOp>(op);
    if (overRows) {
      segments.back().ops.append(sequence.begin() + index, sequence.end());
      break;
    }
    segments.back().ops.push_back(op);
    live.remove_if([&, now = index](Value value) { return lastUse(value) <= now; });
    for (Value result : op->getResults())
      if (isStream(result) && lastUse(result) > index)
        live.insert(result);
    if (live.size() == 1 && live.front() != segments.back().input) {
      segments.back().output = live.front();
      segments.emplace_back();
      segments.back().input = live.front();
    }
  }
  return segments;
}

namespace {
/// What is needed to compute a part, and the layers of the cache in it.
struct Slice {
  llvm::DenseSet<Operation *> ops;
  llvm::SmallSetVector<int64_t, 2> layers;
};
} // namespace

static Slice sliceOf(ArrayRef<Value> inputs, ArrayRef<Value> outputs) {
  Slice slice;
  SmallVector<std::pair<Value, int64_t>> pending; // a value, and for a cache the layer that is read
  for (Value output : outputs)
    pending.push_back({output, -1});
  while (!pending.empty()) {
    auto [value, layer] = pending.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (!op || llvm::is_contained(inputs, value))
      continue;
    // Who reads one layer of the cache does not need what was written to others.
    if (auto update = dyn_cast<CacheUpdateOp>(op); update && layer >= 0 && layerOf(update.getLayer()) != layer) {
      pending.push_back({update.getCache(), layer});
      continue;
    }
    if (!slice.ops.insert(op).second)
      continue;
    int64_t read = -1;
    if (auto attention = dyn_cast<AttentionOp>(op))
      read = layerOf(attention.getLayer());
    else if (auto update = dyn_cast<CacheUpdateOp>(op))
      read = layerOf(update.getLayer());
    if (read >= 0)
      slice.layers.insert(read);
    for (Value operand : op->getOperands())
      pending.push_back({operand, isa<CacheType>(operand.getType()) ? read : -1});
  }
  return slice;
}

/// Copies the archives and, with all that their initializers need, the parameters that the slice reads.
static void copySymbols(ModuleOp from, const Slice &slice, OpBuilder &builder) {
  llvm::SetVector<Operation *> needed =
      parametersReadBy(from, SmallVector<Operation *>(slice.ops.begin(), slice.ops.end()));
  for (Operation &op : *from.getBody())
    if (isa<ArchiveOp>(op) || needed.contains(&op))
      builder.clone(op);
}

static ArrayAttr namesOf(ArrayRef<Value> values, OpBuilder &builder) {
  SmallVector<Attribute> names;
  for (Value value : values) {
    auto location = dyn_cast<NameLoc>(value.getLoc());
    names.push_back(location ? location.getName() : builder.getStringAttr(""));
  }
  return builder.getArrayAttr(names);
}

OwningOpRef<ModuleOp> qopt::extractPart(ModuleOp module, ArrayRef<Value> inputs, ArrayRef<Value> outputs) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  Slice slice = sliceOf(inputs, outputs);
  OwningOpRef<ModuleOp> part = ModuleOp::create(module.getLoc(), module.getSymName());
  (*part)->setDiscardableAttrs(module->getDiscardableAttrDictionary());
  OpBuilder builder = OpBuilder::atBlockEnd(part->getBody());
  copySymbols(module, slice, builder);

  SmallVector<Type> arguments(forward.getArgumentTypes().take_front(kModelArguments));
  auto whole = cast<CacheType>(arguments[Cache]);
  auto cacheType = CacheType::get(module.getContext(), std::max<int64_t>(slice.layers.size(), 1), whole.getHeads(),
                                  whole.getDim(), whole.getElementType());
  arguments[Cache] = cacheType;
  SmallVector<Type> results;
  for (Value input : inputs)
    arguments.push_back(input.getType());
  for (Value output : outputs)
    results.push_back(output.getType());
  results.push_back(cacheType);
  auto function =
      func::FuncOp::create(builder, forward.getLoc(), "forward", builder.getFunctionType(arguments, results));
  function->setAttr("transformer.part",
                    builder.getDictionaryAttr({builder.getNamedAttr("inputs", namesOf(inputs, builder)),
                                               builder.getNamedAttr("outputs", namesOf(outputs, builder))}));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  IRMapping mapping;
  for (unsigned i = 0; i < kModelArguments; ++i)
    mapping.map(forward.getArgument(i), body->getArgument(i));
  for (auto [index, input] : llvm::enumerate(inputs))
    mapping.map(input, body->getArgument(kModelArguments + index));

  Value cache = body->getArgument(Cache);
  llvm::DenseMap<int64_t, Value> layers;
  for (auto [index, layer] : llvm::enumerate(slice.layers))
    layers[layer] = arith::ConstantIndexOp::create(builder, forward.getLoc(), index);
  for (Operation &op : forward.getBody().front().without_terminator()) {
    if (!slice.ops.contains(&op))
      continue;
    Operation *copy = builder.clone(op, mapping);
    if (auto attention = dyn_cast<AttentionOp>(copy)) {
      attention.getCacheMutable().assign(cache);
      attention.getLayerMutable().assign(layers[layerOf(cast<AttentionOp>(op).getLayer())]);
    } else if (auto update = dyn_cast<CacheUpdateOp>(copy)) {
      update.getCacheMutable().assign(cache);
      update.getLayerMutable().assign(layers[layerOf(cast<CacheUpdateOp>(op).getLayer())]);
      update.getResult().setType(cacheType);
      cache = update.getResult();
    }
  }
  // Constants that named layers of the whole cache have lost their users.
  for (Operation &op : llvm::make_early_inc_range(*body))
    if (isa<arith::ConstantOp>(op) && op.use_empty())
      op.erase();
  SmallVector<Value> returned;
  for (Value output : outputs)
    returned.push_back(mapping.lookup(output));
  returned.push_back(cache);
  func::ReturnOp::create(builder, forward.getLoc(), returned);
  return part;
}
