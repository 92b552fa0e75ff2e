// Round to nearest: the plainest way from weights to codes, and the yardstick of all others.
//
// It runs on the graph as imported, before any fusion, because rules and the ledger speak of the checkpoint's own
// parameters. Weights are taken one after the other: evaluated, rounded in chunks of rows by all threads, written.
// Ranges are all of a group's, or searched for least error, which may weigh inputs by calibration's statistics.
//
// What is written and rewritten is QuantizationRun's business.
#include "passes/Quantize/Passes.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Parameters/Diagnostics.h"
#include "passes/Quantize/NearestRounding.h"
#include "passes/Quantize/PassSettings.h"
#include "passes/Support/PassCounts.h"

namespace qopt {
#define GEN_PASS_DEF_QUANTIZERTN
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {
struct QuantizeRtn : qopt::impl::QuantizeRtnBase<QuantizeRtn>, qopt::ReportsCounts {
  QuantizeRtn() = default;
  explicit QuantizeRtn(QuantizeRtnOptions options) : QuantizeRtnBase(std::move(options)) {}
  QuantizeRtn(QuantizeRtnOptions options, QuantizeContext context)
      : QuantizeRtnBase(std::move(options)), context(std::move(context)) {}

  SmallVector<Count> counts() const override {
    return {{"weights-quantized", quantized}, {"ops-rewritten", rewritten}, {"parameters-erased", erased}};
  }

  void runOnOperation() override {
    quantized = rewritten = erased = 0;
    if (failed(emitFailure(getOperation().getLoc(), quantizeModel(), "nothing was written")))
      signalPassFailure();
  }

  Result<Recipe> getRecipe() {
    Result<Recipe> wanted =
        chooseRecipe({scheme, head, std::vector<std::string>(keep.begin(), keep.end())}, recipe, context.parsed);
    if (!wanted)
      return wanted;
    if (wanted->uses(Method::Gptq))
      return usageError("expected a recipe for round to nearest alone, but it asks for gptq", recipe)
          .withNext("use --quantize-gptq with statistics");
    if (wanted->plugin)
      return usageError("expected a recipe for round to nearest alone, but it asks for " + wanted->plugin->name, recipe)
          .withNext("use --" + wanted->plugin->name);
    if (Status status = checkRecipeSaysAll(*this, recipe); !status)
      return status.takeError();
    if (context.leavesToOptions(recipe))
      wanted->nearestRange = range;
    return wanted;
  }

  Status quantizeModel() {
    ModuleOp module = getOperation();
    Result<Recipe> wanted = getRecipe();
    if (!wanted)
      return wanted.takeError();
    Result<std::optional<ModelStatistics>> opened =
        ModelStatistics::openIf(wanted->needsStatistics(), module, statistics, directory);
    if (!opened)
      return opened.takeError();
    std::optional<ModelStatistics> &model = *opened;
    Result<QuantizationRun> run = QuantizationRun::begin(
        module, *wanted,
        QuantizationRun::Options::of(overlay, directory, *absorb, context, model ? &model->archive() : nullptr));
    if (!run)
      return run.takeError();
    for (QuantizationTarget &target : run->targets())
      if (model && needsHessian(rangeOf(target, wanted->nearestRange)))
        run->row(target).tokens = model->tokens();
    quantized = static_cast<int64_t>(run->targets().size());
    Result<QuantizationRun::Finished> finished =
        roundAllToNearest(*run, wanted->nearestRange, model ? &*model : nullptr, context);
    if (!finished)
      return finished.takeError();
    rewritten = finished->rewritten, erased = finished->erased;
    return {};
  }

  QuantizeContext context;
  int64_t quantized = 0, rewritten = 0, erased = 0;
};
} // namespace

std::unique_ptr<Pass> qopt::createQuantizeRtn(QuantizeRtnOptions options, QuantizeContext context) {
  return std::make_unique<QuantizeRtn>(std::move(options), std::move(context));
}
