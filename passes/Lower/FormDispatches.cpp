// Groups the ops that one kernel computes into dispatches.
//
// Three shapes of work exist: matmuls, whose tiles are panels of outputs and which take an elementwise consumer along;
// ops on one token at a time, of which a run shares a dispatch so that a row stays in cache between them; and
// attention. The body keeps the graph ops, so that the reference evaluator runs a dispatch as it runs the graph. See
// Passes.td.
#include "dialects/Kernel/Dialect.h"
#include "passes/Lower/Emit/KernelBuilder.h"
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

namespace qopt {
#define GEN_PASS_DEF_FORMDISPATCHES
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {

/// A dispatch's name says what it computes, up to so many bytes: manifests take no more than 256.
constexpr size_t kNameLength = 160;

bool isRowOp(Operation *op) {
  return isa<transformer::RmsNormOp, transformer::LayerNormOp, transformer::RotaryTableOp, transformer::RotateOp,
             transformer::CacheUpdateOp, transformer::ActivationOp, transformer::GatedProductOp,
             transformer::InterleavedGatedProductOp, transformer::ResidualOp, transformer::SelectRowsOp,
             lowbit::EncodeOp, lowbit::GatherOp>(op);
}

/// A slice of another dispatch's result is bound whole and sliced inside, where it is a view.
Value bindingOf(Value operand) {
  while (auto slice = operand.getDefiningOp<transformer::SliceOp>())
    operand = slice.getInput();
  return operand;
}

/// Whether what `op` computes is written where `value` stands: a kernel.repeat calls a function on (index, carried
/// values, …), and wants their successors in their places.
bool replaces(Operation *op, Value value) {
  auto argument = dyn_cast<BlockArgument>(bindingOf(value));
  Operation *terminator = op->getBlock()->getTerminator();
  return argument && argument.getArgNumber() >= 1 && argument.getArgNumber() <= terminator->getNumOperands() &&
         terminator->getOperand(argument.getArgNumber() - 1) == op->getResult(0);
}

/// Ops that a matmul's tiles can compute on their way out: elementwise, within one tile of outputs, next to it, and
/// without writing over inputs that other tiles still read.
bool isEpilogue(Operation *op, lowbit::MatmulOp matmul) {
  Operation *next = matmul->getNextNode();
  while (next != op && isa<transformer::GetOp, transformer::SliceOp, arith::ConstantOp>(next))
    next = next->getNextNode();
  if (next != op || replaces(op, matmul.getPayload()))
    return false;
  if (auto product = dyn_cast<transformer::InterleavedGatedProductOp>(op))
    return product.getBlock() == kernel::PanelAttr::kOutputs;
  return isa<transformer::ResidualOp, transformer::ActivationOp>(op);
}

/// Ops that become one dispatch; `overRows`: its grid is of the wanted rows, not of all tokens.
struct Cluster {
  SmallVector<Operation *> ops;
  bool overRows;
};

struct FormDispatches : qopt::impl::FormDispatchesBase<FormDispatches>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override { return {{"dispatches", dispatchCount}}; }

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    counter = 0;
    for (Block &block : getOperation().getBody())
      if (failed(runOnBlock(block)))
        return signalPassFailure();
    dispatchCount = counter;
  }

