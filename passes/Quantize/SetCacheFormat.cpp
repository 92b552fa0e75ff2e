// Changes the type in which keys and values are kept.
//
// The cache is a value of the graph and its element type a part of that value's type: this pass rewrites the type wherever it
// stands. Rounding happens where keys and values are written; attention reads them back as f32. See Passes.td.
#include "passes/Quantize/Passes.h"
#include "passes/Support/PassCounts.h"

#include "dialects/Transformer/Dialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"

namespace qopt {
#define GEN_PASS_DEF_SETCACHEFORMAT
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using qopt::transformer::CacheType;

namespace {
struct SetCacheFormat : qopt::impl::SetCacheFormatBase<SetCacheFormat>, qopt::ReportsCounts {
  using SetCacheFormatBase::SetCacheFormatBase;
  SmallVector<Count> counts() const override { return {{"caches-changed", changed}}; }

  void runOnOperation() override {
    changed = 0;
    Builder builder(&getContext());
    Type element = format == qopt::CacheFormat::F16 ? Type(builder.getF16Type()) : builder.getF32Type();
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (Type type : function.getArgumentTypes())
        if (auto cache = dyn_cast<CacheType>(type); cache && cache.getElementType() != element)
          ++changed;
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](CacheType cache) -> std::optional<Type> {
      return CacheType::get(&getContext(), cache.getLayers(), cache.getHeads(), cache.getDim(), element);
    });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
  }

  int64_t changed = 0;
};
} // namespace
