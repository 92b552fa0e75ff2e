// See NearestRounding.h.
#include "passes/Quantize/NearestRounding.h"

#include "lib/Algorithms/Hessian.h"

using namespace mlir;
using namespace qopt;

/// Whether a value is what attention compares tokens by: a query, or a key on its way to the cache.
static bool isQueryOrKey(Value value) {
  return llvm::any_of(value.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    if (isa<transformer::RotaryOp, transformer::RotateOp>(user))
      return isQueryOrKey(user->getResult(0));
    if (auto update = dyn_cast<transformer::CacheUpdateOp>(user))
      return update.getKey() == value;
    auto attention = dyn_cast<transformer::AttentionOp>(user);
    return attention && attention.getQuery() == value;
  });
}

RangeRule qopt::rangeOf(QuantizationTarget &target, RangeRule rule) {
  if (target.isHead)
    return RangeRule::MinMax;
  // AWQ clips all but what goes through the softmax, where few channels carry much.
  bool queryOrKey = llvm::any_of(target.users, [](Operation *user) { return isQueryOrKey(user->getResult(0)); });
  return rule == RangeRule::Clip && queryOrKey ? RangeRule::MinMax : rule;
}

Status qopt::roundToNearest(QuantizationRun &run, QuantizationTarget &target, RangeRule rule,
                            const ModelStatistics *statistics, bool keep) {
  if (run.isFinished(target))
    return run.takeFinished(target, keep);
  int64_t inputs = target.type().getDimSize(1);
  RangeOptions ranges = RangeOptions::of(rangeOf(target, rule));
  ModelStatistics::Hessian hessian;
  if (needsHessian(ranges.rule)) {
    Result<ModelStatistics::Inputs> of = statistics->inputsOf(target.parameter, run.parameters());
    if (!of)
      return of.takeError();
    hessian = statistics->hessianOf(*of);
    if (Status status = checkHessian(hessian.values, inputs); !status)
      return status.takeError().in("inputs of @" + of->site->name);
  }
  MatrixView h{hessian.values.data(), inputs, inputs, inputs};
  return run.quantize(target,
                      [&](int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out) {
                        return quantizeWithRanges(target.scheme.weights, ranges, rows, inputs, weights, h, out, first);
                      },
                      {.keep = keep});
}

Result<QuantizationRun::Finished> qopt::roundAllToNearest(QuantizationRun &run, RangeRule rule,
                                                          const ModelStatistics *statistics,
                                                          const QuantizeContext &context) {
  return run.quantizeAll([&](QuantizationTarget &target) { return roundToNearest(run, target, rule, statistics); },
                         context);
}

Status qopt::quantizeToNearest(ModuleOp module, Recipe recipe, const QuantizationRun::Options &options) {
  // In the same schemes, whatever method rules and ops ask for.
  recipe.method = Method::RoundToNearest;
  recipe.gates.clear();
  for (RecipeRule &rule : recipe.rules)
    rule.method.reset();
  // The recipe's rotation may have given the head a parameter of its own, which this module does not have.
  std::erase_if(recipe.rules, [&](const RecipeRule &rule) {
    return llvm::none_of(module.getOps<transformer::ParameterOp>(),
                         [&](transformer::ParameterOp parameter) { return rule.matches(parameter.getSymName()); });
  });
  module.walk([&](Operation *op) {
    auto own = op->getAttrOfType<DictionaryAttr>(lowbit::kQuantizeAttribute);
    if (!own || !own.get("method"))
      return;
    NamedAttrList rest(own);
    rest.erase("method");
    // An op that says a method alone has the body's scheme, whatever rules say.
    if (rest.empty() && recipe.body)
      rest.set("scheme", StringAttr::get(op->getContext(), printScheme(*recipe.body)));
    op->setDiscardableAttr(lowbit::kQuantizeAttribute, rest.getDictionary(op->getContext()));
  });
  Result<QuantizationRun> run = QuantizationRun::begin(module, recipe, options);
  if (!run)
    return run.takeError();
  Result<QuantizationRun::Finished> finished = roundAllToNearest(*run, RangeRule::MinMax, nullptr);
  if (!finished)
    return finished.takeError();
  return {};
}