  LogicalResult runOnBlock(Block &block) {
    SmallVector<Cluster> clusters;
    llvm::SmallPtrSet<Operation *, 16> taken;
    bool open = false;              // the last cluster is a run of row ops that may grow
    int64_t scratch = 0;            // what it may need of the stack
    llvm::DenseSet<Value> overRows; // values whose first axis is the wanted rows
    auto noteRows = [&](Operation &op) {
      bool rows = isa<transformer::SelectRowsOp>(op) ||
                  llvm::any_of(op.getOperands(), [&](Value operand) { return overRows.contains(bindingOf(operand)); });
      if (rows)
        overRows.insert(op.result_begin(), op.result_end());
      return rows;
    };
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
    for (Operation &op : block.without_terminator()) {
      if (isa<transformer::GetOp, transformer::SliceOp, arith::ConstantOp>(op))
        continue;
      bool rows = noteRows(op);
      if (taken.contains(&op))
        continue;
      if (auto matmul = dyn_cast<lowbit::MatmulOp>(op)) {
        clusters.push_back({{&op}, rows});
        if (matmul->hasOneUse() && isEpilogue(*matmul->user_begin(), matmul)) {
          clusters.back().ops.push_back(*matmul->user_begin());
          taken.insert(*matmul->user_begin());
        }
        open = false;
      } else if (isa<transformer::AttentionOp>(op)) {
        clusters.push_back({{&op}, rows});
        open = false;
      } else if (isRowOp(&op)) {
        int64_t bytes = 0;
        for (Value result : op.getResults())
          bytes += emit::rowBytes(result);
        scratch += bytes;
        if (!open || clusters.back().overRows != rows || isa<transformer::SelectRowsOp>(op) ||
            scratch > emit::kMostScratchBytes) {
          clusters.push_back({{}, rows});
          scratch = bytes;
        }
        clusters.back().ops.push_back(&op);
        open = true;
      } else if (isa<kernel::RepeatOp>(op)) {
        if (rows)
          return op.emitOpError("expected values of all tokens: what it calls does not know of the wanted rows");
        open = false;
      } else {
        return op.emitOpError("expected an op that a dispatch can hold");
      }
    }
    for (const Cluster &cluster : clusters)
      form(cluster.ops, cluster.overRows);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isa<transformer::SliceOp>(op) && op.use_empty())
        op.erase();
    return success();
  }

  void form(ArrayRef<Operation *> cluster, bool rows) {
    llvm::SetVector<Operation *> members(cluster.begin(), cluster.end());
    llvm::SetVector<Value> bindings;
    SmallVector<Value> outputs;
    for (Operation *op : cluster) {
      for (Value operand : op->getOperands()) {
        Value binding = bindingOf(operand);
        if (members.contains(binding.getDefiningOp()))
          continue;
        bindings.insert(binding);
      }
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !members.contains(user); }))
          outputs.push_back(result);
    }

    Operation *last = cluster.back();
    OpBuilder builder(last);
    SmallVector<Location> locations;
    std::string name = getOperation().getSymName().str() + "." + std::to_string(counter++);
    for (Operation *op : cluster) {
      locations.push_back(op->getLoc());
      if (name.size() < kNameLength)
        name += "." + op->getName().stripDialect().str();
    }
    SmallVector<Type> types = llvm::map_to_vector(outputs, [](Value value) { return value.getType(); });
    auto dispatch = kernel::DispatchOp::create(builder, FusedLoc::get(&getContext(), locations), types, name,
                                               gridOf(cluster, rows), bindings.getArrayRef(), rows, ArrayAttr());
    Block *body = builder.createBlock(&dispatch.getBody());
    IRMapping mapping;
    for (Value binding : bindings)
      mapping.map(binding, body->addArgument(binding.getType(), binding.getLoc()));
    for (Operation *op : cluster) {
      for (Value operand : op->getOperands())
        materializeSlices(builder, operand, mapping);
      builder.clone(*op, mapping);
    }
    kernel::YieldOp::create(builder, dispatch.getLoc(),
                            llvm::map_to_vector(outputs, [&](Value value) { return mapping.lookup(value); }));
    for (auto [output, result] : llvm::zip(outputs, dispatch.getResults()))
      output.replaceUsesWithIf(result, [&](OpOperand &use) { return !members.contains(use.getOwner()); });
    for (Operation *op : llvm::reverse(cluster))
      op->erase();
  }

  static void materializeSlices(OpBuilder &builder, Value operand, IRMapping &mapping) {
    auto slice = operand.getDefiningOp<transformer::SliceOp>();
    if (!slice || mapping.contains(operand))
      return;
    materializeSlices(builder, slice.getInput(), mapping);
    builder.clone(*slice, mapping);
  }

  AffineMap gridOf(ArrayRef<Operation *> cluster, bool rows) {
    AffineExpr tokens = getAffineDimExpr(0, &getContext()), wantedRows = getAffineDimExpr(1, &getContext());
    AffineExpr extent = rows ? wantedRows : tokens;
    if (auto matmul = dyn_cast<lowbit::MatmulOp>(cluster.front())) {
      int64_t panels = cast<RankedTensorType>(matmul.getWeight().getType()).getDimSize(0);
      // Gate and up of the same outputs are two panels of one tile.
      bool paired = isa<transformer::InterleavedGatedProductOp>(cluster.back());
      extent = getAffineConstantExpr(paired ? panels / 2 : panels, &getContext());
    } else if (auto attention = dyn_cast<transformer::AttentionOp>(cluster.front())) {
      extent = tokens * attention.getCache().getType().getHeads();
    }
    return AffineMap::get(2, 0, extent);
  }

  unsigned counter = 0;
  int64_t dispatchCount = 0;
};
} // namespace
