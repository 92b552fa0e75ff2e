// Holds @forward against what its callers do: the compiled entry, the runtime, and the buffers that they bring.
//
// No op's verifier sees these rules, because they are the function's: who calls it hands in six arguments in a fixed
// order, allocates logits for the wanted rows and a cache of so many layers, and checks token ids against the width of
// the logits. Both kinds of batch axis are `?` in types, so that only the ops tell them apart. See Passes.td.
#include "dialects/Kernel/Dialect.h"
#include "dialects/LowBit/Dialect.h"
#include "dialects/Shapes.h"
#include "dialects/Transformer/Dialect.h"
#include "dialects/Transformer/Entry.h"
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

namespace qopt {
#define GEN_PASS_DEF_VERIFYFORWARD
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {

/// What the first axis of a value counts.
enum class Axis { None, Tokens, WantedRows };

StringRef nameOf(Axis axis) { return axis == Axis::Tokens ? "all tokens" : "the wanted rows"; }

/// [?, channels].
bool isBatch(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.isDynamicDim(0) && !tensor.isDynamicDim(1);
}

/// [?, channels] of f32.
bool isStream(Type type) { return isBatch(type) && cast<RankedTensorType>(type).getElementType().isF32(); }

struct VerifyForward : qopt::impl::VerifyForwardBase<VerifyForward>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override { return {{"ops", opCount}}; }

  void runOnOperation() override {
    opCount = 0;
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward || forward.isExternal()) {
      mlir::emitError(getOperation().getLoc(), "expected a function @forward with a body");
      return signalPassFailure();
    }
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function != forward && !function.isExternal()) {
        function.emitOpError("expected no function with a body but @forward, which is what is compiled: remove it");
        return signalPassFailure();
      }
    isPart = forward->hasAttr("transformer.part");
    axes.clear(), updatedLayers.clear();
    if (failed(checkType(forward)) || failed(checkBody(forward)))
      signalPassFailure();
  }

