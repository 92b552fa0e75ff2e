#include "tools/qopt/Steps.h"

#include "lib/Archive/TemporaryPath.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Compile/Sources.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/FileKind.h"
#include "lib/Runtime/App/Progress.h"
#include "passes/Fold/Passes.h"
#include "passes/Quantize/MethodPass.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/Recipe.h"
#include "passes/Quantize/StatisticsNeeds.h"

#include "mlir/Pass/PassManager.h"

#include <filesystem>

using namespace qopt;

Status qopt::checkArguments(const QuantizeArguments &arguments) {
  if (!arguments.recipe.empty() && arguments.saysMoreThanRecipe())
    return usageError("expected either --recipe or --scheme, --head, --method, --scales and --keep, but got both")
        .withNext("say it all in the recipe");
  return {};
}

Status qopt::checkArgumentsFor(const Recipe &recipe, const QuantizeArguments &arguments) {
  if (arguments.maxFallback != 0 && !recipe.uses(Method::Gptq))
    return usageError("expected no --max-fallback without gptq, which alone falls back to round to nearest")
        .withNext("say --method gptq, or leave it out");
  bool has = arguments.calibrates() || !arguments.statistics.empty();
  if (!recipe.needsStatistics() && has)
    return usageError("expected no --statistics, --text or --jsonl for " +
                      (recipe.plugin ? recipe.plugin->name : std::string("round to nearest")))
        .withNext("say --method gptq or --scales awq, or leave it out");
  if (arguments.calibrates() && !arguments.statistics.empty())
    return usageError("expected either --statistics or texts to calibrate on, but got both");
  if (recipe.needsStatistics() && !has)
    return usageError("expected statistics, or text to calibrate on")
        .withNext("say --text FILE, or --statistics with what 'qopt calibrate MODEL --text FILE' wrote");
  return {};
}

Result<Recipe> qopt::recipeOf(const QuantizeArguments &arguments) {
  if (!arguments.recipe.empty())
    return readRecipe(arguments.recipe);
  return makeRecipe({arguments.scheme, arguments.head, arguments.keep, arguments.method, arguments.scales});
}

Result<Recipe> qopt::judgedRecipeOf(const QuantizeArguments &arguments) {
  Result<Recipe> recipe = recipeOf(arguments);
  if (!recipe)
    return recipe;
  if (arguments.noGates) {
    if (!arguments.farText.empty())
      return usageError("expected either --far-text, which a gate is on, or --no-gates, but got both");
    recipe->gates.clear();
    recipe->saysGates = true;
    return recipe;
  }
  addDefaultGates(*recipe);
  if (!arguments.farText.empty()) {
    Gate far;
    std::error_code code;
    far.text = std::filesystem::absolute(arguments.farText, code).string();
    far.where = kFarText;
    recipe->gates.push_back(std::move(far));
  }
  return recipe;
}

/// Adds the passes that scale values before weights are rounded; the factors go to `overlay`.
static void addScaling(mlir::PassManager &passes, const Recipe &recipe, const QuantizeArguments &arguments,
                       const std::string &statistics, const std::string &directory, const std::string &overlay,
                       QuantizeContext context) {
  auto setCommon = [&](auto &options) {
    options.scheme = arguments.scheme;
    options.head = arguments.head;
    options.keep = {arguments.keep.begin(), arguments.keep.end()};
    options.recipe = arguments.recipe;
    options.statistics = statistics;
    options.overlay = overlay;
    options.directory = directory;
  };
  if (recipe.awq) {
    AwqOptions options;
    setCommon(options);
    passes.addPass(createAwq(options, std::move(context)));
  } else {
    SmoothQuantOptions options;
    setCommon(options);
    passes.addPass(createSmoothQuant(options, std::move(context)));
  }
  FoldScalesOptions fold;
  fold.unfoldable = recipe.unfoldable;
  fold.directory = directory;
  passes.addPass(createFoldScales(fold));
}

Status qopt::rotateModule(Session &session, mlir::ModuleOp module, const RotateSettings &settings) {
  mlir::PassManager passes(&session.context());
  if (mlir::failed(session.compiler().configure(passes)))
    return usageError("the pass manager's options do not fit together");
  RotateOptions options;
  options.kind = settings.kind;
  options.seed = settings.seed;
  options.valueHeads = settings.valueHeads;
  passes.addPass(createRotate(options));
  if (mlir::failed(passes.run(module)))
    return Error{session.failureClass(), {}, {}, {}, {}};
  return {};
}

