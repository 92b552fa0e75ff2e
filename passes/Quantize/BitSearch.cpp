// See BitSearch.h.
#include "passes/Quantize/BitSearch.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Algorithms/Awq.h"
#include "lib/Algorithms/BitAllocation.h"
#include "lib/Algorithms/Gptq.h"
#include "lib/Algorithms/Hessian.h"
#include "lib/Parameters/ParallelRows.h"
#include "passes/Quantize/NearestRounding.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace qopt;

int64_t SearchedWeight::bitsOf(const WeightScheme &form) {
  return static_cast<int64_t>(form.bitsPerRow(target.type().getDimSize(1))) * target.type().getDimSize(0);
}

namespace {
/// Finds what weights' codes cost their outputs, by the recipe's method with H of the model as it was calibrated.
class ErrorMeter {
public:
  ErrorMeter(const Recipe &recipe, const ModelStatistics &statistics, ParameterEvaluator &parameters)
      : recipe(recipe), statistics(statistics), parameters(parameters) {}

  /// In each form that fits the weight.
  Status measure(SearchedWeight &weight, ArrayRef<WeightScheme> forms) {
    transformer::ParameterOp parameter = weight.target.parameter;
    Result<HostTensor> tensor = parameters.evaluate(parameter);
    if (!tensor)
      return tensor.takeError();
    FloatView values = viewAsF32(*tensor);
    Result<ModelStatistics::Inputs> of = statistics.inputsOf(parameter, parameters);
    if (!of)
      return of.takeError();
    if (!hessianOf || *hessianOf != *of) {
      if (hessianOf)
        statistics.archive().drop(*hessianOf->site);
      hessian = statistics.hessianOf(*of);
      hessianOf = *of, gptq.reset();
      if (Status status = checkHessian(hessian.values, weight.target.type().getDimSize(1)); !status)
        return status.takeError().in("inputs of @" + of->site->name);
    }
    auto parallel = qopt::parallelFor(parameter.getContext());
    int64_t inputs = weight.target.type().getDimSize(1);
    MatrixView h{hessian.values.data(), inputs, inputs, inputs};
    AwqLinear whole{values.values, weight.target.type().getDimSize(0), {}};
    weight.power = outputPower({&whole, 1}, h, parallel);
    Error reason;
    for (const WeightScheme &form : forms) {
      QuantizationTarget candidate = weight.target;
      candidate.scheme.weights = form;
      if (Status status = checkFit(candidate); !status) {
        reason = status.takeError();
        weight.errors.emplace_back(), weight.nearest.push_back(0);
        continue;
      }
      AwqLinear linear{values.values, whole.rows, form};
      weight.nearest.push_back(nearestError({&linear, 1}, h, parallel));
      Result<double> error = byMethod(candidate, values.values, h);
      if (!error)
        return error.takeError().in("parameter @" + weight.name());
      weight.errors.emplace_back(*error);
    }
    parameters.drop(parameter);
    return llvm::any_of(weight.errors, [](const auto &error) { return error.has_value(); }) ? Status() : Status(reason);
  }

private:
  Result<double> byMethod(QuantizationTarget &target, std::span<const float> values, MatrixView h) {
    if (target.method == Method::Gptq)
      return byGptq(target, values, h);
    const WeightScheme &form = target.scheme.weights;
    AwqLinear linear{values, target.type().getDimSize(0), form};
    double error = nearestError({&linear, 1}, h, qopt::parallelFor(target.parameter.getContext()),
                                RangeOptions::of(rangeOf(target, recipe.nearestRange)));
    if (std::isfinite(error))
      return error;
    OwnedQuantizedRows rounded(form, linear.rows, h.cols); // which names the weight
    Status status = quantizeRoundToNearest(form, linear.rows, h.cols, values, rounded);
    return status ? Error{ErrorClass::Gate,
                          "expected an output error that is finite, but it is not",
                          {},
                          {},
                          "calibrate again, or keep this weight by a rule"}
                  : status.takeError();
  }

