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
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/ScaleStage.h"
#include "passes/Quantize/Selection.h"
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
    if (Status status = checkShrinkage(shrink); !status)
      return status;
    Result<Recipe> wanted = chooseRecipe({scheme, head, std::vector<std::string>(keep.begin(), keep.end())}, recipe);
    if (!wanted)
      return wanted.takeError();
    if (recipe.empty())
      wanted->awq = AwqSettings{{sites.begin(), sites.end()}, shrink};
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
                                                                  .context = context});
    if (!stage)
      return stage.takeError();
    for (const ScaleSite &site : stage->sites()) {
      Status status = stage->visit(site, [&] { return scaleSite(*stage, site, targets, wanted->awq->shrink); });
      if (!status)
        return status;
    }
    scaled = stage->scaledSites(), left = stage->leftSites();
    return stage->finish();
  }

  Status scaleSite(ScaleStage &stage, const ScaleSite &site,
                   const llvm::DenseMap<Operation *, QuantizationTarget *> &targets, double shrinkBy) {
    if (llvm::none_of(site.readers, [&](Operation *reader) { return targets.contains(reader); }))
      return {}; // all of them are kept as they are
    Result<ScaleStage::Calibrated> calibrated = stage.calibrated(site);
    if (!calibrated)
      return calibrated.takeError();
    std::vector<AwqLinear> linears;
    for (auto [i, reader] : llvm::enumerate(site.readers))
      if (const QuantizationTarget *target = targets.lookup(reader))
        linears.push_back({calibrated->weights[i].values, calibrated->rows(i), target->scheme.weights});
    int64_t channels = site.channels();
    AlignedVector<float> hessian =
        shrunkHessian({calibrated->hessian.values.data(), channels, channels, channels}, shrinkBy);
    AwqInputs inputs{hessian, calibrated->meanAbs, site.factorsOfChannels(), site.factors()};
    AwqScale best = searchAwqScale(linears, inputs, qopt::parallelFor(&getContext()));
    double gain = best.unscaledError > 0 ? best.error / best.unscaledError : 1;
    if (best.isIdentity())
      return stage.leave(site, {{"gain", 1}});
    return stage.add(site, std::move(best.factor),
                     {{"alpha", best.alpha}, {"weights", best.usesWeights}, {"gain", gain}});
  }

  QuantizeContext context;
  int64_t scaled = 0, left = 0;
};
} // namespace

std::unique_ptr<Pass> qopt::createAwq(AwqOptions options, QuantizeContext context) {
  return std::make_unique<Awq>(std::move(options), std::move(context));
}
