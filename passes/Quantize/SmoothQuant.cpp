// SmoothQuant: moves what makes activations hard to round into the weights, which are easy to.
//
//   %0 = norm …                             %0 = norm …
//   %1 = transformer.linear %0, %w          %1 = transformer.linear (lowbit.scale %0 inverse), (lowbit.scale %w)
//
// The formula is lib/Algorithms/SmoothQuant.h's; which sites, which statistics and where scales go is ScaleStage.h's.
//
// Limits: α is given, not searched for.
#include "lib/Algorithms/SmoothQuant.h"

#include "lib/Parameters/Diagnostics.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/ScaleStage.h"
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

  SmallVector<Count> counts() const override { return {{"sites-scaled", scaled}}; }

  void runOnOperation() override {
    scaled = 0;
    if (failed(emitFailure(getOperation().getLoc(), scaleModel(), "nothing was written")))
      signalPassFailure();
  }

  Result<SmoothQuantSettings> settings() {
    if (!recipe.empty()) {
      Result<Recipe> read = readRecipe(recipe);
      if (!read)
        return read.takeError();
      if (!read->smoothQuant)
        return usageError("expected a recipe with a section smooth_quant", recipe)
            .withNext("add smooth_quant: {}, or leave this pass out");
      return *read->smoothQuant;
    }
    auto allowed = [](double value) { return value >= 0 && value <= 1; };
    if (!allowed(alpha) || !llvm::all_of(alphas, allowed))
      return usageError("expected an alpha from 0 to 1");
    if (!alphas.empty() && alphas.size() != sites.size())
      return usageError("expected an alpha for each of " + std::to_string(sites.size()) + " sites, but got " +
                        std::to_string(alphas.size()))
          .withNext("say for example sites=attention-input,mlp-input alphas=0.5,0.7");
    return SmoothQuantSettings{alpha, {sites.begin(), sites.end()}, {alphas.begin(), alphas.end()}};
  }

  static double alphaOf(const SmoothQuantSettings &settings, SiteKind kind) {
    if (settings.alphas.empty())
      return settings.alpha;
    return settings.alphas[llvm::find(settings.sites, kind) - settings.sites.begin()];
  }

  Status scaleModel() {
    Result<SmoothQuantSettings> wanted = settings();
    if (!wanted)
      return wanted.takeError();
    Result<ScaleStage> stage = ScaleStage::begin(getOperation(), {.algorithm = "smooth_quant",
                                                                  .statistics = statistics,
                                                                  .overlay = overlay,
                                                                  .directory = directory,
                                                                  .kinds = wanted->sites,
                                                                  .needsGram = false});
    if (!stage)
      return stage.takeError();
    for (const ScaleSite &site : stage->sites()) {
      Result<ScaleStage::Calibrated> calibrated = stage->calibrated(site);
      if (!calibrated)
        return calibrated.takeError();
      double of = alphaOf(*wanted, site.kind());
      std::vector<float> scale =
          smoothQuantScale(greatestInputs(site, *calibrated), greatestWeights(site, *calibrated), of);
      if (Status status = stage->add(site, std::move(scale), {{"alpha", of}}); !status)
        return status;
      ++scaled;
    }
    return stage->finish();
  }

  int64_t scaled = 0;
};
} // namespace
