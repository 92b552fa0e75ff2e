// GPTQ with statistics of the model as it was calibrated.
//
// One Hessian serves all linears that read the same value: it is factored once, and dropped before the next. What is
// written and rewritten is QuantizationRun's business; the arithmetic is lib/Algorithms/Gptq.h.
#include "passes/Quantize/Passes.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Parameters/Diagnostics.h"
#include "passes/Calibrate/ModelDigest.h"
#include "passes/Quantize/QuantizationRun.h"
#include "passes/Support/PassCounts.h"

#include "llvm/ADT/MapVector.h"

#include <mutex>

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEGPTQ
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

/// What the ledger says of a weight that GPTQ has refused.
static constexpr const char *kFallback = "round to nearest, where gptq refused";

namespace {
struct QuantizeGptq : qopt::impl::QuantizeGptqBase<QuantizeGptq>, qopt::ReportsCounts {
  QuantizeGptq() = default;
  explicit QuantizeGptq(QuantizeGptqOptions options) : QuantizeGptqBase(std::move(options)) {}
  QuantizeGptq(QuantizeGptqOptions options, QuantizeProgress progress, OutputSet *outputs)
      : QuantizeGptqBase(std::move(options)), progress(std::move(progress)), outputs(outputs) {}

  SmallVector<Count> counts() const override {
    return {{"weights-quantized", quantized},
            {"hessians-factored", factored},
            {"weights-fallen-back", fallenBack},
            {"ops-rewritten", rewritten},
            {"parameters-erased", erased}};
  }

  void runOnOperation() override {
    quantized = factored = fallenBack = rewritten = erased = done = 0;
    Status status = quantizeModel();
    if (status)
      return;
    Error error = status.takeError();
    if (error.outcome.empty())
      error.outcome = "nothing was written";
    qopt::emitError(getOperation().getLoc(), error);
    signalPassFailure();
  }

  Result<Recipe> getRecipe() {
    if (recipe.empty())
      return fromOptions();
    if (!scheme.empty() || !head.empty() || !keep.empty())
      return usageError("expected either a recipe or scheme, head and keep, but got both")
          .withNext("say it all in the recipe");
    return readRecipe(recipe);
  }

  Result<Recipe> fromOptions() {
    Result<Recipe> made = makeRecipe({scheme, head, std::vector<std::string>(keep.begin(), keep.end()), "gptq"});
    if (made)
      made->gptq = gptqOptions();
    return made;
  }

  GptqOptions gptqOptions() {
    GptqOptions wanted = defaultGptqOptions();
    wanted.activationOrder = order == ColumnOrder::Activation;
    wanted.scales = scales;
    wanted.range.rule = range;
    wanted.shrink = shrink;
    if (!damping.empty())
      wanted.damping.assign(damping.begin(), damping.end());
    return wanted;
  }

  Result<StatisticsArchive> openStatistics() {
    if (statistics.empty())
      return usageError("expected statistics")
          .withNext("make them with 'qopt calibrate MODEL --text FILE -o stats.safetensors'");
    Result<StatisticsArchive> archive = StatisticsArchive::open(statistics);
    if (!archive)
      return archive;
    std::string wanted = modelDigest(getOperation()), got = archive->header().key.value("model", "");
    if (wanted != got)
      return badInput("expected statistics of this model, " + wanted + ", but got those of " + escapeForMessage(got),
                      escapeForMessage(statistics, 1000))
          .withNext("calibrate this model, or quantize the one that was calibrated");
    return archive;
  }

