// Gives every parameter that code reads its offset in the artifact's data, and drops the parameters that nothing needs.
//
// The order is that in which the code reads them: function by function, and row by row of a repeat's table, so that a
// forward pass walks the file once from its start to its end.
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

namespace qopt {
#define GEN_PASS_DEF_PLACEPARAMETERS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using transformer::ParameterOp;

namespace {

constexpr int64_t kAlignment = 64;

struct PlaceParameters : qopt::impl::PlaceParametersBase<PlaceParameters>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override {
    return {{"parameters-placed", placed}, {"parameters-dropped", dropped}};
  }

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::SetVector<StringAttr> read;
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward) {
      mlir::emitError(getOperation().getLoc(), "expected a function @forward");
      return signalPassFailure();
    }
    forward.walk([&](Operation *op) {
      if (auto get = dyn_cast<transformer::GetOp>(op))
        read.insert(get.getParameterAttr().getAttr());
      if (auto repeat = dyn_cast<kernel::RepeatOp>(op))
        for (Attribute row : repeat.getTable())
          for (Attribute name : cast<ArrayAttr>(row))
            read.insert(cast<FlatSymbolRefAttr>(name).getAttr());
    });

    placed = read.size(), dropped = 0;
    int64_t end = 0;
    Builder builder(&getContext());
    for (StringAttr name : read) {
      auto parameter = symbols.lookup<ParameterOp>(name);
      auto type = cast<RankedTensorType>(parameter.getType());
      end = llvm::alignTo(end, kAlignment);
      parameter->setAttr("kernel.offset", builder.getI64IntegerAttr(end));
      end += llvm::divideCeil(type.getNumElements() * type.getElementTypeBitWidth(), 8);
    }
    getOperation()->setAttr("kernel.weights_bytes", builder.getI64IntegerAttr(end));
    dropUnneeded(symbols, read);
  }

  /// Erases parameters that neither code nor a needed initializer reads.
  void dropUnneeded(SymbolTable &symbols, const llvm::SetVector<StringAttr> &read) {
    llvm::SetVector<StringAttr> needed(read);
    for (size_t i = 0; i < needed.size(); ++i)
      if (auto parameter = symbols.lookup<ParameterOp>(needed[i]))
        parameter.getInitializer().walk(
            [&](transformer::GetOp get) { needed.insert(get.getParameterAttr().getAttr()); });
    for (ParameterOp parameter : llvm::make_early_inc_range(getOperation().getOps<ParameterOp>()))
      if (!needed.contains(parameter.getSymNameAttr()))
        ++dropped, symbols.erase(parameter);
  }
  int64_t placed = 0, dropped = 0;
};
} // namespace
