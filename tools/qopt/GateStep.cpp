// Gates: whether a quantized model keeps to what its recipe asks for, before anything gets its name.
#include "lib/Archive/TemporaryPath.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Compile/InMemory.h"
#include "lib/Compile/Sources.h"
#include "lib/Parameters/ModelLedger.h"
#include "lib/Runtime/App/Evaluation.h"
#include "lib/Runtime/App/Progress.h"
#include "passes/Quantize/NearestRounding.h"
#include "tools/qopt/GateTexts.h"

#include <cmath>
#include <cstdio>

using namespace qopt;

/// Draws of the bootstrap, as many as 'qopt eval' takes.
static constexpr int64_t kResamples = 10000;

/// Windows from which a model is judged worse than round to nearest: of two that are equally good, one is worse on all
/// of so few by chance in less than 2.5 of 100 cases. With fewer, such an interval says nothing.
static constexpr int64_t kFewestWindows = 6;

namespace {
/// What a gate has found.
struct Figures {
  Evaluation model;
  std::optional<Evaluation> nearest;
  Estimate excess; ///< of the model's divergence over that of round to nearest, paired by window
};
} // namespace

static Result<std::shared_ptr<const Model>> compileForGate(mlir::ModuleOp module, const std::string &directory,
                                                           const CompileOptions &options, CodeCache &code) {
  mlir::OwningOpRef<mlir::ModuleOp> clone = module.clone();
  auto parameters = ParameterEvaluator::open(*clone, directory);
  if (!parameters)
    return parameters.takeError();
  return compileInMemory(*clone, **parameters, options, code);
}

static std::string figure(const Estimate &estimate) {
  char text[100];
  std::snprintf(text, sizeof text, "%.4f [%.4f, %.4f]", estimate.value, estimate.low, estimate.high);
  return text;
}

/// Compares what was found with what was asked for. The first failure, or nothing.
static Status judge(const GateText &text, const Figures &figures) {
  const Gate &gate = *text.gate;
  auto failed = [&](const std::string &wanted, const std::string &got) {
    return Error{ErrorClass::Gate, "expected " + wanted + ", but got " + got,
                 escapeForMessage(text.name, 1000) + (gate.where.empty() ? "" : " (gate of " + gate.where + ")"),
                 "nothing was written", "choose a scheme with more bits, other text to calibrate on, or another gate"};
  };
  const Evaluation &model = figures.model;
  if (gate.divergence && !(model.divergence.value <= *gate.divergence))
    return failed("a KL divergence of at most " + std::to_string(*gate.divergence), figure(model.divergence));
  if (gate.perplexityRatio && !(model.perplexityRatio.value <= *gate.perplexityRatio))
    return failed("a ratio of perplexities of at most " + std::to_string(*gate.perplexityRatio),
                  figure(model.perplexityRatio));
  if (gate.agreement && !(model.agreement.value >= *gate.agreement))
    return failed("an agreement of at least " + std::to_string(*gate.agreement), figure(model.agreement));
  // Worse by more than the windows' spread explains; or no number at all.
  bool isJudged = model.windows >= kFewestWindows || std::isnan(figures.excess.low);
  if (figures.nearest && isJudged && !(figures.excess.low <= 0))
    return failed("a KL divergence no worse than that of round to nearest, " + figure(figures.nearest->divergence),
                  figure(model.divergence) + ", worse by " + figure(figures.excess));
  return {};
}

static Status checkLedger(const GateInputs &inputs) {
  Result<Ledger> ledger = readModelLedger(inputs.quantized, inputs.directory);
  if (!ledger)
    return ledger.takeError();
  for (const Gate &gate : inputs.recipe.gates)
    for (const LedgerRow &row : ledger->rows)
      if (gate.worstError && !(row.worstError <= *gate.worstError))
        return Error{ErrorClass::Gate,
                     "expected a worst error of at most " + std::to_string(*gate.worstError) + ", but got " +
                         std::to_string(row.worstError),
                     "parameter @" + row.name + " (gate of " + gate.where + ")", "nothing was written",
                     "keep this weight by a rule of the recipe, or give it more bits"};
  return {};
}

/// What was found, for the report. `holds`: nothing if the gate asks for nothing.
static nlohmann::ordered_json describeFigures(const GateText &text, const Figures &figures, std::optional<bool> holds) {
  auto estimate = [](const Estimate &found) {
    return nlohmann::ordered_json{{"value", found.value}, {"low", found.low}, {"high", found.high}};
  };
  nlohmann::ordered_json found{{"text", text.name},
                               {"windows", figures.model.windows},
                               {"length", text.length},
                               {"holds", holds ? nlohmann::ordered_json(*holds) : nlohmann::ordered_json()},
                               {"kl_divergence", estimate(figures.model.divergence)},
                               {"perplexity_ratio", estimate(figures.model.perplexityRatio)},
                               {"top1_agreement", estimate(figures.model.agreement)}};
  if (figures.nearest)
    found["nearest_kl_divergence"] = estimate(figures.nearest->divergence);
  return found;
}