/// Windows that statistics have held out; nothing where there are no such statistics, which is said elsewhere.
static std::optional<int64_t> heldOutIn(const std::string &statistics) {
  if (statistics.empty())
    return std::nullopt;
  Result<StatisticsArchive> archive = StatisticsArchive::open(statistics);
  return archive ? std::optional<int64_t>(archive->heldOutSource().size()) : std::nullopt;
}

/// Leaves a gate by default out where nothing was held out, and says so.
static void dropIdleGates(Recipe &recipe, std::optional<int64_t> heldOut) {
  if (heldOut != 0 || !std::erase_if(recipe.gates, [](const Gate &gate) { return gate.isDefault; }))
    return;
  recipe.saysGates = true;
  std::fputs(
      "note: nothing was held out of the texts of calibration, so nothing says how well it did on text like them: "
      "give longer texts\n",
      stderr);
}

/// The recipe that was given: --far-text judges what it makes and is no part of it.
static Recipe withoutFarText(Recipe recipe) {
  std::erase_if(recipe.gates, [](const Gate &gate) { return gate.where == kFarText; });
  return recipe;
}

/// What a folder of --resume calls the statistics that were taken on the way.
static constexpr std::string_view kResumedStatistics = "statistics.safetensors";

Status qopt::quantizeModule(Session &session, mlir::ModuleOp module, const QuantizeArguments &arguments,
                            const std::string &directory, const std::string &overlay, OutputSet *outputs,
                            ResumeFolder *resume, RunReport &report) {
  if (resume)
    report.setResumed(resume->found());
  Result<Recipe> recipe = judgedRecipeOf(arguments);
  if (!recipe)
    return recipe.takeError();
  if (Status status = checkArgumentsFor(*recipe, arguments); !status)
    return status;
  std::optional<int64_t> heldOut = heldOutIn(arguments.statistics);
  if (arguments.calibrates() && arguments.calibration.samples.heldOut == 0)
    heldOut = 0;
  if (std::vector<Error> problems = gateProblems(*recipe, arguments.recipe, module, directory, heldOut);
      !problems.empty())
    return std::move(problems.front());
  mlir::OwningOpRef<mlir::ModuleOp> original;
  if (!recipe->gates.empty())
    original = module.clone();
  // Statistics are those of the rotated model.
  if (recipe->rotate)
    if (Status status = report.time("rotate", [&] { return rotateModule(session, module, *recipe->rotate); }); !status)
      return status;
  std::string statistics = arguments.statistics;
  std::optional<TemporaryPath> calibrated;
  if (arguments.calibrates()) {
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
    CalibrateArguments calibration = arguments.calibration;
    calibration.noGram = recipe->statisticsNeed() < StatisticsNeed::Gram;
    calibration.samplesAlone = recipe->statisticsNeed() < StatisticsNeed::Magnitudes;
    Survey survey = surveyTargets(module, *recipe, Ledger()); // whose problems the passes will name
    for (auto [target, needsGram] : statisticsNeeded(module, *recipe, survey.selection.targets))
      calibration.weights.push_back(target->parameter.getSymName().str());
    if (!isFinished) {
      if (Status status = report.time(
              "calibrate", [&] { return calibrateModule(session, module, calibration, directory, statistics); });
          !status)
        return status;
      if (resume)
        if (Status status = resume->finishFile(kResumedStatistics); !status)
          return status;
    }
  }
  if (arguments.calibrates()) {
    heldOut = heldOutIn(statistics);
    if (Status status = checkHeldOut(*recipe, heldOut); !status)
      return status;
  }
  dropIdleGates(*recipe, heldOut);
  mlir::PassManager passes(&session.context());
  if (mlir::failed(session.compiler().configure(passes)))
    return usageError("the pass manager's options do not fit together");
  report.watch(passes);
  // Factors are of use until the overlay has taken them over.
  std::optional<TemporaryPath> factors;
  Progress scaling("scale", "sites", 1);
  std::optional<Progress> progress; // from when weights are rounded
  if (recipe->scales()) {
    Result<TemporaryPath> path = TemporaryPath::create(".safetensors");
    if (!path)
      return path.takeError();
    factors.emplace(std::move(*path));
    addScaling(
        passes, *recipe, arguments, statistics, directory, factors->path(),
        {.progress = [&](int64_t done, int64_t total, const std::string &last) { scaling.update(done, total, last); },
         .resume = resume});
  }
  auto setCommon = [&](auto &options) {
    if (factors)
      options.absorb = {factors->path()};
    options.scheme = arguments.scheme;
    options.head = arguments.head;
    options.keep = {arguments.keep.begin(), arguments.keep.end()};
    options.recipe = arguments.recipe;
    options.overlay = overlay;
    options.directory = directory;
    options.statistics = statistics;
  };
  QuantizeContext context;
  Progress ranges("ranges of activations", "samples", 1);
  context.rangeProgress = [&](int64_t done, int64_t total) {
    scaling.finish();
    ranges.update(done, total);
  };
  context.progress = [&](int64_t done, int64_t total, const std::string &last) {
    scaling.finish();
    ranges.finish();
    if (!progress)
      progress.emplace("quantize", "M weights", 1e-6);
    progress->update(done, total, last);
  };
  context.outputs = outputs, context.resume = resume;
  recipe->maxFallback = std::max(recipe->maxFallback, arguments.maxFallback);
  Result<nlohmann::ordered_json> texts = describeGateTexts(*recipe, arguments.recipe);
  if (!texts)
    return texts.takeError();
  context.gateTexts = std::move(*texts);
  context.recipe = printRecipe(withoutFarText(*recipe));
  if (recipe->plugin) {
    std::unique_ptr<MethodPass> pass = createMethodPass(recipe->plugin->name);
    MethodPass::Inputs options;
    setCommon(options);
    options.context = context;
    pass->take(std::move(options));
    passes.addPass(std::move(pass));
  } else if (recipe->uses(Method::Gptq)) {
    QuantizeGptqOptions options;
    setCommon(options);
    options.maxFallback = arguments.maxFallback;
    passes.addPass(createQuantizeGptq(options, context));
  } else {
    QuantizeRtnOptions options;
    setCommon(options);
    passes.addPass(createQuantizeRtn(options, context));
  }
  if (mlir::failed(passes.run(module)))
    return Error{session.failureClass(), {}, {}, {}, {}};
  if (recipe->gates.empty())
    return {};
  // The overlay may not have its name yet.
  mlir::OwningOpRef<mlir::ModuleOp> quantized = module.clone();
  std::string named = pathInIR(overlay, directory);
  for (auto archive : quantized->getOps<transformer::ArchiveOp>())
    if (archive.getPath() == named && outputs)
      archive.setPath(pathInIR(outputs->pendingPath(overlay), directory));
  return report.time("gates", [&] {
    return checkGates({*original, *quantized, *recipe, arguments.recipe, statistics, directory}, report);
  });
}

