// See PlanProblems.h.
#include "tools/qopt/PlanProblems.h"

#include "lib/Archive/TemporaryPath.h"
#include "lib/Compile/Sources.h"
#include "lib/Parameters/Diagnostics.h"
#include "lib/Parameters/ModelLedger.h"
#include "passes/Fold/Passes.h"
#include "passes/Fold/ScalePairs.h"
#include "passes/Quantize/ModelStatistics.h"

#include "mlir/Pass/PassManager.h"

using namespace qopt;

namespace {
/// Takes errors that passes emit in place of the session's handler.
class Catcher : public mlir::ScopedDiagnosticHandler {
public:
  Catcher(mlir::MLIRContext *context, std::vector<Error> &errors) : ScopedDiagnosticHandler(context) {
    setHandler([&errors](mlir::Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error) {
        errors.push_back(toError(diagnostic));
        errors.back().outcome.clear();
      }
      return mlir::success();
    });
  }
};
} // namespace

/// Of the factors' names, after the sites'.
static constexpr std::string_view kSuffix = "plan";

/// Sites that the recipe scales.
static std::vector<ScaleSite> sitesOf(mlir::ModuleOp module, const Recipe &recipe) {
  auto forward = module.lookupSymbol<mlir::func::FuncOp>("forward");
  if (!forward)
    return {};
  const std::vector<SiteKind> &kinds = recipe.awq ? recipe.awq->sites : recipe.smoothQuant->sites;
  std::vector<ScaleSite> sites;
  for (ScaleSite &site : findScaleSites(forward))
    if (kinds.empty() ? site.kind() != SiteKind::Other : llvm::is_contained(kinds, site.kind()))
      sites.push_back(std::move(site));
  return sites;
}

/// Pairs at every site, folded: whether they fold does not depend on what their factors are.
static void tryScales(Session &session, Foreseen &foreseen, const Recipe &recipe, const std::string &directory) {
  std::vector<SiteScale> scales;
  for (ScaleSite &site : sitesOf(*foreseen.module, recipe)) {
    std::vector<float> factor(site.factors(), 2);
    scales.push_back({std::move(site), std::move(factor)});
  }
  if (scales.empty()) {
    foreseen.problems.push_back(
        badInput("expected values that linears alone read, at the sites to scale, but found none")
            .withNext("name other sites, or start from a module that 'qopt import' wrote"));
    return;
  }
  session.context().loadDialect<lowbit::LowBitDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> before = foreseen.module->clone();
  Result<TemporaryPath> factors = TemporaryPath::create(".safetensors");
  Status status =
      factors ? insertScalePairs(*foreseen.module, scales, {factors->path(), directory, std::string(kSuffix), "{}"})
              : Status(factors.takeError());
  if (status)
    foreseen.factors.emplace(std::move(*factors));
  if (!status) {
    foreseen.problems.push_back(status.takeError());
    foreseen.module = std::move(before);
    return;
  }
  std::vector<Error> errors;
  {
    Catcher catcher(&session.context(), errors);
    mlir::PassManager passes(&session.context());
    FoldScalesOptions fold;
    fold.unfoldable = Unfoldable::Cancel; // so that all of them are seen
    fold.directory = directory;
    passes.addPass(createFoldScales(fold));
    if (mlir::failed(passes.run(*foreseen.module)))
      foreseen.module = std::move(before);
  }
  llvm::append_range(foreseen.problems, errors);
  for (CancelledScale &pair : cancelledScales(*foreseen.module)) {
    pair.name.resize(pair.name.size() - kSuffix.size() - 1);
    if (recipe.unfoldable == Unfoldable::Cancel)
      foreseen.cancelled.push_back(std::move(pair));
    else
      foreseen.problems.push_back(
          badInput("expected pairs of scales that can be folded", "inputs of @" + pair.name + ": " + pair.reason)
              .withNext("name other sites, or say unfoldable: cancel"));
  }
}

