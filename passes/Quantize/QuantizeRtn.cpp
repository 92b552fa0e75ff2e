// Round to nearest: the plainest way from weights to codes, and the yardstick of all others.
//
// It runs on the graph as imported, before any fusion, because rules and the ledger speak of the checkpoint's own
// parameters. Weights are taken one after the other: evaluated, rounded in chunks of rows by all threads, written.
//
// What is written and rewritten is QuantizationRun's business.
//
// Limits: no activation order, no search of ranges, no calibration; codes of 4 and 8 bits.
#include "passes/Quantize/Passes.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Parameters/Diagnostics.h"
#include "passes/Quantize/ModelStatistics.h"
#include "passes/Quantize/QuantizationRun.h"
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
  QuantizeRtn(QuantizeRtnOptions options, QuantizeProgress progress, OutputSet *outputs)
      : QuantizeRtnBase(std::move(options)), progress(std::move(progress)), outputs(outputs) {}

  SmallVector<Count> counts() const override {
    return {{"weights-quantized", quantized}, {"ops-rewritten", rewritten}, {"parameters-erased", erased}};
  }

  void runOnOperation() override {
    quantized = rewritten = erased = 0;
    Status status = run();
    if (status)
      return;
    Error error = status.takeError();
    if (error.outcome.empty())
      error.outcome = "nothing was written";
    qopt::emitError(getOperation().getLoc(), error);
    signalPassFailure();
  }

  Result<Recipe> getRecipe() {
    if (recipe.empty()) {
      Result<Recipe> made = makeRecipe({scheme, head, std::vector<std::string>(keep.begin(), keep.end())});
      if (made && range == RangeRule::Hessian)
        return usageError("expected a range rule that round to nearest has, but got hessian")
            .withNext("use range=diagonal, or --quantize-gptq");
      if (made)
        made->nearestRange = range;
      return made;
    }
    if (!scheme.empty() || !head.empty() || !keep.empty())
      return usageError("expected either a recipe or scheme, head and keep, but got both")
          .withNext("say it all in the recipe");
    Result<Recipe> read = readRecipe(recipe);
    if (read && read->uses(Method::Gptq))
      return usageError("expected a recipe for round to nearest alone, but it asks for gptq", recipe)
          .withNext("use --quantize-gptq with statistics");
    return read;
  }

  Status run() {
    ModuleOp module = getOperation();
    Result<Recipe> wanted = getRecipe();
    if (!wanted)
      return wanted.takeError();
    std::optional<StatisticsArchive> archive;
    if (wanted->needsStatistics()) {
      Result<StatisticsArchive> opened = openStatistics(module, statistics);
      if (!opened)
        return opened.takeError();
      archive.emplace(std::move(*opened));
    }
    Result<QuantizationRun> run = QuantizationRun::begin(module, *wanted, {overlay, directory});
    if (!run)
      return run.takeError();
    for (QuantizationTarget &target : run->targets())
      if (archive && !target.isHead)
        run->row(target).tokens = archive->tokens();
    if (Status status = run->startOverlay(); !status)
      return status;
    int64_t total = run->totalElements(), done = 0;
    for (QuantizationTarget &target : run->targets()) {
      int64_t inputs = target.type().getDimSize(1);
      // Ranges are searched for the linears; the embedding and the head keep all of theirs.
      RangeOptions ranges;
      ranges.rule = target.isHead ? RangeRule::MinMax : wanted->nearestRange;
      std::vector<float> diagonal;
      if (ranges.rule == RangeRule::Diagonal) {
        const Site *site = archive->siteOf(target.parameter.getSymName());
        if (!site || !site->wanted.gram)
          return badInput("expected statistics with a Gram matrix for every linear to quantize, but found none",
                          "parameter @" + target.parameter.getSymName().str())
              .withNext("calibrate without --match and --no-gram, or keep this weight by a rule");
        for (int64_t i = 0; i < inputs; ++i)
          diagonal.push_back(archive->gram(*site)[i * inputs + i]);
      }
      auto nearest = [&](int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out) {
        return quantizeWithRanges(target.scheme.weights, ranges, rows, inputs, weights, diagonal, out, first);
      };
      if (Status status = run->quantize(target, nearest); !status)
        return status;
      done += target.type().getNumElements();
      if (progress)
        progress(done, total);
    }
    quantized = static_cast<int64_t>(run->targets().size());
    Result<QuantizationRun::Finished> finished = run->finish(outputs);
    if (!finished)
      return finished.takeError();
    rewritten = finished->rewritten, erased = finished->erased;
    return {};
  }

  QuantizeProgress progress;
  OutputSet *outputs = nullptr;
  int64_t quantized = 0, rewritten = 0, erased = 0;
};
} // namespace

std::unique_ptr<Pass> qopt::createQuantizeRtn(QuantizeRtnOptions options, QuantizeProgress progress,
                                              OutputSet *outputs) {
  return std::make_unique<QuantizeRtn>(std::move(options), std::move(progress), outputs);
}
