// GPTQ, with Hessians of the model as it was calibrated, or as it becomes.
//
// One Hessian serves all linears that read the same value: it is factored once, and dropped before the next. What is
// written and rewritten is QuantizationRun's business; the arithmetic is lib/Algorithms/Gptq.h.
#include "passes/Quantize/Passes.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Parameters/Diagnostics.h"
#include "passes/Quantize/ModelFollower.h"
#include "passes/Quantize/NearestRounding.h"
#include "passes/Quantize/PassSettings.h"
#include "passes/Support/PassCounts.h"

#include <mutex>

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEGPTQ
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

/// What the ledger says of a weight that GPTQ has refused.
static constexpr const char *kFallback = "round to nearest, where gptq refused";

/// Inputs that a remark names one by one.
static constexpr size_t kNamedInputs = 8;

/// Says which inputs of a linear GPTQ has left out, because no token has touched them.
static void remarkDeadInputs(transformer::ParameterOp weight, std::span<const int32_t> dead) {
  InFlightDiagnostic remark = mlir::emitRemark(weight.getLoc());
  remark << "no token has touched " << static_cast<int64_t>(dead.size()) << " inputs of @" << weight.getSymName()
         << ", which are rounded to nearest: ";
  llvm::interleaveComma(dead.first(std::min(dead.size(), kNamedInputs)), remark);
  if (dead.size() > kNamedInputs)
    remark << ", …";
}

namespace {
struct QuantizeGptq : qopt::impl::QuantizeGptqBase<QuantizeGptq>, qopt::ReportsCounts {
  QuantizeGptq() = default;
  explicit QuantizeGptq(QuantizeGptqOptions options) : QuantizeGptqBase(std::move(options)) {}
  QuantizeGptq(QuantizeGptqOptions options, QuantizeContext context)
      : QuantizeGptqBase(std::move(options)), context(std::move(context)) {}

  SmallVector<Count> counts() const override {
    return {{"weights-quantized", quantized},
            {"hessians-factored", factored},
            {"weights-fallen-back", fallenBack},
            {"ops-rewritten", rewritten},
            {"parameters-erased", erased}};
  }

  void runOnOperation() override {
    quantized = factored = fallenBack = rewritten = erased = done = 0;
    if (failed(emitFailure(getOperation().getLoc(), quantizeModel(), "nothing was written")))
      signalPassFailure();
  }

  Result<Recipe> getRecipe() {
    RecipeOptions given{scheme, head, std::vector<std::string>(keep.begin(), keep.end()), "gptq"};
    Result<Recipe> wanted = chooseRecipe(given, recipe, context.parsed);
    if (wanted && wanted->plugin)
      return usageError("expected a recipe for gptq and round to nearest, but it asks for " + wanted->plugin->name,
                        recipe)
          .withNext("use --" + wanted->plugin->name);
    if (!wanted)
      return wanted;
    if (!wanted->uses(Method::Gptq))
      return usageError("expected a recipe with method: gptq, but it has none", recipe)
          .withNext("add the method, or use --quantize-rtn");
    if (Status status = checkRecipeSaysAll(*this, recipe, "max-fallback"); !status)
      return status.takeError();
    if (context.leavesToOptions(recipe))
      wanted->gptq = gptqOptions(), wanted->inputs = inputs;
    return wanted;
  }

  GptqOptions gptqOptions() {
    GptqOptions wanted = defaultGptqOptions();
    wanted.activationOrder = order == ColumnOrder::Activation;
    wanted.scales = scales;
    wanted.range = RangeOptions::of(range);
    wanted.shrink = shrink;
    if (!damping.empty())
      wanted.damping.assign(damping.begin(), damping.end());
    return wanted;
  }

