// Plans one arena for all results of dispatches.
//
// Offsets are affine in the batch, so a plan made at compile time holds for any number of tokens: buffers of tokens are
// stacked by their bytes per token, buffers of rows by their bytes per row behind them. A buffer's place is taken again
// once its last reader has run. The function called by a kernel.repeat runs while its caller's live values stay where
// they are, so its buffers lie above them; what it carries goes back to the place that the initial value has.
#include "passes/Lower/Emit/KernelBuilder.h"
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"

namespace qopt {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

constexpr int64_t kAlignment = 64;

/// A stretch of the arena: [offset, offset + bytes), per token or per row.
struct Slot {
  int64_t offset = 0, bytes = 0;
  bool rows = false;
};

/// The arena's free list, one for buffers of tokens and one for buffers of rows.
class Arena {
public:
  Slot allocate(int64_t bytes, bool rows) {
    int64_t offset = 0;
    // First fit among the live slots, which are few.
    SmallVector<Slot> sorted = llvm::filter_to_vector(live, [&](const Slot &slot) { return slot.rows == rows; });
    llvm::sort(sorted, [](const Slot &a, const Slot &b) { return a.offset < b.offset; });
    for (const Slot &slot : sorted) {
      if (offset + bytes <= slot.offset)
        break;
      offset = std::max(offset, slot.offset + slot.bytes);
    }
    Slot slot{offset, bytes, rows};
    live.push_back(slot);
    int64_t &high = rows ? highPerRow : highPerToken;
    high = std::max(high, offset + bytes);
    return slot;
  }
  void release(const Slot &slot) {
    llvm::erase_if(live, [&](const Slot &other) { return other.offset == slot.offset && other.rows == slot.rows; });
  }
  int64_t highPerToken = 0, highPerRow = 0;

private:
  SmallVector<Slot> live;
};

struct PlanMemory : qopt::impl::PlanMemoryBase<PlanMemory>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override {
    return {{"bytes-per-token", bytesPerToken}, {"bytes-per-wanted-row", bytesPerWantedRow}};
  }

