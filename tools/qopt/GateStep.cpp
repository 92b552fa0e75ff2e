// Gates: whether a quantized model keeps to what its recipe asks for, before anything gets its name.
#include "lib/Archive/MappedFile.h"
#include "lib/Archive/Sha256.h"
#include "lib/Archive/TemporaryPath.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Compile/InMemory.h"
#include "lib/Compile/Sources.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/ModelLedger.h"
#include "lib/Runtime/App/Evaluation.h"
#include "lib/Runtime/App/Progress.h"
#include "lib/Runtime/Text/Tokenizer.h"
#include "passes/Quantize/NearestRounding.h"
#include "tools/qopt/Steps.h"

#include <cstdio>
#include <filesystem>

using namespace qopt;

/// Draws of the bootstrap, as many as 'qopt eval' takes.
static constexpr int64_t kResamples = 10000;

namespace {
/// Windows that a gate looks at.
struct GateText {
  const Gate *gate;
  std::string name;
  std::vector<int32_t> tokens;
  int64_t length;
};

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

/// Opens the text of a gate.
static Result<MappedFile> openText(const Gate &gate, const std::string &recipePath) {
  std::filesystem::path path(gate.text);
  if (path.is_relative() && !recipePath.empty())
    path = std::filesystem::path(recipePath).parent_path() / path;
  Result<MappedFile> file = MappedFile::open(path.string());
  if (file)
    return file;
  Error error = file.takeError().in(gate.where);
  error.outcome = "nothing was quantized";
  error.next =
      std::string("name a file of plain text") + (gate.where == kFarText ? "" : ", relative to the recipe's file");
  return error;
}

static Result<std::vector<int32_t>> tokensOf(const Gate &gate, const std::string &recipePath,
                                             const Tokenizer &tokenizer) {
  Result<MappedFile> file = openText(gate, recipePath);
  if (!file)
    return file.takeError();
  std::string_view text(reinterpret_cast<const char *>(file->bytes().data()), file->size());
  Result<Encoding> encoding = tokenizer.encode(text, {.recognizeSpecial = false, .addSpecial = false});
  if (!encoding)
    return encoding.takeError();
  return std::move(encoding->ids);
}

static Status checkText(const Gate &gate, const std::string &recipePath, const Tokenizer &tokenizer, int64_t context) {
  Result<std::vector<int32_t>> tokens = tokensOf(gate, recipePath, tokenizer);
  if (!tokens)
    return tokens.takeError();
  int64_t length = gate.lengthFor(context);
  if (context > 0 && length > context)
    return badInput("expected a gate's windows to have at most " + std::to_string(context) +
                        " tokens, the model's context, but got " + std::to_string(length),
                    gate.where)
        .withNext("say length: " + std::to_string(context) + ", or less");
  int64_t wanted = gate.windows.value_or(1), has = static_cast<int64_t>(tokens->size()) / length;
  if (has < wanted)
    return badInput("expected a gate's text to have at least " + std::to_string(wanted) + " window" +
                        (wanted == 1 ? "" : "s") + " of " + std::to_string(length) + " tokens, but got " +
                        std::to_string(tokens->size()) + " tokens",
                    escapeForMessage(gate.text, 1000) + " (gate of " + gate.where + ")")
        .withNext(has > 0 ? "name a longer text, or say windows: " + std::to_string(has)
                          : "name a longer text, or say a smaller length");
  return {};
}

Status qopt::checkHeldOut(const Recipe &recipe, std::optional<int64_t> heldOut) {
  for (const Gate &gate : recipe.gates)
    if (gate.heldOut && !gate.isDefault && heldOut == 0)
      return badInput("expected statistics with windows that were held out, but there are none", gate.where)
          .withNext("calibrate on longer texts, or leave the gate out");
  return {};
}

std::vector<Error> qopt::gateProblems(const Recipe &recipe, const std::string &recipePath, mlir::ModuleOp module,
                                      const std::string &directory, std::optional<int64_t> heldOut) {
  std::vector<Error> problems;
  if (std::ranges::none_of(recipe.gates, &Gate::isOnText))
    return problems;
  CompileOptions options;
  Status described = describeSources(module, directory, options);
  Result<Tokenizer> tokenizer = described ? openTokenizer(options) : Result<Tokenizer>(described.takeError());
  if (!tokenizer) {
    problems.push_back(tokenizer.takeError().in("gates"));
    return problems;
  }
  for (const Gate &gate : recipe.gates) {
    if (gate.heldOut && !recipe.needsStatistics())
      problems.push_back(usageError(
          "expected a recipe that is calibrated, because a gate is on what calibration has held out", gate.where));
    if (!gate.text.empty())
      if (Status status = checkText(gate, recipePath, *tokenizer, contextOf(module)); !status)
        problems.push_back(status.takeError());
  }
  if (Status status = recipe.needsStatistics() ? checkHeldOut(recipe, heldOut) : Status(); !status)
    problems.push_back(status.takeError());
  for (Error &error : problems)
    error.outcome = "nothing was quantized";
  return problems;
}

Result<nlohmann::ordered_json> qopt::describeGateTexts(const Recipe &recipe, const std::string &recipePath) {
  nlohmann::ordered_json texts;
  for (const Gate &gate : recipe.gates) {
    if (gate.text.empty())
      continue;
    Result<MappedFile> file = openText(gate, recipePath);
    if (!file)
      return file.takeError();
    texts.push_back(
        {{"name", std::filesystem::path(gate.text).filename().string()}, {"digest", toString(sha256(file->bytes()))}});
  }
  return texts;
}

/// The texts of all gates: one for each file, and one for each source that something was held out of.
static Result<std::vector<GateText>> gatherTexts(const GateInputs &inputs, const Tokenizer &tokenizer) {
  std::vector<GateText> texts;
  for (const Gate &gate : inputs.recipe.gates) {
    if (!gate.text.empty()) {
      Result<std::vector<int32_t>> tokens = tokensOf(gate, inputs.recipePath, tokenizer);
      if (!tokens)
        return tokens.takeError();
      bool isFar = gate.where == kFarText;
      texts.push_back({&gate, isFar ? std::filesystem::path(gate.text).filename().string() + " (far)" : gate.text,
                       std::move(*tokens), gate.lengthFor(contextOf(inputs.original))});
    }
    if (!gate.heldOut)
      continue;
    Result<StatisticsArchive> archive = StatisticsArchive::open(inputs.statistics);
    if (!archive)
      return archive.takeError();
    std::vector<int32_t> tokens = archive->heldOut();
    std::span<const int32_t> sources = archive->heldOutSource();
    int64_t length = archive->header().length;
    std::map<int32_t, GateText> bySource;
    for (size_t window = 0; window < sources.size(); ++window) {
      GateText &text = bySource[sources[window]];
      text.tokens.insert(text.tokens.end(), tokens.begin() + static_cast<int64_t>(window) * length,
                         tokens.begin() + static_cast<int64_t>(window + 1) * length);
    }
    if (Status status = checkHeldOut(inputs.recipe, static_cast<int64_t>(sources.size())); !status)
      return status.takeError();
    for (auto &[source, text] : bySource) {
      bool isNamed = source >= 0 && static_cast<size_t>(source) < archive->header().sources.size();
      std::string name = isNamed ? archive->header().sources[source].value("name", "") : std::to_string(source);
      texts.push_back({&gate, "held out of " + name + " (near)", std::move(text.tokens), length});
    }
  }
  return texts;
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
  // Worse by more than the windows' spread explains.
  if (figures.nearest && !(figures.excess.low <= 0))
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

/// What was found, for the report.
static nlohmann::ordered_json describeFigures(const GateText &text, const Figures &figures, bool holds) {
  auto estimate = [](const Estimate &found) {
    return nlohmann::ordered_json{{"value", found.value}, {"low", found.low}, {"high", found.high}};
  };
  nlohmann::ordered_json found{{"text", text.name},
                               {"windows", figures.model.windows},
                               {"length", text.length},
                               {"holds", holds},
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
    report.addGate(describeFigures(text, figures, static_cast<bool>(status)));
    std::fprintf(stderr, "gate %s: %s: %lld windows, KL %s%s%s, perplexity ratio %s, top-1 %s\n",
                 status ? "holds" : "fails", escapeForMessage(text.name, 1000).c_str(),
                 static_cast<long long>(figures.model.windows), figure(figures.model.divergence).c_str(),
                 figures.nearest ? ", round to nearest " : "",
                 figures.nearest ? figure(figures.nearest->divergence).c_str() : "",
                 figure(figures.model.perplexityRatio).c_str(), figure(figures.model.agreement).c_str());
    if (!status && verdict)
      verdict = std::move(status); // the others are still measured and printed
  }
  if (inputs.recipe.needsStatistics() &&
      std::ranges::none_of(inputs.recipe.gates, [](const Gate &gate) { return !gate.text.empty(); }))
    std::fputs("note: no text was judged that is unlike those of calibration, where it may do harm: --far-text FILE\n",
               stderr);
  return verdict;
}
