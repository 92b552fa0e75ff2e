// SmoothQuant: moves what makes activations hard to round into the weights, which are easy to.
//
//   %0 = norm …                             %0 = norm …
//   %1 = transformer.linear %0, %w          %1 = transformer.linear (lowbit.scale %0 inverse), (lowbit.scale %w)
//
// The formula and the search for α are lib/Algorithms/SmoothQuant.h's; which sites, which statistics and where scales
// go is ScaleStage.h's.
#include "lib/Algorithms/SmoothQuant.h"

#include "lib/Parameters/Diagnostics.h"
#include "lib/Parameters/ParallelRows.h"
#include "passes/Fold/StageOrder.h"
#include "passes/Quantize/PassSettings.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/ScaleStage.h"
#include "passes/Quantize/Selection.h"
#include "passes/Quantize/SiteSamples.h"
#include "passes/Support/PassCounts.h"

namespace qopt {
#define GEN_PASS_DEF_SMOOTHQUANT
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

/// max|W_j| over the rows of all readers, and the channels that share a factor : [factors]
static std::vector<float> greatestWeights(const ScaleSite &site, const ScaleStage::Calibrated &calibrated) {
  std::vector<float> greatest(site.factors());
  int64_t channels = site.channels();
  for (const FloatView &weight : calibrated.weights)
    for (size_t i = 0; i < weight.values.size(); ++i) {
      float &of = greatest[site.factorOf(static_cast<int64_t>(i) % channels)];
      of = std::max(of, std::fabs(weight.values[i]));
    }
  return greatest;
}

/// max|X_j| over the channels that share a factor : [factors]
static std::vector<float> greatestInputs(const ScaleSite &site, const ScaleStage::Calibrated &calibrated) {
  std::vector<float> greatest(site.factors());
  for (int64_t channel = 0; channel < site.channels(); ++channel) {
    float &of = greatest[site.factorOf(channel)];
    of = std::max(of, calibrated.greatest[channel]);
  }
  return greatest;
}

namespace {
struct SmoothQuant : qopt::impl::SmoothQuantBase<SmoothQuant>, qopt::ReportsCounts {
  SmoothQuant() = default;
  explicit SmoothQuant(SmoothQuantOptions options) : SmoothQuantBase(std::move(options)) {}
  SmoothQuant(SmoothQuantOptions options, QuantizeContext context)
      : SmoothQuantBase(std::move(options)), context(std::move(context)) {}

  SmallVector<Count> counts() const override { return {{"sites-scaled", scaled}, {"sites-left", left}}; }

  void runOnOperation() override {
    scaled = left = 0;
    if (failed(emitFailure(getOperation().getLoc(), scaleModel(), "nothing was written")))
      signalPassFailure();
  }

  /// What is asked of the model's weights, if anything is said of that; with what the options say in a recipe's place.
  Result<std::optional<Recipe>> readSettings(SmoothQuantSettings &settings) {
    std::optional<Recipe> wanted;
    if (!context.leavesToOptions(recipe) || !scheme.empty()) {
      Result<Recipe> read =
          chooseRecipe({scheme, head, std::vector<std::string>(keep.begin(), keep.end())}, recipe, context.parsed);
      if (!read)
        return read.takeError();
      wanted = std::move(*read);
    } else if (!head.empty() || !keep.empty()) {
      return usageError("expected a scheme beside head and keep").withNext("say for example scheme=w8a8:channel");
    }
    if (!context.leavesToOptions(recipe)) {
      if (!wanted->smoothQuant)
        return usageError("expected a recipe with a section smooth_quant", recipe)
            .withNext("add smooth_quant: {}, or leave this pass out");
      if (Status status = checkRecipeSaysAll(*this, recipe); !status)
        return status.takeError();
      settings = *wanted->smoothQuant;
      return wanted;
    }
    auto allowed = [](double value) { return value >= 0 && value <= 1; };
    if (!allowed(alpha) || !llvm::all_of(alphas, allowed))
      return usageError("expected an alpha from 0 to 1");
    if (!alphas.empty() && alphas.size() != sites.size())
      return usageError("expected an alpha for each of " + std::to_string(sites.size()) + " sites, but got " +
                        std::to_string(alphas.size()))
          .withNext("say for example sites=attention-input,mlp-input alphas=0.5,0.7");
    if (!alphas.empty() && alpha.hasValue())
      return usageError("expected either alpha, of all sites that are scaled, or alphas, of each, but got both")
          .withNext("leave alpha out");
    settings = {alpha, {sites.begin(), sites.end()}, {alphas.begin(), alphas.end()}};
    return wanted;
  }

