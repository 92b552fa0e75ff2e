// See StatisticsNeeds.h.
#include "passes/Quantize/StatisticsNeeds.h"

#include "passes/Fold/ScalePairs.h"
#include "passes/Quantize/NearestRounding.h"

using namespace mlir;
using namespace qopt;

/// Whether what chooses a weight's codes looks at the Gram matrix of its inputs.
static bool codesNeedGram(QuantizationTarget &target, const Recipe &recipe) {
  switch (target.method) {
  case Method::Gptq:
    return recipe.inputs == HessianInputs::Statistics ||
           (recipe.maxFallback > 0 && needsHessian(rangeOf(target, recipe.nearestRange)));
  case Method::Plugin:
    return recipe.plugin->needsStatistics;
  case Method::RoundToNearest:
    return needsHessian(rangeOf(target, recipe.nearestRange));
  }
  llvm_unreachable("a method of its own");
}

llvm::MapVector<QuantizationTarget *, bool> qopt::statisticsNeeded(ModuleOp module, const Recipe &recipe,
                                                                   llvm::MutableArrayRef<QuantizationTarget> targets) {
  llvm::MapVector<QuantizationTarget *, bool> needed;
  for (QuantizationTarget &target : targets)
    if (codesNeedGram(target, recipe))
      needed[&target] = true;
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (!recipe.scales() || !forward)
    return needed;
  TargetsByUser byUser = targetsByUser(targets);
  if (auto sites = findScaleSites(forward, recipe.awq ? recipe.awq->sites : recipe.smoothQuant->sites))
    for (ScaleSite &site : *sites)
      for (Operation *reader : site.readers)
        if (QuantizationTarget *target = byUser.lookup(reader))
          needed[target] |= recipe.awq.has_value();
  return needed;
}