  Status quantizeModel() {
    Result<Recipe> wanted = getRecipe();
    if (!wanted)
      return wanted.takeError();
    if (Status status = wanted->gptq.validate(); !status)
      return status;
    how = wanted->gptq, nearestRange = wanted->nearestRange;
    if (maxFallback < 0)
      return usageError("expected max-fallback to be a number of linears, but got " + std::to_string(maxFallback));
    allowedFallbacks = std::max<int64_t>(maxFallback, wanted->maxFallback);
    Result<ModelStatistics> opened = ModelStatistics::open(getOperation(), statistics, directory);
    if (!opened)
      return opened.takeError();
    model.emplace(std::move(*opened));
    Result<QuantizationRun> run = QuantizationRun::begin(
        getOperation(), *wanted, QuantizationRun::Options::of(overlay, directory, *absorb, context, &model->archive()));
    if (!run)
      return run.takeError();
    total = run->totalElements();
    for (QuantizationTarget &target : run->targets()) {
      if (target.method != Method::Gptq) {
        run->row(target).tokens = nearestTokens(target);
        continue;
      }
      run->row(target).tokens = model->tokens();
      // The overlay's header is written for the longest that the ledger can become.
      run->row(target).silentInputs = target.type().getDimSize(1);
      if (allowedFallbacks > 0)
        run->row(target).algorithm = kFallback;
    }
    Status status = wanted->inputs == HessianInputs::Quantized ? followModel(*run) : useArchive(*run);
    if (!status)
      return status;
    quantized = static_cast<int64_t>(run->targets().size());
    Result<QuantizationRun::Finished> finished = run->finish(context.outputs);
    if (!finished)
      return finished.takeError();
    rewritten = finished->rewritten, erased = finished->erased;
    return {};
  }

  /// With the Hessians of the model as it was calibrated.
  Status useArchive(QuantizationRun &run) {
    // Linears that share a Hessian, and those that need none.
    std::vector<std::pair<ModelStatistics::Inputs, std::vector<QuantizationTarget *>>> groups;
    std::vector<QuantizationTarget *> nearest;
    for (QuantizationTarget &target : run.targets()) {
      if (target.method != Method::Gptq) {
        nearest.push_back(&target);
        continue;
      }
      Result<ModelStatistics::Inputs> inputs = model->inputsOf(target.parameter, run.parameters());
      if (!inputs)
        return inputs.takeError();
      auto found = llvm::find_if(groups, [&](const auto &group) { return group.first == *inputs; });
      if (found == groups.end())
        groups.emplace_back(std::move(*inputs), std::vector<QuantizationTarget *>{&target});
      else
        found->second.push_back(&target);
    }
    if (llvm::any_of(run.targets(), [](const QuantizationTarget &target) {
          return target.method == Method::Gptq && target.scheme.activations != ActivationKind::F32 &&
                 target.scheme.activations != ActivationKind::BF16;
        }))
      emitWarning(
          getOperation().getLoc(),
          "Hessians of statistics are those of inputs before they are rounded to 8 bits; inputs=quantized takes "
          "them after");
    if (Status status = run.startOverlay(); !status)
      return status;
    for (const auto &[inputs, targets] : groups) {
      ModelStatistics::Hessian hessian = model->hessianOf(inputs);
      if (Status status = quantizeLinears(run, {hessian.values, model->tokens(), inputs.site->name, targets}, false);
          !status)
        return status;
      model->archive().drop(*inputs.site);
    }
    return roundAllToNearest(run, nearest, false);
  }

  /// With Hessians of the model as it becomes, over the archive's samples.
  Status followModel(QuantizationRun &run) {
    if (Status status = run.startOverlay(); !status)
      return status;
    ModelFollower::Options options;
    options.tokens = model->archive().samples(), options.length = model->archive().header().length;
    Result<ModelFollower> follower = ModelFollower::create(getOperation(), run, options);
    if (!follower)
      return follower.takeError();
    Status status = follower->follow([&](FollowedStage &stage) -> Status {
      std::vector<QuantizationTarget *> calibrated, nearest;
      for (QuantizationTarget *target : stage.targets)
        (target->method == Method::Gptq ? calibrated : nearest).push_back(target);
      if (!calibrated.empty())
        if (Status status = quantizeLinears(run, {stage.hessian, stage.tokens, stage.site, calibrated}, true); !status)
          return status;
      return roundAllToNearest(run, nearest, true);
    });
    if (!status)
      return status;
    std::vector<QuantizationTarget *> left = follower->left();
    for (QuantizationTarget *target : left)
      if (target->method == Method::Gptq)
        return badInput("expected linears over tokens to be quantized by gptq, but this one is over the wanted rows",
                        "parameter @" + target->parameter.getSymName().str())
            .withNext("round it to nearest (method: rtn)");
    return roundAllToNearest(run, left, false);
  }

  /// Linears that share a Hessian : [inputs, inputs] of `tokens` tokens; `site` is for messages.
  struct Linears {
    std::span<const float> hessian;
    int64_t tokens;
    const std::string &site;
    ArrayRef<QuantizationTarget *> targets;
  };

