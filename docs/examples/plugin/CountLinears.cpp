// A pass plugin: count-linears says how many quantized linears a module has of each scheme.
//
//   qopt q.mlir --load-pass-plugin=CountLinears.so --pass-pipeline='builtin.module(count-linears)'
//   mlir-opt-22 q.mlir --load-dialect-plugin=libqopt.so --load-pass-plugin=CountLinears.so \
//     --pass-pipeline='builtin.module(count-linears)'
#include "dialects/LowBit/Dialect.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace {
struct CountLinears : PassWrapper<CountLinears, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CountLinears)

  StringRef getArgument() const override { return "count-linears"; }
  StringRef getDescription() const override { return "Say how many quantized linears there are of each scheme"; }

  void runOnOperation() override {
    llvm::MapVector<Attribute, int64_t> counts;
    getOperation().walk([&](qopt::lowbit::LinearOp linear) { ++counts[linear.getScheme()]; });
    if (counts.empty())
      getOperation().emitRemark("no quantized linears");
    for (auto [scheme, count] : counts)
      getOperation().emitRemark() << count << " of " << scheme;
    markAllAnalysesPreserved();
  }
};
} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "count-linears", "1", [] { PassRegistration<CountLinears>(); }};
}
