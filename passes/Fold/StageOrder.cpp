// See StageOrder.h.
#include "passes/Fold/StageOrder.h"

#include "dialects/LowBit/Dialect.h"

using namespace mlir;
using namespace qopt;

/// "quantized", "scaled" or "rotated", by the latest stage that an op is a sign of; nothing for other ops.
static std::optional<std::string_view> signOf(Operation *op) {
  if (isa<lowbit::LinearOp, lowbit::EmbeddingOp>(op))
    return "quantized";
  if (auto scale = dyn_cast<lowbit::ScaleOp>(op); scale && !scale.getAlone())
    return "scaled";
  if (isa<lowbit::OrthogonalOp>(op))
    return "rotated";
  return std::nullopt;
}

Status qopt::checkStageOrder(ModuleOp module, QuantizationStage stage, std::string_view algorithm) {
  std::optional<std::string_view> sign;
  module.walk([&](Operation *op) {
    std::optional<std::string_view> found = signOf(op);
    if (found == "rotated" && stage == QuantizationStage::Scaling)
      return WalkResult::advance();
    sign = found ? found : sign;
    return sign ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (!sign)
    return {};
  return badInput(
             "expected a model that is rotated first, then scaled by awq or smooth-quant, then quantized, each once; "
             "but " +
             std::string(algorithm) + " got one that is " + std::string(*sign) + " already")
      .withNext("begin with the model as it was imported, and say all that shall be done in one recipe");
}