Status qopt::compileArtifact(Session &session, mlir::ModuleOp module, const std::string &directory,
                             const std::string &targets, const std::string &output) {
  CompileOptions options;
  Result<std::vector<Target>> chosen = findTargets(targets);
  if (!chosen)
    return chosen.takeError();
  options.targets = std::move(*chosen);
  options.configure = [&](mlir::PassManager &manager) { return session.compiler().configure(manager); };
  Progress progress("compile: weights", "MB", 1e-6);
  options.progress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  if (Status status = describeSources(module, directory, options); !status)
    return status;
  return compileModel(module, directory, options, output);
}

Result<mlir::OwningOpRef<mlir::ModuleOp>> qopt::readModule(Session &session, const std::string &path) {
  auto module = session.readModule(path);
  if (module)
    if (Status status = session.compiler().runExtraPasses(**module); !status)
      return status.takeError();
  return module;
}

Status qopt::compileForRunning(const CompilerArguments &compiler, const std::string &file, const std::string &output) {
  Result<FileKind> kind = classifyFile(file);
  if (!kind)
    return kind.takeError();
  if (*kind != FileKind::Ir) {
    Error error = badInput("expected an artifact or an IR file, but got " + std::string(describe(*kind)),
                           escapeForMessage(file, 1000));
    bool source = *kind == FileKind::Gguf || *kind == FileKind::Directory;
    return std::move(error).withNext(source
                                         ? "make an artifact of it: qopt build SOURCE --scheme w4a8:g64 -o model.qopt"
                                         : "name the IR file or the artifact that belongs to it");
  }
  Session session(compiler);
  auto module = readModule(session, file);
  if (!module)
    return module.takeError();
  return compileArtifact(session, **module, directoryOf(file), "native", output);
}