  /// `follow`: the results are needed by what comes next.
  Status quantizeLinears(QuantizationRun &run, const Linears &linears, bool follow) {
    SmallVector<QuantizationTarget *> targets;
    for (QuantizationTarget *target : linears.targets) {
      if (!run.isFinished(*target)) {
        targets.push_back(target);
        continue;
      }
      if (Status status = run.takeFinished(*target, follow); !status)
        return status;
      fallenBack += run.row(*target).algorithm == kFallback;
      note(run, *target);
    }
    if (targets.empty())
      return {};
    int64_t inputs = targets.front()->type().getDimSize(1);
    Result<Gptq> gptq = Gptq::create(linears.hessian, inputs, linears.tokens, how);
    if (!gptq) {
      Error error = gptq.takeError().in("inputs of @" + escapeForMessage(linears.site));
      fallenBack += static_cast<int64_t>(targets.size());
      if (error.errorClass != ErrorClass::Gate)
        return error;
      if (fallenBack > allowedFallbacks) {
        if (allowedFallbacks > 0)
          error.rule += "; that makes " + std::to_string(fallenBack) + " linears to round to nearest, and " +
                        std::to_string(allowedFallbacks) + " may be";
        return error;
      }
      for (QuantizationTarget *target : targets) {
        run.row(*target).tokens = nearestTokens(*target), run.row(*target).silentInputs = 0;
        run.row(*target).algorithm = kFallback;
        emitWarning(target->parameter.getLoc())
            << "@" << target->parameter.getSymName() << " is rounded to nearest: " << error.rule;
      }
      return roundAllToNearest(run, targets, follow);
    }
    ++factored;
    if (!gptq->deadInputs().empty())
      remarkDeadInputs(targets.front()->parameter, gptq->deadInputs());
    for (QuantizationTarget *target : targets) {
      RangeOptions range = RangeOptions::of(rangeOf(*target, how.range.rule));
      std::mutex sumsMutex;
      // Sums of chunks in the order of their rows: the same digits for any number of threads.
      std::map<int64_t, GptqErrors> sums;
      Status status = run.quantize(
          *target,
          [&](int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out) -> Status {
            GptqErrors errors;
            if (Status rounded = gptq->quantizeRows(target->scheme.weights, range, rows, weights, out, errors, first);
                !rounded)
              return rounded;
            std::lock_guard<std::mutex> lock(sumsMutex);
            sums[first] = errors;
            return {};
          },
          {.chunkRows = Gptq::rowsPerChunk, .keep = follow, .complete = [&](LedgerRow &row) {
             GptqErrors errors;
             for (const auto &[first, part] : sums)
               errors.trace += part.trace, errors.power += part.power;
             row.algorithm = kGptq;
             row.damping = gptq->damping();
             row.silentInputs = static_cast<int64_t>(gptq->deadInputs().size());
             row.outputError = errors.power > 0 ? errors.trace / errors.power : 0;
           }});
      if (!status)
        return status;
      note(run, *target);
    }
    return {};
  }

  Status roundAllToNearest(QuantizationRun &run, ArrayRef<QuantizationTarget *> targets, bool follow) {
    for (QuantizationTarget *target : targets) {
      if (Status status = roundToNearest(run, *target, nearestRange, &*model, follow); !status)
        return status;
      note(run, *target);
    }
    return {};
  }

  /// Those that choose the range of a weight that is rounded to nearest.
  int64_t nearestTokens(QuantizationTarget &target) {
    return needsHessian(rangeOf(target, nearestRange)) ? model->tokens() : 0;
  }

  void note(QuantizationRun &run, QuantizationTarget &target) {
    done += target.type().getNumElements();
    if (context.progress)
      context.progress(done, total, describeCost(run.row(target)));
  }

  QuantizeContext context;
  int64_t quantized = 0, factored = 0, fallenBack = 0, rewritten = 0, erased = 0, done = 0, total = 0;
  int64_t allowedFallbacks = 0;
  std::optional<ModelStatistics> model;
  GptqOptions how;
  RangeRule nearestRange = RangeRule::MinMax;
};
} // namespace

std::unique_ptr<Pass> qopt::createQuantizeGptq(QuantizeGptqOptions options, QuantizeContext context) {
  return std::make_unique<QuantizeGptq>(std::move(options), std::move(context));
}
