// See PlanProblems.h.
#include "tools/qopt/PlanProblems.h"

#include "lib/Algorithms/Gptq.h"
#include "lib/Parameters/Diagnostics.h"
#include "lib/Parameters/ModelLedger.h"
#include "passes/Fold/Passes.h"
#include "passes/Fold/ScalePairs.h"
#include "passes/Fold/StageOrder.h"
#include "passes/Quantize/ScaleStage.h"
#include "passes/Quantize/StatisticsNeeds.h"

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
static constexpr llvm::StringLiteral kSuffix = "plan";

/// The kinds of sites that the recipe, which scales, names.
static llvm::ArrayRef<SiteKind> kindsOf(const Recipe &recipe) {
  return recipe.awq ? recipe.awq->sites : recipe.smoothQuant->sites;
}

/// Sites that it scales. What else is wrong with its weights is said elsewhere.
static Result<std::vector<ScaleSite>> sitesOf(mlir::ModuleOp module, const Recipe &recipe) {
  std::string algorithm = recipe.awq ? "awq" : "smooth-quant";
  if (Status status = checkStageOrder(module, QuantizationStage::Scaling, algorithm); !status)
    return status.takeError();
  Survey survey = surveyTargets(module, recipe, Ledger());
  TargetsByUser targets = targetsByUser(survey.selection.targets);
  return sitesToScale(module, algorithm, kindsOf(recipe), &targets);
}

/// Pairs at every site, folded: whether they fold does not depend on what their factors are.
static void tryScales(Session &session, Foreseen &foreseen, const Recipe &recipe, const std::string &directory) {
  Result<std::vector<ScaleSite>> sites = sitesOf(*foreseen.module, recipe);
  if (!sites) {
    foreseen.problems.push_back(sites.takeError());
    return;
  }
  std::vector<SiteScale> scales;
  for (ScaleSite &site : *sites) {
    std::vector<float> factor(site.factors(), 2);
    scales.push_back({std::move(site), std::move(factor)});
  }
  session.context().loadDialect<lowbit::LowBitDialect>();
  std::vector<CancelledScale> earlier = cancelledScales(*foreseen.module);
  mlir::OwningOpRef<mlir::ModuleOp> before = foreseen.module->clone();
  Result<TemporaryPath> factors = TemporaryPath::create(".safetensors");
  Status status = factors
                      ? insertScalePairs(*foreseen.module, scales, {factors->path(), directory, kSuffix.str(), "{}"})
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
    if (llvm::is_contained(earlier, pair))
      continue;
    // "SITE.plan", or of a weight that stands at several sites "SITE.plan.2".
    pair.name.resize(llvm::StringRef(pair.name).rfind((llvm::Twine(".") + kSuffix).str()));
    if (recipe.unfoldable == Unfoldable::Cancel)
      foreseen.cancelled.push_back(std::move(pair));
    else
      foreseen.problems.push_back(
          badInput("expected pairs of scales that can be folded", "inputs of @" + pair.name + ": " + pair.reason)
              .withNext("name other sites, or say unfoldable: cancel"));
  }
}

/// What GPTQ asks of its statistics. `fallbacks`: linears that may do without.
static void checkTokens(Foreseen &foreseen, int64_t tokens, int64_t fallbacks) {
  std::vector<Error> errors;
  for (QuantizationTarget &target : foreseen.survey.selection.targets)
    if (target.method == Method::Gptq)
      if (Status status = checkGptqTokens(target.type().getDimSize(1), tokens); !status)
        errors.push_back(status.takeError().in("parameter @" + target.parameter.getSymName().str()));
  if (static_cast<int64_t>(errors.size()) > fallbacks)
    llvm::append_range(foreseen.problems, errors);
}

static void checkStatistics(Foreseen &foreseen, const Recipe &recipe, const QuantizeArguments &arguments,
                            const std::string &directory) {
  auto note = [&](Status status) {
    if (!status)
      foreseen.problems.push_back(status.takeError());
  };
  const SampleOptions &asked = arguments.calibration.samples;
  if (asked.areInRange()) // what is not is a problem of the texts, and has no cost
    foreseen.samples = asked.samples, foreseen.length = asked.length;
  note(checkArgumentsFor(recipe, arguments));
  if (!recipe.needsStatistics())
    return;
  int64_t fallbacks = std::max(arguments.maxFallback, recipe.maxFallback);
  if (arguments.statistics.empty()) {
    if (arguments.calibrates()) {
      Result<CalibrationText> text = readCalibrationText(*foreseen.module, directory, arguments.calibration);
      note(text ? Status() : Status(text.takeError()));
      if (text)
        foreseen.heldOut = static_cast<int64_t>(text->samples.heldOutSource.size());
    }
    if (asked.areInRange())
      checkTokens(foreseen, foreseen.samples * foreseen.length, fallbacks);
    return;
  }
  Result<ModelStatistics> statistics = ModelStatistics::open(*foreseen.module, arguments.statistics, directory);
  auto parameters = ParameterEvaluator::open(*foreseen.module, directory);
  if (!statistics || !parameters) {
    foreseen.problems.push_back(statistics ? parameters.takeError() : statistics.takeError());
    return;
  }
  foreseen.length = statistics->archive().header().length;
  foreseen.samples = foreseen.length > 0 ? statistics->tokens() / foreseen.length : 0;
  foreseen.heldOut = static_cast<int64_t>(statistics->archive().heldOutSource().size());
  checkTokens(foreseen, statistics->tokens(), fallbacks);
  for (auto [target, needsGram] : statisticsNeeded(*foreseen.module, recipe, foreseen.survey.selection.targets))
    if (auto inputs = statistics->inputsOf(target->parameter, **parameters, needsGram); !inputs)
      foreseen.problems.push_back(inputs.takeError());
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
  llvm::append_range(foreseen.problems, gateProblems(recipe, arguments.recipe, module, directory, foreseen.heldOut));
  return foreseen;
}
