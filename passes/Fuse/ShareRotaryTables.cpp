// Replaces each rotary embedding by a rotation with a table of cosines and sines, one table for all layers.
//
// Every layer rotates by the same angles. Computing them costs a sine and a cosine for each token and frequency;
// sharing them makes that a cost of the batch, not of the layer. See Passes.td for an example.
#include "passes/Fuse/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace qopt {
#define GEN_PASS_DEF_SHAREROTARYTABLES
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt::transformer;

namespace {
struct ShareRotaryTables : qopt::impl::ShareRotaryTablesBase<ShareRotaryTables>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override { return {{"tables", tableCount}, {"rotations", rotationCount}}; }

  void runOnOperation() override {
    llvm::DenseMap<std::pair<Value, Attribute>, Value> tables;
    SmallVector<RotaryOp> rotaries;
    getOperation().walk([&](RotaryOp op) { rotaries.push_back(op); });
    for (RotaryOp op : rotaries) {
      Value &table = tables[{op.getPositions(), op.getRotary()}];
      OpBuilder builder(op);
      if (!table) {
        // Right after the positions are known: before every use, whatever block it stands in.
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointAfterValue(op.getPositions());
        auto type = RankedTensorType::get({ShapedType::kDynamic, op.getRotary().getDim()}, builder.getF32Type());
        table = RotaryTableOp::create(builder, op.getLoc(), type, op.getPositions(), op.getRotary());
      }
      Value rotated = RotateOp::create(builder, op.getLoc(), op.getInput(), table);
      op.replaceAllUsesWith(rotated);
      op.erase();
    }
    tableCount = tables.size(), rotationCount = rotaries.size();
  }
  int64_t tableCount = 0, rotationCount = 0;
};
} // namespace