Status qopt::checkGates(const GateInputs &inputs, RunReport &report) {
  if (inputs.recipe.gates.empty())
    return {};
  if (Status status = checkLedger(inputs); !status)
    return status;
  CompileOptions options;
  Result<Target> native = findTarget("native");
  if (!native)
    return native.takeError();
  options.targets.push_back(std::move(*native));
  if (Status status = describeSources(inputs.original, inputs.directory, options); !status)
    return status;
  Result<Tokenizer> tokenizer = openTokenizer(options);
  if (!tokenizer)
    return tokenizer.takeError().in("gates");
  Result<std::vector<GateText>> texts = gatherTexts(inputs, *tokenizer);
  if (!texts || texts->empty())
    return texts ? Status() : Status(texts.takeError());

  CodeCache code; // the quantized model and round to nearest have the same
  auto reference = compileForGate(inputs.original, inputs.directory, options, code);
  if (!reference)
    return reference.takeError();
  auto model = compileForGate(inputs.quantized, inputs.directory, options, code);
  if (!model)
    return model.takeError();
  // Round to nearest in the same schemes, where a gate is to be better than that.
  std::shared_ptr<const Model> nearest;
  std::optional<TemporaryPath> overlay;
  bool compares = inputs.recipe.needsStatistics() && std::any_of(texts->begin(), texts->end(), [](const GateText &t) {
                    return t.gate->betterThanNearest;
                  });
  if (compares) {
    Result<TemporaryPath> path = TemporaryPath::create(".safetensors");
    if (!path)
      return path.takeError();
    overlay.emplace(std::move(*path));
    mlir::ModuleOp original = inputs.original;
    mlir::OwningOpRef<mlir::ModuleOp> rounded = original.clone();
    // Static ranges are taken from the same samples.
    Result<StatisticsArchive> statistics = StatisticsArchive::open(inputs.statistics);
    if (!statistics)
      return statistics.takeError();
    if (Status status =
            quantizeToNearest(*rounded, inputs.recipe,
                              {.overlay = overlay->path(), .directory = inputs.directory, .statistics = &*statistics});
        !status)
      return status;
    auto compiled = compileForGate(*rounded, inputs.directory, options, code);
    if (!compiled)
      return compiled.takeError();
    nearest = std::move(*compiled);
  }

  Status verdict;
  for (const GateText &text : *texts) {
    Progress progress("gate " + text.name, "windows", 1);
    std::vector<EvaluatedModel> models{{"the quantized model", *model}};
    if (nearest && text.gate->betterThanNearest)
      models.push_back({"the model rounded to nearest", nearest});
    auto found = evaluateModels(models, *reference, text.tokens, {text.length, text.gate->mostWindows(), 0},
                                [&](int64_t done, int64_t total) { progress.update(done, total); });
    if (!found)
      return found.takeError().in(text.name);
    std::vector<WindowScores> &own = found->front();
    Figures figures;
    figures.model = summarize(own, kResamples, 0);
    if (models.size() > 1) {
      const std::vector<WindowScores> &rounded = found->back();
      figures.nearest = summarize(rounded, kResamples, 0);
      for (size_t i = 0; i < own.size(); ++i)
        own[i].divergence -= rounded[i].divergence;
      figures.excess = summarize(own, kResamples, 0).divergence;
    }
    progress.finish();
    Status status = judge(text, figures);
    bool asks = text.gate->asksForFigures() || figures.nearest;
    report.addGate(describeFigures(text, figures, asks ? std::optional(static_cast<bool>(status)) : std::nullopt));
    std::fprintf(stderr, "gate %s: %s: %lld windows, KL %s%s%s, perplexity ratio %s, top-1 %s\n",
                 !asks    ? "asks for nothing"
                 : status ? "holds"
                          : "fails",
                 escapeForMessage(text.name, 1000).c_str(), static_cast<long long>(figures.model.windows),
                 figure(figures.model.divergence).c_str(), figures.nearest ? ", round to nearest " : "",
                 figures.nearest ? figure(figures.nearest->divergence).c_str() : "",
                 figure(figures.model.perplexityRatio).c_str(), figure(figures.model.agreement).c_str());
    if (figures.nearest && figures.model.windows < kFewestWindows)
      std::fprintf(stderr, "note: %lld windows are too few to tell whether the model is worse than round to nearest\n",
                   static_cast<long long>(figures.model.windows));
    if (!status && verdict)
      verdict = std::move(status); // the others are still measured and printed
  }
  if (inputs.recipe.needsStatistics() &&
      std::ranges::none_of(inputs.recipe.gates, [](const Gate &gate) { return !gate.text.empty(); }))
    std::fputs("note: no text was judged that is unlike those of calibration, where it may do harm: --far-text FILE\n",
               stderr);
  return verdict;
}