  void runOnOperation() override {
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward) {
      mlir::emitError(getOperation().getLoc(), "expected a function @forward");
      return signalPassFailure();
    }
    planned = {forward};
    Arena arena;
    if (failed(planFunction(forward, arena, {})))
      return signalPassFailure();
    bytesPerToken = arena.highPerToken, bytesPerWantedRow = arena.highPerRow;
    Builder builder(&getContext());
    getOperation()->setAttr("kernel.arena", builder.getDenseI64ArrayAttr({0, arena.highPerToken, arena.highPerRow}));
  }

  /// `wanted` gives the slots in which the function's results must end, where there are such.
  LogicalResult planFunction(func::FuncOp function, Arena &arena, ArrayRef<std::optional<Slot>> wanted) {
    Block &block = function.getBody().front();
    Operation *terminator = block.getTerminator();
    llvm::DenseMap<Operation *, int64_t> order;
    int64_t next = 0;
    for (Operation &op : block)
      order[&op] = next++;
    auto lastUse = [&](Value value) {
      int64_t last = -1;
      for (Operation *user : value.getUsers())
        last = std::max(last, order.lookup(user));
      return last;
    };

    llvm::DenseMap<Value, Slot> places;
    llvm::DenseSet<Value> borrowed; // places that belong to the caller
    // A carried argument stands where the result that succeeds it must go.
    llvm::DenseMap<Value, Slot> fixed;
    if (!wanted.empty())
      for (auto [index, slot] : llvm::enumerate(wanted)) {
        if (!slot)
          continue;
        Value argument = block.getArgument(1 + index), result = terminator->getOperand(index);
        auto producer = result.getDefiningOp<kernel::DispatchOp>();
        if (!producer)
          return terminator->emitOpError() << "expected carried value " << index << " to be computed by a dispatch";
        int64_t read = lastUse(argument), written = order.lookup(producer);
        if (read > written || (read == written && !readsInPlace(producer, argument, cast<OpResult>(result))))
          return terminator->emitOpError() << "carried value " << index << " is read after its successor is written";
        fixed[result] = *slot;
        borrowed.insert(result);
      }

    // What @forward returns stands in the caller's buffers from the start.
    bool isForward = function.getSymName() == "forward", isPart = function->hasAttr("transformer.part");
    OperandRange outputs = terminator->getOperands();
    if (isForward && failed(checkReturned(terminator)))
      return failure();
    Builder builder(&getContext());
    for (Operation &op : block) {
      if (auto dispatch = dyn_cast<kernel::DispatchOp>(op)) {
        SmallVector<Attribute> placement;
        for (Value result : dispatch.getResults()) {
          if (isa<transformer::CacheType>(result.getType())) {
            placement.push_back(builder.getUnitAttr());
            continue;
          }
          int64_t index = llvm::find(outputs, result) - outputs.begin();
          bool toCaller = isForward && index != static_cast<int64_t>(outputs.size());
          if (toCaller && isPart) {
            placement.push_back(builder.getI64IntegerAttr(index));
            continue;
          }
          if (toCaller && index == 0) {
            placement.push_back(builder.getStringAttr("logits"));
            continue;
          }
          Slot slot = fixed.contains(result) ? fixed.lookup(result)
                                             : arena.allocate(bytesPerRow(result), dispatch.getOverRows());
          places[result] = slot;
          Attribute inArena =
              builder.getDenseI64ArrayAttr({0, slot.rows ? 0 : slot.offset, slot.rows ? slot.offset : 0});
          // Hidden states go to the caller's buffer if there is one, and have a place in the arena if not.
          placement.push_back(toCaller ? builder.getArrayAttr({builder.getStringAttr("hidden"), inArena}) : inArena);
        }
        dispatch.setPlacementAttr(builder.getArrayAttr(placement));
      } else if (auto repeat = dyn_cast<kernel::RepeatOp>(op)) {
        if (failed(planRepeat(repeat, arena, places, lastUse, order.lookup(&op), borrowed)))
          return failure();
      }
      for (auto &[value, slot] : llvm::to_vector(places))
        if (!borrowed.contains(value) && lastUse(value) <= order.lookup(&op)) {
          arena.release(slot);
          places.erase(value);
        }
    }
    return success();
  }

  /// What @forward returns is written to the caller by the dispatch that computes it, and to one place.
  static LogicalResult checkReturned(Operation *terminator) {
    llvm::DenseSet<Value> seen;
    for (auto [index, output] : llvm::enumerate(terminator->getOperands())) {
      if (isa<transformer::CacheType>(output.getType()))
        continue;
      Operation *producer = output.getDefiningOp();
      if (!isa_and_nonnull<kernel::DispatchOp>(producer))
        return terminator->emitOpError() << "expected result " << index
                                         << " of @forward to be computed by a dispatch, but got "
                                         << (producer ? "one of " + producer->getName().getStringRef().str()
                                                      : std::string("an argument"))
                                         << ": return what another op makes of it";
      if (!seen.insert(output).second)
        return terminator->emitOpError() << "expected each result of @forward once, but got result " << index
                                         << " a second time: return it once";
    }
    return success();
  }

  LogicalResult planRepeat(kernel::RepeatOp repeat, Arena &arena, llvm::DenseMap<Value, Slot> &places,
                           llvm::function_ref<int64_t(Value)> lastUse, int64_t now, llvm::DenseSet<Value> &borrowed) {
    auto callee = getOperation().lookupSymbol<func::FuncOp>(repeat.getCalleeAttr());
    // Each dispatch has one plan.
    if (callee.isExternal() || repeat->getParentOfType<func::FuncOp>().getSymName() != "forward" ||
        !planned.insert(callee).second)
      return repeat.emitOpError() << "expected to be in @forward, and " << repeat.getCalleeAttr()
                                  << " to be a function with a body that nothing else repeats";
    SmallVector<std::optional<Slot>> wanted;
    for (auto [initial, result] : llvm::zip(repeat.getCarried(), repeat.getResults())) {
      if (isa<transformer::CacheType>(initial.getType())) {
        wanted.push_back(std::nullopt);
        continue;
      }
      if (!places.contains(initial) || lastUse(initial) > now)
        return repeat.emitOpError("expected carried values that nothing reads afterwards");
      wanted.push_back(places.lookup(initial));
    }
    if (failed(planFunction(callee, arena, wanted)))
      return failure();
    for (auto [index, result] : llvm::enumerate(repeat.getResults()))
      if (wanted[index]) {
        // The result takes the place over.
        places.erase(repeat.getCarried()[index]);
        places[result] = *wanted[index];
      }
    return success();
  }

  /// Whether `result` may be written to where `value` stands, which the dispatch that computes it reads. The op that
  /// computes it may, as a residual, which reads an element before it writes it; ops before it may where one worker
  /// does a token's ops one after the other; none may after it.
  static bool readsInPlace(kernel::DispatchOp dispatch, Value value, OpResult result) {
    Block &body = dispatch.getBody().front();
    Operation *producer = body.getTerminator()->getOperand(result.getResultNumber()).getDefiningOp();
    bool inOrder =
        llvm::none_of(body, llvm::IsaPred<lowbit::MatmulOp, transformer::AttentionOp, transformer::SelectRowsOp>);
    for (auto [binding, argument] : llvm::zip(dispatch.getBindings(), body.getArguments()))
      if (binding == value && !mayBeOverwrittenBy(producer, argument, inOrder))
        return false;
    return true;
  }

  /// `inOrder`: ops before the producer have run by then for the same token.
  static bool mayBeOverwrittenBy(Operation *producer, Value read, bool inOrder) {
    return producer && llvm::all_of(read.getUsers(), [&](Operation *user) {
             if (user == producer)
               return isa<transformer::ResidualOp>(user) && !read.getDefiningOp();
             if (auto slice = dyn_cast<transformer::SliceOp>(user)) // a view, of other elements than those in its place
               return mayBeOverwrittenBy(producer, slice.getResult(), inOrder);
             return inOrder && user->isBeforeInBlock(producer);
           });
  }

  static int64_t bytesPerRow(Value value) { return llvm::alignTo(emit::rowBytes(value), kAlignment); }
  llvm::DenseSet<Operation *> planned; // functions
  int64_t bytesPerToken = 0, bytesPerWantedRow = 0;
};
} // namespace
