// Adds the final hidden states to what @forward returns.
//
// The C ABI can hand them out beside the logits (embeddings, reranking, a head of the caller's own). They are the input
// of the op that makes the logits, so nothing is computed that was not computed anyway. See Passes.td.
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"

namespace qopt {
#define GEN_PASS_DEF_RETURNHIDDENSTATES
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {
struct ReturnHiddenStates : qopt::impl::ReturnHiddenStatesBase<ReturnHiddenStates>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override { return {{"functions-changed", changed}}; }

  void runOnOperation() override {
    changed = 0;
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward || forward.isExternal() || forward.getNumResults() != 2 || forward->hasAttr("transformer.part"))
      return; // another shape, done before, or without logits
    Operation *terminator = forward.getBody().back().getTerminator();
    Operation *head = terminator->getOperand(0).getDefiningOp();
    // Without a linear there is nothing that could be called the hidden state; the manifest then says so.
    if (!isa_and_nonnull<transformer::LinearOp, lowbit::LinearOp>(head))
      return;
    Value hidden = head->getOperand(0);
    if (hidden.getDefiningOp<transformer::SliceOp>()) // a view of what another op computes: it has no buffer to return
      return;
    terminator->insertOperands(2, hidden);
    SmallVector<Type> results(forward.getResultTypes());
    results.push_back(hidden.getType());
    forward.setType(FunctionType::get(&getContext(), forward.getArgumentTypes(), results));
    changed = 1;
  }

  int64_t changed = 0;
};
} // namespace