private:
  LogicalResult checkType(func::FuncOp forward) {
    if (!llvm::hasSingleElement(forward.getBody()))
      return forward.emitOpError("expected one block, but got several");
    Type i32 = IntegerType::get(&getContext(), 32);
    Type indices = RankedTensorType::get({ShapedType::kDynamic}, i32);
    Type tables = RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic}, i32);
    Type wanted[] = {indices, indices, indices, tables, indices};
    ArrayRef<Type> types = forward.getArgumentTypes(), results = forward.getResultTypes();
    auto unlessPart = [&](bool holds) { return isPart || holds; };
    if (types.size() < kModelArguments || !llvm::equal(types.take_front(Cache), wanted) ||
        !isa<CacheType>(types[Cache]) || !llvm::all_of(types.drop_front(kModelArguments), isStream) ||
        !unlessPart(types.size() == kModelArguments))
      return forward.emitOpError() << "expected the arguments of a " << (isPart ? "part (" : "model (")
                                   << "tokens, positions, sequences: tensor<?xi32>, block tables: tensor<?x?xi32>, "
                                      "rows: tensor<?xi32>, a cache"
                                   << (isPart ? ", then inputs: tensor<?xCxf32>" : "") << "), but got "
                                   << forward.getFunctionType();
    bool areStreams =
        !results.empty() && llvm::all_of(results, [](Type type) { return isStream(type) || isa<CacheType>(type); });
    bool areModels = areStreams && isStream(results[0]) && results.size() <= 3 &&
                     (results.size() < 2 || isa<CacheType>(results[1])) && (results.size() < 3 || isStream(results[2]));
    if (!(isPart ? areStreams : areModels))
      return forward.emitOpError()
             << "expected the results of a "
             << (isPart ? "part (outputs: tensor<?xCxf32>, a cache)"
                        : "model (logits: tensor<?xNxf32>, a cache, and then hidden states or nothing)")
             << ", but got " << forward.getFunctionType();
    return success();
  }

  LogicalResult checkBody(func::FuncOp forward) {
    Block &block = forward.getBody().front();
    for (BlockArgument argument : block.getArguments())
      axes[argument] = argument.getArgNumber() == BlockTables || argument.getArgNumber() == Cache ? Axis::None
                       : argument.getArgNumber() == WantedRows                                    ? Axis::WantedRows
                                                                                                  : Axis::Tokens;
    latestCache = block.getArgument(Cache);
    for (Operation &op : block.without_terminator()) {
      ++opCount;
      if (failed(checkOp(op, block)))
        return failure();
    }
    return checkResults(block.getTerminator());
  }

  LogicalResult checkOp(Operation &op, Block &block) {
    if (isa<kernel::KernelDialect>(op.getDialect()))
      return op.emitOpError("expected the graph as importers leave it, of which later passes make kernels");
    if (auto constant = dyn_cast<arith::ConstantOp>(op); constant && !constant.getType().isIndex())
      return op.emitOpError() << "expected no constants but a cache's layers, of type index, but got "
                              << constant.getType() << ": let a transformer.parameter hold its values";
    if (auto select = dyn_cast<SelectRowsOp>(op)) {
      if (select.getRows() != block.getArgument(WantedRows) || axes.lookup(select.getInput()) != Axis::Tokens)
        return select.emitOpError("expected the wanted rows, argument 4 of @forward, of a value of all tokens");
      axes[select.getResult()] = Axis::WantedRows;
      return success();
    }
    if (failed(checkBatches(op, block)))
      return failure();
    Axis axis = Axis::None;
    for (auto [index, operand] : llvm::enumerate(op.getOperands())) {
      Axis here = axes.lookup(operand);
      if (axis != Axis::None && here != Axis::None && here != axis)
        return op.emitOpError() << "expected operands of all tokens or of the wanted rows, but got operand " << index
                                << " of " << nameOf(here) << " after one of " << nameOf(axis);
      axis = axis == Axis::None ? here : axis;
    }
    for (Value result : op.getResults()) {
      if (isa<CacheType>(result.getType()))
        continue;
      axes[result] = axis;
      if (axis != Axis::None && !isBatch(result.getType()))
        return op.emitOpError() << "expected a result of ? rows, one for each of " << nameOf(axis) << ", but got "
                                << result.getType();
    }
    return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
        .Case(
            [&](EmbeddingOp embedding) { return checkTable(op, embedding.getTokens(), rowsOf(embedding.getTable())); })
        .Case([&](lowbit::EmbeddingOp embedding) {
          return checkTable(op, embedding.getTokens(), rowsOf(embedding.getCodes()));
        })
        .Case([&](lowbit::GatherOp gather) {
          return checkTable(op, gather.getTokens(), static_cast<int64_t>(gather.getRows()));
        })
        .Case([&](CacheUpdateOp update) {
          FailureOr<int64_t> layer = checkCacheUse(update, block);
          // Which tokens an attention between two updates would see depends on how a batch is divided.
          if (succeeded(layer) && !updatedLayers.insert(*layer).second)
            return LogicalResult(update.emitOpError() << "expected one update of layer " << *layer << ", but got two");
          latestCache = update.getResult();
          return LogicalResult(layer);
        })
        .Case([&](AttentionOp attention) -> LogicalResult {
          FailureOr<int64_t> layer = checkCacheUse(attention, block);
          if (succeeded(layer) && !updatedLayers.contains(*layer))
            return attention.emitOpError() << "expected an update of layer " << *layer
                                           << " before it: of its own tokens there is nothing in the cache yet";
          return layer;
        })
        .Default(success());
  }

  /// What has a row for each token has as many rows as there are tokens: it is computed of them, and no parameter.
  LogicalResult checkBatches(Operation &op, Block &block) {
    SmallVector<Value, 4> batches;
    Value positions;
    llvm::TypeSwitch<Operation *>(&op)
        .Case<GetOp, arith::ConstantOp, EmbeddingOp, lowbit::EmbeddingOp, lowbit::GatherOp>([](auto) {})
        .Case([&](RotaryTableOp table) { positions = table.getPositions(); })
        .Case([&](RotaryOp rotary) { batches.push_back(rotary.getInput()), positions = rotary.getPositions(); })
        .Case([&](CacheUpdateOp update) { batches.append({update.getKey(), update.getValue()}); })
        .Case([&](lowbit::MatmulOp matmul) {
          batches.append({matmul.getPayload(), matmul.getScales(), matmul.getSums()});
        })
        .Case<RotateOp, ResidualOp, GatedProductOp>(
            [&](auto both) { llvm::append_range(batches, both->getOperands()); })
        .Default([&](Operation *other) {
          if (other->getNumResults() != 0 && isBatch(other->getResult(0).getType()))
            batches.push_back(other->getOperand(0));
        });
    for (Value batch : batches)
      if (batch && axes.lookup(batch) == Axis::None)
        return op.emitOpError() << "expected a value with a row for each token, or each wanted row, but got one of "
                                << batch.getType() << " that is not computed of them";
    if (positions && positions != block.getArgument(Positions))
      return op.emitOpError("expected positions to be argument 1 of @forward");
    return success();
  }

  /// The runtime takes token ids below the number of logits, and positions below the context.
  LogicalResult checkTable(Operation &op, Value index, int64_t rows) {
    auto argument = dyn_cast<BlockArgument>(index);
    if (!argument || argument.getArgNumber() > Positions)
      return op.emitOpError("expected rows of a table by tokens or by positions, arguments 0 and 1 of @forward");
    bool byToken = argument.getArgNumber() == Tokens;
    auto forward = cast<func::FuncOp>(op.getParentOp());
    int64_t limit = byToken && !isPart ? cast<RankedTensorType>(forward.getResultTypes()[0]).getDimSize(1)
                                       : modelNumber(byToken ? "vocabulary" : "context");
    if (rows < limit)
      return op.emitOpError() << "expected a table of at least " << limit << " rows, one for each "
                              << (byToken ? "token that has a logit" : "position of the context") << ", but got "
                              << rows;
    return success();
  }

  /// The layer that an op on the cache is about.
  template <typename CacheUser> FailureOr<int64_t> checkCacheUse(CacheUser op, Block &block) {
    if (op.getPositions() != block.getArgument(Positions) || op.getSequences() != block.getArgument(Sequences) ||
        op.getBlockTables() != block.getArgument(BlockTables))
      return LogicalResult(
          op.emitOpError("expected positions, sequences and block tables to be arguments 1, 2 and 3 of @forward"));
    // Caches are written in place.
    if (op.getCache() != latestCache)
      return LogicalResult(op.emitOpError("expected the cache as the last update before has left it"));
    IntegerAttr layer;
    int64_t layers = op.getCache().getType().getLayers();
    if (!matchPattern(op.getLayer(), m_Constant(&layer)) || layer.getInt() < 0 || layer.getInt() >= layers) {
      InFlightDiagnostic diagnostic = op.emitOpError("expected a constant layer of the cache's ");
      diagnostic << layers << ", but got ";
      return LogicalResult(layer ? diagnostic << layer.getInt() : diagnostic << "one that is computed");
    }
    return layer.getInt();
  }

  LogicalResult checkResults(Operation *terminator) {
    Axis wanted = isPart ? Axis::Tokens : Axis::WantedRows;
    for (auto [index, result] : llvm::enumerate(terminator->getOperands())) {
      if (isa<CacheType>(result.getType())) {
        if (result != latestCache)
          return terminator->emitOpError("expected the cache as the last update has left it");
      } else if (axes.lookup(result) != wanted) {
        return terminator->emitOpError() << "expected result " << index << " of " << nameOf(wanted)
                                         << (isPart ? "" : ": let 'transformer.select_rows' take them by argument 4");
      }
    }
    return success();
  }

  int64_t modelNumber(StringRef key) {
    auto model = getOperation()->getAttrOfType<DictionaryAttr>("transformer.model");
    auto value = model ? model.getAs<IntegerAttr>(key) : IntegerAttr();
    return value ? value.getInt() : 0;
  }

  bool isPart = false;
  llvm::DenseMap<Value, Axis> axes;
  Value latestCache;
  llvm::SmallDenseSet<int64_t> updatedLayers;
  int64_t opCount = 0;
};
} // namespace