  Status quantizeModel() {
    Result<Recipe> wanted = getRecipe();
    if (!wanted)
      return wanted.takeError();
    const GptqOptions &how = wanted->gptq;
    if (Status status = how.validate(); !status)
      return status;
    Result<StatisticsArchive> archive = openStatistics();
    if (!archive)
      return archive.takeError();
    Result<QuantizationRun> run = QuantizationRun::begin(getOperation(), *wanted, {overlay, directory});
    if (!run)
      return run.takeError();
    // Linears by the site whose Hessian they share; those without one by none.
    llvm::MapVector<const Site *, SmallVector<QuantizationTarget *>> bySite;
    for (QuantizationTarget &target : run->targets()) {
      const Site *site = target.method == Method::Gptq ? archive->siteOf(target.parameter.getSymName()) : nullptr;
      if (target.method == Method::Gptq && (!site || !site->wanted.gram))
        return badInput("expected statistics with a Gram matrix for every linear to quantize, but found none",
                        "parameter @" + target.parameter.getSymName().str())
            .withNext("calibrate without --match and --no-gram, or keep this weight by a rule");
      bySite[site].push_back(&target);
      if (!site)
        continue;
      run->row(target).tokens = archive->tokens();
      // The overlay's header is written for the longest that the ledger can become.
      if (maxFallback > 0)
        run->row(target).algorithm = kFallback;
    }
    if (Status status = run->startOverlay(); !status)
      return status;
    int64_t total = run->totalElements();
    for (auto &[site, targets] : bySite) {
      Status status =
          site ? quantizeSite(*run, *archive, *site, targets, how, total) : roundToNearest(*run, targets, total);
      if (!status)
        return status;
    }
    quantized = static_cast<int64_t>(run->targets().size());
    Result<QuantizationRun::Finished> finished = run->finish(outputs);
    if (!finished)
      return finished.takeError();
    rewritten = finished->rewritten, erased = finished->erased;
    return {};
  }

  Status quantizeSite(QuantizationRun &run, const StatisticsArchive &archive, const Site &site,
                      ArrayRef<QuantizationTarget *> targets, const GptqOptions &how, int64_t total) {
    Result<Gptq> gptq = Gptq::create(archive.gram(site), site.channels, archive.tokens(), how);
    if (!gptq) {
      Error error = gptq.takeError().in("site " + escapeForMessage(site.name));
      fallenBack += static_cast<int64_t>(targets.size());
      if (error.errorClass != ErrorClass::Gate || fallenBack > maxFallback)
        return error;
      for (QuantizationTarget *target : targets) {
        run.row(*target).tokens = 0;
        run.row(*target).algorithm = kFallback;
        emitWarning(target->parameter.getLoc())
            << "@" << target->parameter.getSymName() << " is rounded to nearest: " << error.rule;
      }
      return roundToNearest(run, targets, total);
    }
    ++factored;
    for (QuantizationTarget *target : targets) {
      std::mutex sumsMutex;
      // Sums of chunks in the order of their rows: the same digits for any number of threads.
      std::map<int64_t, GptqErrors> sums;
      Status status = run.quantize(
          *target,
          [&](int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out) -> Status {
            GptqErrors errors;
            if (Status rounded = gptq->quantizeRows(target->scheme.weights, rows, weights, out, errors, first);
                !rounded)
              return rounded;
            std::lock_guard<std::mutex> lock(sumsMutex);
            sums[first] = errors;
            return {};
          },
          Gptq::rowsPerChunk);
      if (!status)
        return status;
      GptqErrors errors;
      for (const auto &[first, part] : sums)
        errors.trace += part.trace, errors.power += part.power;
      LedgerRow &row = run.row(*target);
      row.algorithm = kGptq;
      row.damping = gptq->damping();
      row.outputError = errors.power > 0 ? errors.trace / errors.power : 0;
      note(*target, total);
    }
    archive.drop(site);
    return {};
  }

  Status roundToNearest(QuantizationRun &run, ArrayRef<QuantizationTarget *> targets, int64_t total) {
    for (QuantizationTarget *target : targets) {
      int64_t inputs = target->type().getDimSize(1);
      auto nearest = [&](int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out) {
        return quantizeRoundToNearest(target->scheme.weights, rows, inputs, weights, out, first);
      };
      if (Status status = run.quantize(*target, nearest); !status)
        return status;
      note(*target, total);
    }
    return {};
  }

  void note(QuantizationTarget &target, int64_t total) {
    done += target.type().getNumElements();
    if (progress)
      progress(done, total);
  }

  QuantizeProgress progress;
  OutputSet *outputs = nullptr;
  int64_t quantized = 0, factored = 0, fallenBack = 0, rewritten = 0, erased = 0, done = 0;
};
} // namespace

std::unique_ptr<Pass> qopt::createQuantizeGptq(QuantizeGptqOptions options, QuantizeProgress progress,
                                               OutputSet *outputs) {
  return std::make_unique<QuantizeGptq>(std::move(options), std::move(progress), outputs);
}
