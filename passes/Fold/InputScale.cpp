// See InputScale.h.
#include "passes/Fold/InputScale.h"

#include "dialects/LowBit/Dialect.h"
#include "passes/Fold/ScaleFolding.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// Element `channel` of a factor that is a parameter's numbers, perhaps repeated.
static float elementOf(Value factor, int64_t channel, std::span<const float> values) {
  while (auto repeat = factor.getDefiningOp<lowbit::RepeatHeadsOp>()) {
    auto times = static_cast<int64_t>(repeat.getTimes()), dim = static_cast<int64_t>(repeat.getDim());
    channel = channel / (dim * times) * dim + channel % dim;
    factor = repeat.getInput();
  }
  return values[channel];
}

Result<std::vector<float>> qopt::inputScale(ParameterOp weight, ParameterEvaluator &parameters) {
  std::vector<float> scale;
  if (weight.getInitializer().empty())
    return scale;
  auto module = weight->getParentOfType<ModuleOp>();
  Value value = cast<YieldOp>(weight.getInitializer().front().getTerminator()).getValue();
  for (auto op = value.getDefiningOp<lowbit::ScaleOp>(); op; op = op.getInput().getDefiningOp<lowbit::ScaleOp>()) {
    GetOp source = factorSource(op.getFactor());
    if (op.getAxis() != 1 || op.getAlone() || !source)
      continue;
    Result<HostTensor> factor = parameters.evaluate(module.lookupSymbol<ParameterOp>(source.getParameter()));
    if (!factor)
      return factor.takeError();
    FloatView values = viewAsF32(*factor);
    scale.resize(cast<RankedTensorType>(weight.getType()).getDimSize(1), 1.0F);
    for (auto [channel, element] : llvm::enumerate(scale)) {
      float by = elementOf(op.getFactor(), static_cast<int64_t>(channel), values.values);
      element = op.getInverse() ? element / by : element * by;
    }
  }
  return scale;
}
