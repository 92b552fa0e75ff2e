// See BitSearch.h.
#include "passes/Quantize/BitSearch.h"

#include "lib/Algorithms/Awq.h"
#include "lib/Algorithms/BitAllocation.h"
#include "lib/Parameters/ParallelRows.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;

int64_t SearchedWeight::bitsOf(const WeightScheme &form) {
  return static_cast<int64_t>(form.bitsPerRow(target.type().getDimSize(1))) * target.type().getDimSize(0);
}

/// Output errors of a weight in each form that fits it.
static Status measureErrors(SearchedWeight &weight, ArrayRef<WeightScheme> forms, const ModelStatistics &statistics,
                            ParameterEvaluator &parameters) {
  Result<HostTensor> tensor = parameters.evaluate(weight.target.parameter);
  if (!tensor)
    return tensor.takeError();
  FloatView values = viewAsF32(*tensor);
  int64_t rows = weight.target.type().getDimSize(0), inputs = weight.target.type().getDimSize(1);
  Result<ModelStatistics::Inputs> of = statistics.inputsOf(weight.target.parameter, parameters);
  if (!of)
    return of.takeError();
  ModelStatistics::Hessian hessian = statistics.hessianOf(*of);
  MatrixView h{hessian.values.data(), inputs, inputs, inputs};
  auto parallel = qopt::parallelFor(weight.target.parameter.getContext());
  AwqLinear whole{values.values, rows, {}};
  weight.power = outputPower({&whole, 1}, h, parallel);
  Error reason;
  for (const WeightScheme &form : forms) {
    QuantizationTarget candidate = weight.target;
    candidate.scheme.weights = form;
    if (Status status = checkFit(candidate); !status) {
      reason = status.takeError();
      weight.errors.emplace_back();
      continue;
    }
    AwqLinear linear{values.values, rows, form};
    weight.errors.emplace_back(nearestError({&linear, 1}, h, parallel));
  }
  statistics.archive().drop(*of->site);
  parameters.drop(weight.target.parameter);
  return llvm::any_of(weight.errors, [](const auto &error) { return error.has_value(); }) ? Status() : Status(reason);
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
  for (QuantizationTarget &target : selection->targets) {
    const std::string name = target.parameter.getSymName().str();
    bool ruled = llvm::any_of(recipe.rules, [&](const RecipeRule &rule) { return rule.matches(name); });
    if (target.isHead || ruled)
      continue;
    SearchedWeight weight;
    weight.target = target;
    if (Status status = measureErrors(weight, search.candidates, statistics, parameters); !status)
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
  llvm::sort(fitting, [&](size_t a, size_t b) { return *weight.errors[a] > *weight.errors[b]; });
  return fitting[fitting.size() > 1 ? 1 : 0];
}

std::optional<double> BitSearch::costOf(const SearchedWeight &weight, size_t form, double sensitivity) const {
  if (!weight.errors[form])
    return std::nullopt;
  double probed = *weight.errors[probeOf(weight)];
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
  double bits = 0, elements = 0;
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
      sensitivities.push_back(weight.power > 0 ? *weight.errors[probeOf(weight)] / weight.power : 0);
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
  Result<std::vector<size_t>> chosen = allocateBits(choices, static_cast<int64_t>(std::floor(bits * elements)));
  if (!chosen) // every weight has a form: begin() has seen to it
    return badInput("expected a budget of at least " +
                    std::to_string(static_cast<double>(leastBits(choices)) / elements) +
                    " bits per weight, the least of these forms, but got " + std::to_string(bits))
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
