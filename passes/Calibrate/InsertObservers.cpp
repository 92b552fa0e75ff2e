// Marks the inputs of linears as places where calibration looks.
//
// A value that several linears read is one site, named after the weight of the first: q, k and v share their
// statistics, and so do gate and up. Only linears whose weights a recipe may quantize are looked at; which of them, and
// what of their inputs, is said by options, because each algorithm needs something else. See Passes.td.
#include "dialects/LowBit/Dialect.h"
#include "lib/Parameters/Diagnostics.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Support/Forward.h"
#include "passes/Support/PassCounts.h"
#include "passes/Support/WantedRows.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/GlobPattern.h"

namespace qopt {
#define GEN_PASS_DEF_INSERTOBSERVERS
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {
struct InsertObservers : qopt::impl::InsertObserversBase<InsertObservers>, qopt::ReportsCounts {
  using InsertObserversBase::InsertObserversBase;
  SmallVector<Count> counts() const override { return {{"sites", sites}, {"linears-observed", observed}}; }

  void runOnOperation() override {
    sites = observed = 0;
    ModuleOp module = getOperation();
    Result<func::FuncOp> found = forwardOf(module);
    if (!found) {
      (void)emitFailure(module.getLoc(), found.takeError(), "nothing was written");
      return signalPassFailure();
    }
    func::FuncOp forward = *found;
    auto pattern = llvm::GlobPattern::create(match, /*MaxSubPatterns=*/1024);
    if (!pattern) {
      Error error = usageError("expected a glob, but got \"" + escapeForMessage(match) +
                               "\": " + llvm::toString(pattern.takeError()))
                        .withNext("write a pattern such as *.down_proj.weight");
      (void)emitFailure(module.getLoc(), std::move(error), "nothing was written");
      return signalPassFailure();
    }
    auto isWanted = [&](StringRef weight) {
      return pattern->match(weight) && (weights.empty() || llvm::is_contained(weights, weight));
    };
    // Values in the order of their first linear that is wanted.
    llvm::MapVector<Value, StringAttr> names;
    llvm::DenseSet<Value> overRows = wantedRows(forward);
    bool before = false;
    llvm::DenseMap<StringAttr, Value> readBy; // each weight's value
    StringAttr shared;
    forward.walk([&](Operation *op) {
      before |= isa<lowbit::ObserveOp>(op);
      auto linear = dyn_cast<transformer::LinearOp>(op);
      auto get = linear ? linear.getWeight().getDefiningOp<transformer::GetOp>() : transformer::GetOp();
      if (!get || overRows.contains(linear.getInput()) || !isWanted(get.getParameter()))
        return;
      StringAttr weight = get.getParameterAttr().getAttr();
      if (readBy.insert({weight, linear.getInput()}).first->second != linear.getInput())
        shared = weight;
      names.insert({linear.getInput(), weight});
      ++observed;
    });
    if (before) {
      forward.emitError("expected a function without observers, but it has some");
      return signalPassFailure();
    }
    if (shared) {
      Error error = badInput("expected each weight to be read by linears on one value, but @" +
                             shared.getValue().str() + " is by linears on several")
                        .withNext("give each its own parameter, or leave the weight out with --match");
      (void)emitFailure(forward.getLoc(), std::move(error), "nothing was written");
      return signalPassFailure();
    }
    if (names.empty() && forward.walk([](lowbit::LinearOp) { return WalkResult::interrupt(); }).wasInterrupted()) {
      Error error = badInput("expected linears whose weights are not quantized, but there are none: statistics are of "
                             "the model as it was before")
                        .withNext("calibrate the IR that was quantized");
      (void)emitFailure(forward.getLoc(), std::move(error), "nothing was written");
      return signalPassFailure();
    }
    if (names.empty()) {
      emitError(forward.getLoc()) << "expected linears whose weight matches \"" << match << "\""
                                  << (weights.empty() ? "" : " and is one of those that are named")
                                  << ", but found none";
      return signalPassFailure();
    }
    for (auto &[value, name] : names) {
      OpBuilder builder(&getContext());
      if (Operation *producer = value.getDefiningOp())
        builder.setInsertionPointAfter(producer);
      else
        builder.setInsertionPointToStart(&forward.getBody().front());
      lowbit::ObserveOp::create(builder, value.getLoc(), value, name, gram, histogram);
      ++sites;
    }
  }

  int64_t sites = 0, observed = 0;
};
} // namespace
