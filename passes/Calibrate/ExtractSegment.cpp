// Makes a module of one segment of its model. The work is done in Segments.cpp; this is its door for people.
#include "lib/Parameters/Diagnostics.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Calibrate/Segments.h"
#include "passes/Support/Forward.h"
#include "passes/Support/PassCounts.h"

namespace qopt {
#define GEN_PASS_DEF_EXTRACTSEGMENT
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {
struct ExtractSegment : qopt::impl::ExtractSegmentBase<ExtractSegment>, qopt::ReportsCounts {
  using ExtractSegmentBase::ExtractSegmentBase;
  SmallVector<Count> counts() const override { return {{"ops-kept", kept}}; }

  void runOnOperation() override {
    kept = 0;
    ModuleOp module = getOperation();
    Result<func::FuncOp> found = forwardOf(module);
    Status status = found ? checkCuts(*found) : Status(found.takeError());
    if (!status) {
      (void)emitFailure(module.getLoc(), status.takeError(), "nothing was written");
      return signalPassFailure();
    }
    func::FuncOp forward = *found;
    SmallVector<Segment> segments = findSegments(forward);
    // The last one ends in logits over the wanted rows; it is no part in the sense of extractPart.
    auto count = static_cast<int64_t>(segments.size()) - 1;
    if (index < 0 || index >= count) {
      emitError(forward.getLoc()) << "expected the number of a segment below " << count << ", but got "
                                  << index.getValue();
      return signalPassFailure();
    }
    const Segment &segment = segments[index];
    SmallVector<Value> inputs;
    if (segment.input)
      inputs.push_back(segment.input);
    OwningOpRef<ModuleOp> part = extractPart(module, inputs, segment.output);
    kept = static_cast<int64_t>(segment.ops.size());
    module.getBodyRegion().takeBody(part->getBodyRegion());
  }

  int64_t kept = 0;
};
} // namespace