  /// Linears that read the same inputs share what GPTQ makes of their Hessian.
  Result<double> byGptq(QuantizationTarget &target, std::span<const float> values, MatrixView h) {
    if (!gptq) {
      Result<Gptq> made = Gptq::create(hessian.values, h.cols, statistics.tokens(), recipe.gptq);
      if (!made)
        return made.takeError();
      gptq.emplace(std::move(*made));
    }
    int64_t rows = target.type().getDimSize(0);
    RangeOptions range = RangeOptions::of(rangeOf(target, recipe.gptq.range.rule));
    std::vector<GptqErrors> errors((rows + Gptq::rowsPerChunk - 1) / Gptq::rowsPerChunk);
    Status status = parallelRows(
        target.parameter.getContext(), rows, Gptq::rowsPerChunk, [&](int64_t chunk, int64_t first, int64_t end) {
          const WeightScheme &form = target.scheme.weights;
          int64_t count = end - first;
          OwnedQuantizedRows out(form, count, h.cols);
          return gptq->quantizeRows(form, range, count, values.subspan(first * h.cols, count * h.cols), out,
                                    errors[chunk], first);
        });
    if (!status)
      return status.takeError();
    return std::accumulate(errors.begin(), errors.end(), 0.0,
                           [](double sum, const GptqErrors &part) { return sum + part.trace; });
  }

  const Recipe &recipe;
  const ModelStatistics &statistics;
  ParameterEvaluator &parameters;
  std::optional<ModelStatistics::Inputs> hessianOf; ///< whose `hessian` is
  ModelStatistics::Hessian hessian;
  std::optional<Gptq> gptq;
};
} // namespace

/// Whether the ops of a weight say which scheme it has.
static bool saysScheme(const QuantizationTarget &target) {
  auto own = target.users.front()->getAttrOfType<DictionaryAttr>(lowbit::kQuantizeAttribute);
  return own && own.get("scheme");
}

Result<BitSearch> BitSearch::begin(ModuleOp module, const Recipe &recipe, std::vector<WeightScheme> forms,
                                   const ModelStatistics &statistics, ParameterEvaluator &parameters) {
  // A weight's own scheme does not matter here: one that fits everything lets all of them be looked at.
  Recipe fitting = recipe;
  fitting.body->weights = WeightScheme{8, /*symmetric=*/true, /*group=*/0, ElementFormat::F16};
  Result<Selection> selection = selectTargets(module, fitting, Ledger());
  if (!selection)
    return selection.takeError();
  BitSearch search(recipe);
  search.candidates = std::move(forms);
  ErrorMeter meter(recipe, statistics, parameters);
  for (QuantizationTarget &target : selection->targets) {
    const std::string name = target.parameter.getSymName().str();
    bool ruled = llvm::any_of(recipe.rules, [&](const RecipeRule &rule) { return rule.matches(name); });
    if (target.isHead)
      continue;
    SearchedWeight weight;
    weight.target = target;
    if (ruled || target.isOwn) {
      if (!target.isOwn || saysScheme(target)) {
        search.decidedBits += static_cast<double>(weight.bitsOf(target.scheme.weights));
        search.decidedElements += static_cast<double>(weight.elements());
        continue;
      }
      return badInput(
                 "expected an op that says its method to say its scheme too, because the search chooses another for "
                 "all that say none",
                 "parameter @" + weight.name())
          .withNext("say {scheme = \"" + printScheme(*recipe.body) + "\", …}, or leave the method to a rule");
    }
    if (Status status = meter.measure(weight, search.candidates); !status)
      return status.takeError();
    search.searched.push_back(std::move(weight));
  }
  if (search.searched.empty())
    return badInput("expected linears whose scheme is the recipe's own, but its rules decide all of them");
  return search;
}