  Status scaleModel() {
    if (Status status = checkStageOrder(getOperation(), QuantizationStage::Scaling, "smooth-quant"); !status)
      return status;
    SmoothQuantSettings settings;
    Result<std::optional<Recipe>> wanted = readSettings(settings);
    if (!wanted)
      return wanted.takeError();
    Selection selection;
    TargetsByUser targets;
    if (*wanted) {
      Result<Selection> selected = selectTargets(getOperation(), **wanted, Ledger());
      if (!selected)
        return selected.takeError();
      selection = std::move(*selected);
      targets = targetsByUser(selection.targets);
    }
    Result<ScaleStage> stage = ScaleStage::begin(getOperation(), {.algorithm = "smooth_quant",
                                                                  .statistics = statistics,
                                                                  .overlay = overlay,
                                                                  .directory = directory,
                                                                  .kinds = settings.sites,
                                                                  .targets = *wanted ? &targets : nullptr,
                                                                  .needsGram = false,
                                                                  .context = context});
    if (!stage)
      return stage.takeError();
    Status status = settings.searches() ? search(**wanted, targets, settings, *stage) : scaleAll(settings, *stage);
    if (!status)
      return status;
    scaled = stage->scaledSites(), left = stage->leftSites();
    return stage->finish();
  }

  /// Every site by the α that is given.
  Status scaleAll(const SmoothQuantSettings &settings, ScaleStage &stage) {
    for (const ScaleSite &site : stage.sites())
      if (Status status = stage.visit(site, [&] { return scaleBy(stage, site, *settings.alphaOf(site.kind())); });
          !status)
        return status;
    return {};
  }

  Status scaleBy(ScaleStage &stage, const ScaleSite &site, double given) {
    Result<ScaleStage::Calibrated> calibrated = stage.calibrated(site);
    if (!calibrated)
      return calibrated.takeError();
    return stage.add(site,
                     smoothQuantScale(greatestInputs(site, *calibrated), greatestWeights(site, *calibrated), given),
                     {{"alpha", given}});
  }

  /// Sites in the order in which the model makes them, those with an α of their own among them.
  Status search(const Recipe &wanted, const TargetsByUser &targets, const SmoothQuantSettings &settings,
                ScaleStage &stage) {
    llvm::DenseMap<Value, const ScaleSite *> siteOf;
    llvm::DenseSet<Value> watched;
    for (const ScaleSite &site : stage.sites())
      siteOf[site.value] = &site, watched.insert(site.value);
    const StatisticsArchive &archive = stage.archive();
    Result<SearchedTokens> tokens = SearchedTokens::some(archive.samples(), archive.header().length);
    if (!tokens)
      return tokens.takeError();
    return forEachSite(getOperation(), directory, *tokens, watched, [&](Value value, MatrixView rows) -> Status {
      const ScaleSite &site = *siteOf.at(value);
      std::optional<double> given = settings.alphaOf(site.kind());
      return stage.visit(site, [&] {
        return given ? scaleBy(stage, site, *given) : scaleBest(stage, site, targets, rows, wanted.activationRange);
      });
    });
  }

  Status scaleBest(ScaleStage &stage, const ScaleSite &site, const TargetsByUser &targets, MatrixView rows,
                   const ActivationRangeOptions &staticRange) {
    Result<ScaleStage::Calibrated> calibrated = stage.calibrated(site);
    if (!calibrated)
      return calibrated.takeError();
    std::vector<SmoothQuantLinear> linears;
    for (auto [i, reader] : llvm::enumerate(site.readers))
      if (const QuantizationTarget *target = targets.lookup(reader))
        linears.push_back({calibrated->weights[i].values, calibrated->rows(i), target->scheme});
    std::vector<float> inputs = greatestInputs(site, *calibrated), weights = greatestWeights(site, *calibrated);
    SmoothQuantInputs searched{rows, inputs, weights, site.factorsOfChannels(), staticRange};
    Result<SmoothQuantChoice> best = searchSmoothQuantScale(linears, searched, qopt::parallelFor(&getContext()));
    if (!best)
      return best.takeError();
    if (best->factor.empty())
      return stage.leave(site, {{"gain", 1}});
    return stage.add(site, std::move(best->factor),
                     {{"alpha", best->alpha}, {"gain", best->error / best->unscaledError}});
  }

  QuantizeContext context;
  int64_t scaled = 0, left = 0;
};
} // namespace

std::unique_ptr<Pass> qopt::createSmoothQuant(SmoothQuantOptions options, QuantizeContext context) {
  return std::make_unique<SmoothQuant>(std::move(options), std::move(context));
}
