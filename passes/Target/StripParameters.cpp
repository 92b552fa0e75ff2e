// Drops the module's names of weights once code refers to them by offset, so that what is left translates to LLVM IR.
#include "dialects/Transformer/Dialect.h"
#include "passes/Target/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_STRIPPARAMETERS
#include "passes/Target/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {
struct StripParameters : qopt::impl::StripParametersBase<StripParameters> {
  void runOnOperation() override {
    for (Operation &op : llvm::make_early_inc_range(*getOperation().getBody()))
      if (isa<transformer::TransformerDialect>(op.getDialect()))
        op.erase();
    SmallVector<StringAttr> names;
    for (NamedAttribute attribute : getOperation()->getDiscardableAttrs())
      names.push_back(attribute.getName());
    for (StringAttr name : names)
      if (name.getValue().starts_with("transformer.") || name.getValue().starts_with("kernel."))
        getOperation()->removeDiscardableAttr(name);
  }
};
} // namespace