size_t BitSearch::probeOf(const SearchedWeight &weight) const {
  std::vector<size_t> fitting;
  for (size_t form = 0; form < candidates.size(); ++form)
    if (weight.errors[form])
      fitting.push_back(form);
  llvm::sort(fitting, [&](size_t a, size_t b) { return weight.nearest[a] > weight.nearest[b]; });
  return fitting[fitting.size() > 1 ? 1 : 0];
}

std::optional<double> BitSearch::costOf(const SearchedWeight &weight, size_t form, double sensitivity) const {
  if (!weight.errors[form])
    return std::nullopt;
  double probed = weight.nearest[probeOf(weight)];
  return probed > 0 ? sensitivity * *weight.errors[form] / probed : 0;
}

std::optional<double> BitSearch::costOf(size_t same) const {
  double sum = 0;
  for (auto [i, weight] : llvm::enumerate(searched)) {
    std::optional<double> cost = costOf(weight, same, sensitivities[i]);
    if (!cost)
      return std::nullopt;
    sum += *cost;
  }
  return sum;
}

double BitSearch::bitsPerWeight(std::optional<size_t> same) {
  double bits = decidedBits, elements = decidedElements;
  for (SearchedWeight &weight : searched) {
    bits += static_cast<double>(weight.bitsOf(candidates[same.value_or(*weight.form)]));
    elements += static_cast<double>(weight.elements());
  }
  return bits / elements;
}

Status BitSearch::choose(double bits, const std::vector<double> &measured) {
  sensitivities = measured;
  // Divergences of small effects are noise around 0 in f32.
  for (double &value : sensitivities)
    value = std::max(value, 0.0);
  if (sensitivities.empty())
    for (const SearchedWeight &weight : searched)
      sensitivities.push_back(weight.power > 0 ? weight.nearest[probeOf(weight)] / weight.power : 0);
  std::vector<std::vector<std::optional<BitChoice>>> choices;
  double elements = 0;
  for (auto [i, weight] : llvm::enumerate(searched)) {
    auto &item = choices.emplace_back();
    for (size_t form = 0; form < candidates.size(); ++form) {
      std::optional<double> cost = costOf(weight, form, sensitivities[i]);
      item.push_back(cost ? std::optional(BitChoice{weight.bitsOf(candidates[form]), *cost}) : std::nullopt);
    }
    elements += static_cast<double>(weight.elements());
  }
  double all = elements + decidedElements, left = std::floor(bits * all - decidedBits);
  Result<std::vector<size_t>> chosen = allocateBits(choices, static_cast<int64_t>(std::max(left, 0.0)));
  if (!chosen) // every weight has a form: begin() has seen to it
    return badInput("expected a budget of at least " +
                    std::to_string((static_cast<double>(leastBits(choices)) + decidedBits) / all) +
                    " bits per weight, the least of these forms" +
                    (decidedElements > 0 ? " and of what rules and ops decide" : "") + ", but got " +
                    std::to_string(bits))
        .withNext("allow a larger budget, or forms with fewer bits: --forms");
  total = 0;
  for (size_t i = 0; i < searched.size(); ++i) {
    searched[i].form = (*chosen)[i];
    total += choices[i][(*chosen)[i]]->cost;
  }
  return {};
}

/// A glob that matches this name alone.
static std::string literalGlob(const std::string &name) {
  std::string glob;
  for (char c : name)
    glob += (llvm::StringRef("*?[]{}\\").contains(c) ? "\\" : "") + std::string(1, c);
  return glob;
}

Recipe BitSearch::result() {
  std::vector<int64_t> elements(candidates.size());
  for (SearchedWeight &weight : searched)
    elements[*weight.form] += weight.elements();
  size_t commonest = std::ranges::max_element(elements) - elements.begin();
  Recipe mixed = recipe;
  mixed.body->weights = candidates[commonest];
  for (SearchedWeight &weight : searched) {
    if (weight.form == commonest)
      continue;
    Scheme scheme = *recipe.body;
    scheme.weights = candidates[*weight.form];
    mixed.rules.push_back({.match = literalGlob(weight.name()), .scheme = scheme, .reason = "", .where = ""});
  }
  return mixed;
}
