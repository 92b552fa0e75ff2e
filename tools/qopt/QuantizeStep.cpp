// From a module to one whose weights have few bits, by a recipe: statistics, scales, codes, gates.
#include "lib/Archive/TemporaryPath.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/Progress.h"
#include "passes/Fold/Passes.h"
#include "passes/Quantize/MethodPass.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/StatisticsNeeds.h"
#include "tools/qopt/Steps.h"

#include "mlir/Pass/PassManager.h"

using namespace qopt;

/// Windows that statistics have held out; nothing where there are no such statistics, which is said elsewhere.
static std::optional<int64_t> heldOutIn(const std::string &statistics) {
  if (statistics.empty())
    return std::nullopt;
  Result<StatisticsArchive> archive = StatisticsArchive::open(statistics);
  return archive ? std::optional<int64_t>(archive->heldOutSource().size()) : std::nullopt;
}

/// Leaves a gate by default out where nothing was held out, and says so. `isWanted`: nothing was to be.
static void dropIdleGates(Recipe &recipe, std::optional<int64_t> heldOut, bool isWanted) {
  if (heldOut != 0 || !std::erase_if(recipe.gates, [](const Gate &gate) { return gate.isDefault; }))
    return;
  recipe.saysGates = true;
  std::fprintf(
      stderr,
      "note: nothing was held out of the texts of calibration, so nothing says how well it did on text like them%s\n",
      isWanted ? "" : ": give longer texts");
}

/// The recipe that was given: --far-text judges what it makes and is no part of it.
static Recipe withoutFarText(Recipe recipe) {
  std::erase_if(recipe.gates, [](const Gate &gate) { return gate.where == kFarText; });
  return recipe;
}

/// What a folder of --resume calls the statistics that were taken on the way.
static constexpr std::string_view kResumedStatistics = "statistics.safetensors";

namespace {
/// One bar after the other: sites, ranges of activations, weights.
class StageProgress {
public:
  void scaled(int64_t done, int64_t total, const std::string &last) { scaling.update(done, total, last); }
  void ranged(int64_t done, int64_t total) {
    scaling.finish();
    ranges.update(done, total);
  }
  void rounded(int64_t done, int64_t total, const std::string &last) {
    scaling.finish();
    ranges.finish();
    if (!rounding)
      rounding.emplace("quantize", "M weights", 1e-6);
    rounding->update(done, total, last);
  }

private:
  Progress scaling{"scale", "sites", 1}, ranges{"ranges of activations", "samples", 1};
  std::optional<Progress> rounding; // from when weights are rounded
};

class QuantizeStep {
public:
  QuantizeStep(Session &session, mlir::ModuleOp module, const QuantizeArguments &arguments,
               const std::string &directory, const std::string &overlay, OutputSet *outputs, ResumeFolder *resume,
               RunReport &report)
      : session(session), module(module), arguments(arguments), directory(directory), overlay(overlay),
        outputs(outputs), resume(resume), report(report) {}

  Status run() {
    if (resume)
      report.setResumed(resume->found());
    if (Status status = checkBeforeWork(); !status)
      return status;
    mlir::OwningOpRef<mlir::ModuleOp> original;
    if (!recipe.gates.empty())
      original = module.clone();
    // Statistics are those of the rotated model.
    if (recipe.rotate)
      if (Status status = report.time("rotate", [&] { return rotateModule(session, module, *recipe.rotate); }); !status)
        return status;
    if (Status status = takeStatistics(); !status)
      return status;
    dropIdleGates(recipe, heldOut, /*isWanted=*/arguments.calibration.samples.heldOut == 0);
    if (Status status = runPasses(); !status)
      return status;
    return recipe.gates.empty() ? Status() : report.time("gates", [&] { return judge(*original); });
  }

private:
  /// Reads the recipe, and refuses what would be refused after hours.
  Status checkBeforeWork() {
    Result<Recipe> wanted = judgedRecipeOf(arguments);
    if (!wanted)
      return wanted.takeError();
    recipe = std::move(*wanted);
    if (Status status = checkArgumentsFor(recipe, arguments); !status)
      return status;
    recipe.maxFallback = std::max(recipe.maxFallback, arguments.maxFallback);
    heldOut = heldOutIn(arguments.statistics);
    if (arguments.calibrates() && arguments.calibration.samples.heldOut == 0)
      heldOut = 0;
    if (std::vector<Error> problems = gateProblems(recipe, arguments.recipe, module, directory, heldOut);
        !problems.empty())
      return std::move(problems.front());
    return {};
  }

  /// Finds `statistics`: those that are given, those of an earlier process, or those of a calibration on the way.
  Status takeStatistics() {
    statistics = arguments.statistics;
    if (!arguments.calibrates())
      return {};
    bool isFinished = false;
    if (resume) {
      statistics = resume->pathOf(kResumedStatistics);
      Result<bool> contains = resume->containsFile(kResumedStatistics);
      if (!contains)
        return contains.takeError();
      isFinished = *contains;
    } else {
      Result<TemporaryPath> path = TemporaryPath::create(".stats");
      if (!path)
        return path.takeError();
      calibrated.emplace(std::move(*path));
      statistics = calibrated->path();
    }
    if (!isFinished) {
      if (Status status = report.time("calibrate", [&] { return calibrate(); }); !status)
        return status;
      if (resume)
        if (Status status = resume->finishFile(kResumedStatistics); !status)
          return status;
    }
    heldOut = heldOutIn(statistics);
    return checkHeldOut(recipe, heldOut);
  }

