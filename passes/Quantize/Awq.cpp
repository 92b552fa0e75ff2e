// AWQ: scales the channels that carry most so that they are rounded most finely.
//
//   %0 = norm …                             %0 = norm …
//   %1 = transformer.linear %0, %w          %1 = transformer.linear (lowbit.scale %0 inverse), (lowbit.scale %w)
//
// The search is lib/Algorithms/Awq.h's; which sites, which statistics and where scales go is ScaleStage.h's. Clipping,
// AWQ's other half, is a rule for ranges (range=clip) of whatever rounds the weights afterwards.
#include "lib/Algorithms/Awq.h"

#include "lib/Algorithms/Shrinkage.h"
#include "lib/Parameters/Diagnostics.h"
#include "lib/Parameters/ParallelRows.h"
#include "passes/Fold/StageOrder.h"
#include "passes/Quantize/ModuleObjective.h"
#include "passes/Quantize/PassSettings.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/ScaleStage.h"
#include "passes/Quantize/Selection.h"
#include "passes/Quantize/SiteSamples.h"
#include "passes/Support/PassCounts.h"

namespace qopt {
#define GEN_PASS_DEF_AWQ
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {
struct Awq : qopt::impl::AwqBase<Awq>, qopt::ReportsCounts {
  Awq() = default;
  explicit Awq(AwqOptions options) : AwqBase(std::move(options)) {}
  Awq(AwqOptions options, QuantizeContext context) : AwqBase(std::move(options)), context(std::move(context)) {}

  SmallVector<Count> counts() const override { return {{"sites-scaled", scaled}, {"sites-left", left}}; }

  void runOnOperation() override {
    scaled = left = 0;
    if (failed(emitFailure(getOperation().getLoc(), scaleModel(), "nothing was written")))
      signalPassFailure();
  }

  Status scaleModel() {
    if (Status status = checkStageOrder(getOperation(), QuantizationStage::Scaling, "awq"); !status)
      return status;
    if (Status status = checkShrinkage(shrink); !status)
      return status;
    Result<Recipe> wanted =
        chooseRecipe({scheme, head, std::vector<std::string>(keep.begin(), keep.end())}, recipe, context.parsed);
    if (!wanted)
      return wanted.takeError();
    if (Status status = checkRecipeSaysAll(*this, recipe); !status)
      return status;
    if (context.leavesToOptions(recipe))
      wanted->awq = AwqSettings{{sites.begin(), sites.end()}, shrink, objective};
    if (!wanted->awq)
      return usageError("expected a recipe with a section awq", recipe).withNext("add awq: {}, or leave this pass out");
    Result<Selection> selection = selectTargets(getOperation(), *wanted, Ledger());
    if (!selection)
      return selection.takeError();
    auto targets = targetsByUser(selection->targets);
    Result<ScaleStage> stage = ScaleStage::begin(getOperation(), {.algorithm = "awq",
                                                                  .statistics = statistics,
                                                                  .overlay = overlay,
                                                                  .directory = directory,
                                                                  .kinds = wanted->awq->sites,
                                                                  .targets = &targets,
                                                                  .context = context});
    if (!stage)
      return stage.takeError();
    Search search{*stage, targets, *wanted->awq};
    llvm::DenseMap<Value, ModuleSite> modules = modulesOf(search);
    for (const ScaleSite &site : stage->sites())
      if (!modules.contains(site.value))
        if (Status status = stage->visit(site, [&] { return scaleSite(search, site); }); !status)
          return status;
    if (Status status = scaleByModules(search, modules); !status)
      return status;
    scaled = stage->scaledSites(), left = stage->leftSites();
    return stage->finish();
  }

  struct Search {
    ScaleStage &stage;
    const TargetsByUser &targets;
    const AwqSettings &settings;
  };
  /// A site that is scaled by what its module gives.
  struct ModuleSite {
    const ScaleSite *site;
    Value end;
  };

  llvm::DenseMap<Value, ModuleSite> modulesOf(const Search &search) {
    llvm::DenseMap<Value, ModuleSite> modules;
    if (search.settings.objective != AwqError::Module)
      return modules;
    SmallVector<Segment> segments = findSegments(getOperation().lookupSymbol<func::FuncOp>("forward"));
    for (const ScaleSite &site : search.stage.sites())
      if (Value end = moduleEnd(site, segments))
        modules[site.value] = {&site, end};
    return modules;
  }

  /// Runs the model over some samples, and its modules for each site and candidate.
  Status scaleByModules(const Search &search, const llvm::DenseMap<Value, ModuleSite> &modules) {
    if (modules.empty())
      return {};
    const StatisticsArchive &archive = search.stage.archive();
    Result<SearchedTokens> tokens = SearchedTokens::whole(archive.samples(), archive.header().length);
    if (!tokens)
      return tokens.takeError();
    auto parameters = ParameterEvaluator::open(getOperation(), directory);
    if (!parameters)
      return parameters.takeError();
    Result<std::unique_ptr<PartRunner>> runner = PartRunner::create(tokens->samples, tokens->length);
    if (!runner)
      return runner.takeError();
    llvm::DenseSet<Value> watched;
    for (const auto &[value, module] : modules)
      watched.insert(value);
    return forEachSite(getOperation(), directory, *tokens, watched, [&](Value value, MatrixView rows) {
      ModuleSite module = modules.at(value);
      return search.stage.visit(*module.site, [&]() -> Status {
        Result<ModuleObjective> objective =
            ModuleObjective::create(getOperation(), **parameters, **runner, {*module.site, module.end, rows});
        return objective ? scaleSite(search, *module.site, &*objective) : Status(objective.takeError());
      });
    });
  }

  /// By `module`, or by the Hessian where it is null.
  Status scaleSite(const Search &search, const ScaleSite &site, ModuleObjective *module = nullptr) {
    Result<ScaleStage::Calibrated> calibrated = search.stage.calibrated(site);
    if (!calibrated)
      return calibrated.takeError();
    std::vector<AwqLinear> linears;
    for (auto [i, reader] : llvm::enumerate(site.readers))
      if (const QuantizationTarget *target = search.targets.lookup(reader))
        linears.push_back({calibrated->weights[i].values, calibrated->rows(i), target->scheme.weights});
    int64_t channels = site.channels();
    AlignedVector<float> hessian;
    AwqObjective objective;
    SmallVector<const AwqLinear *> byReader;
    if (module) {
      size_t next = 0;
      for (Operation *reader : site.readers)
        byReader.push_back(search.targets.contains(reader) ? &linears[next++] : nullptr);
      objective = [&](std::span<const float> scale) {
        return module->errorOf(byReader, scale, qopt::parallelFor(&getContext()));
      };
    } else {
      hessian =
          shrunkHessian({calibrated->hessian.values.data(), channels, channels, channels}, search.settings.shrink);
    }
    AwqInputs inputs{hessian, calibrated->meanAbs, site.factorsOfChannels(), site.factors()};
    Result<AwqScale> best = searchAwqScale(linears, inputs, qopt::parallelFor(&getContext()), objective);
    if (!best)
      return best.takeError();
    if (best->isIdentity())
      return search.stage.leave(site, {{"gain", 1}});
    double gain = best->error / best->unscaledError;
    return search.stage.add(site, std::move(best->factor),
                            {{"alpha", best->alpha}, {"weights", best->usesWeights}, {"gain", gain}});
  }

  QuantizeContext context;
  int64_t scaled = 0, left = 0;
};
} // namespace

std::unique_ptr<Pass> qopt::createAwq(AwqOptions options, QuantizeContext context) {
  return std::make_unique<Awq>(std::move(options), std::move(context));
}