/// What GPTQ asks of its statistics.
static void checkTokens(Foreseen &foreseen, int64_t tokens) {
  for (QuantizationTarget &target : foreseen.survey.selection.targets)
    if (int64_t inputs = target.type().getDimSize(1); target.method == Method::Gptq && tokens < inputs)
      foreseen.problems.push_back(Error{ErrorClass::Gate,
                                        "expected at least as many tokens as the linear has inputs, " +
                                            std::to_string(inputs) + ", but got " + std::to_string(tokens),
                                        "parameter @" + target.parameter.getSymName().str(),
                                        {},
                                        "calibrate with more samples, or longer ones"});
}

static Status checkTexts(mlir::ModuleOp module, const CalibrateArguments &calibration, const std::string &directory) {
  CompileOptions options;
  if (Status status = describeSources(module, directory, options); !status)
    return status;
  Result<Tokenizer> tokenizer = openTokenizer(options);
  if (!tokenizer)
    return tokenizer.takeError();
  Result<std::vector<TextSource>> sources = readSources(calibration);
  if (!sources)
    return sources.takeError();
  Result<SampleSet> samples = chooseSamples(*tokenizer, *sources, calibration.samples);
  return samples ? Status() : Status(samples.takeError());
}

static void checkStatistics(Foreseen &foreseen, const Recipe &recipe, const QuantizeArguments &arguments,
                            const std::string &directory) {
  auto note = [&](Status status) {
    if (!status)
      foreseen.problems.push_back(status.takeError());
  };
  foreseen.samples = arguments.calibration.samples.samples, foreseen.length = arguments.calibration.samples.length;
  note(checkStatisticsArguments(recipe, arguments));
  if (!recipe.needsStatistics())
    return;
  if (arguments.statistics.empty()) {
    if (arguments.calibrates())
      note(checkTexts(*foreseen.module, arguments.calibration, directory));
    return checkTokens(foreseen, foreseen.samples * foreseen.length);
  }
  Result<ModelStatistics> statistics = ModelStatistics::open(*foreseen.module, arguments.statistics);
  auto parameters = ParameterEvaluator::open(*foreseen.module, directory);
  if (!statistics || !parameters) {
    foreseen.problems.push_back(statistics ? parameters.takeError() : statistics.takeError());
    return;
  }
  foreseen.length = statistics->archive().header().length;
  foreseen.samples = foreseen.length > 0 ? statistics->tokens() / foreseen.length : 0;
  checkTokens(foreseen, statistics->tokens());
  for (QuantizationTarget &target : foreseen.survey.selection.targets) {
    bool needsGram = target.method == Method::Gptq || (!target.isHead && needsHessian(recipe.nearestRange));
    if (!needsGram || target.isHead)
      continue;
    if (auto inputs = statistics->inputsOf(target.parameter, **parameters); !inputs)
      foreseen.problems.push_back(inputs.takeError());
  }
}

Foreseen qopt::foresee(Session &session, mlir::ModuleOp module, const Recipe &recipe,
                       const QuantizeArguments &arguments, const std::string &directory) {
  Foreseen foreseen;
  foreseen.module = module.clone();
  if (recipe.rotate) {
    mlir::OwningOpRef<mlir::ModuleOp> before = module.clone();
    Catcher catcher(&session.context(), foreseen.problems);
    Status status = rotateModule(session, *foreseen.module, *recipe.rotate);
    if (!status)
      foreseen.module = std::move(before);
    if (!status && !status.error().rule.empty())
      foreseen.problems.push_back(status.takeError());
  }
  if (recipe.scales())
    tryScales(session, foreseen, recipe, directory);
  Ledger previous;
  if (auto parameters = ParameterEvaluator::open(*foreseen.module, directory); !parameters) {
    foreseen.problems.push_back(parameters.takeError());
  } else {
    Result<std::optional<Ledger>> ledger = findLedger(*foreseen.module, **parameters);
    if (!ledger)
      foreseen.problems.push_back(ledger.takeError());
    else
      previous = ledger->value_or(Ledger());
  }
  foreseen.survey = surveyTargets(*foreseen.module, recipe, previous);
  llvm::append_range(foreseen.problems, foreseen.survey.problems);
  checkStatistics(foreseen, recipe, arguments, directory);
  for (const Gate &gate : recipe.gates)
    if (Status status = checkGateText(recipe, gate, arguments.recipe); !status)
      foreseen.problems.push_back(status.takeError());
  return foreseen;
}