  /// For what the recipe needs, and no more.
  Status calibrate() {
    CalibrateArguments calibration = arguments.calibration;
    calibration.noGram = recipe.statisticsNeed() < StatisticsNeed::Gram;
    calibration.samplesAlone = recipe.statisticsNeed() < StatisticsNeed::Magnitudes;
    Survey survey = surveyTargets(module, recipe, Ledger()); // whose problems the passes will name
    for (auto [target, needsGram] : statisticsNeeded(module, recipe, survey.selection.targets))
      calibration.weights.push_back(target->parameter.getSymName().str());
    return calibrateModule(session, module, calibration, directory, statistics);
  }

  Status runPasses() {
    mlir::PassManager passes(&session.context());
    if (mlir::failed(session.compiler().configure(passes)))
      return usageError("the pass manager's options do not fit together");
    report.watch(passes);
    // Factors are of use until the overlay has taken them over.
    std::optional<TemporaryPath> factors;
    StageProgress progress;
    if (recipe.scales()) {
      Result<TemporaryPath> path = TemporaryPath::create(".safetensors");
      if (!path)
        return path.takeError();
      factors.emplace(std::move(*path));
      addScaling(passes, factors->path(), progress);
    }
    if (Status status = addRounding(passes, factors ? factors->path() : "", progress); !status)
      return status;
    if (mlir::failed(passes.run(module)))
      return Error{session.failureClass(), {}, {}, {}, {}};
    return {};
  }

  /// What all passes that quantize are told.
  template <typename Options> Options optionsOf(const std::string &output) {
    Options options;
    options.recipe = arguments.recipe; // for messages: what to do is in the context
    options.statistics = statistics;
    options.overlay = output;
    options.directory = directory;
    return options;
  }

  /// Adds the passes that scale values before weights are rounded; the factors go to `output`.
  void addScaling(mlir::PassManager &passes, const std::string &output, StageProgress &progress) {
    QuantizeContext context;
    context.progress = [&](int64_t done, int64_t total, const std::string &last) {
      progress.scaled(done, total, last);
    };
    context.resume = resume, context.parsed = &recipe;
    if (recipe.awq)
      passes.addPass(createAwq(optionsOf<AwqOptions>(output), std::move(context)));
    else
      passes.addPass(createSmoothQuant(optionsOf<SmoothQuantOptions>(output), std::move(context)));
    FoldScalesOptions fold;
    fold.unfoldable = recipe.unfoldable;
    fold.directory = directory;
    passes.addPass(createFoldScales(fold));
  }

  /// Adds the pass that chooses codes, which takes over what is in use of the archive `factors`, if that is named.
  Status addRounding(mlir::PassManager &passes, const std::string &factors, StageProgress &progress) {
    QuantizeContext context;
    context.rangeProgress = [&](int64_t done, int64_t total) { progress.ranged(done, total); };
    context.progress = [&](int64_t done, int64_t total, const std::string &last) {
      progress.rounded(done, total, last);
    };
    context.outputs = outputs, context.resume = resume;
    Result<nlohmann::ordered_json> texts = describeGateTexts(recipe, arguments.recipe);
    if (!texts)
      return texts.takeError();
    gateTexts = *texts;
    context.gateTexts = std::move(*texts);
    context.parsed = &recipe;
    context.recipe = printRecipe(withoutFarText(recipe));
    auto absorb = [&](auto options) {
      if (!factors.empty())
        options.absorb = {factors};
      return options;
    };
    if (recipe.plugin) {
      std::unique_ptr<MethodPass> pass = createMethodPass(recipe.plugin->name);
      auto options = absorb(optionsOf<MethodPass::Inputs>(overlay));
      options.context = std::move(context);
      pass->take(std::move(options));
      passes.addPass(std::move(pass));
    } else if (recipe.uses(Method::Gptq)) {
      auto options = absorb(optionsOf<QuantizeGptqOptions>(overlay));
      options.maxFallback = arguments.maxFallback;
      passes.addPass(createQuantizeGptq(options, std::move(context)));
    } else {
      passes.addPass(createQuantizeRtn(absorb(optionsOf<QuantizeRtnOptions>(overlay)), std::move(context)));
    }
    return {};
  }

  Status judge(mlir::ModuleOp original) {
    // The provenance names what they were when the work began.
    Result<nlohmann::ordered_json> texts = describeGateTexts(recipe, arguments.recipe);
    if (!texts)
      return texts.takeError();
    if (*texts != gateTexts)
      return badInput(
                 "expected the gates' texts to be what they were when the quantization began, but they have changed")
          .withNext("run the command again; with --resume it takes what is finished");
    // The overlay may not have its name yet.
    mlir::OwningOpRef<mlir::ModuleOp> quantized = module.clone();
    std::string named = pathInIR(overlay, directory);
    for (auto archive : quantized->getOps<transformer::ArchiveOp>())
      if (archive.getPath() == named && outputs)
        archive.setPath(pathInIR(outputs->pendingPath(overlay), directory));
    return checkGates({original, *quantized, recipe, arguments.recipe, statistics, directory}, report);
  }

  Session &session;
  mlir::ModuleOp module;
  const QuantizeArguments &arguments;
  const std::string &directory, &overlay;
  OutputSet *outputs;
  ResumeFolder *resume;
  RunReport &report;

  Recipe recipe;
  std::string statistics;
  std::optional<TemporaryPath> calibrated; ///< which holds them until all is done
  std::optional<int64_t> heldOut;          ///< windows in the statistics, where that is known
  nlohmann::ordered_json gateTexts;        ///< as the provenance has them
};
} // namespace

Status qopt::quantizeModule(Session &session, mlir::ModuleOp module, const QuantizeArguments &arguments,
                            const std::string &directory, const std::string &overlay, OutputSet *outputs,
                            ResumeFolder *resume, RunReport &report) {
  return QuantizeStep(session, module, arguments, directory, overlay, outputs, resume, report).run();
}
