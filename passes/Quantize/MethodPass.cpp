// See MethodPass.h.
#include "passes/Quantize/MethodPass.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/NearestName.h"
#include "lib/Parameters/Diagnostics.h"
#include "passes/Quantize/NearestRounding.h"

#include <algorithm>
#include <iterator>
#include <map>

using namespace mlir;
using namespace qopt;

using MethodFactory = std::function<std::unique_ptr<MethodPass>()>;

/// MLIR's registry of passes is global too, and has no list of its names for a message.
static std::map<std::string, MethodFactory> &methods() {
  static std::map<std::string, MethodFactory> registered;
  return registered;
}

void qopt::registerMethod(const MethodFactory &create) {
  std::string name = create()->getArgument().str();
  methods().try_emplace(std::move(name), create);
}

std::vector<std::string> qopt::registeredMethods() {
  std::vector<std::string> names;
  for (const auto &[name, create] : methods())
    names.push_back(name);
  return names;
}

std::unique_ptr<MethodPass> qopt::createMethodPass(const std::string &name) {
  auto found = methods().find(name);
  return found == methods().end() ? nullptr : found->second();
}

void MethodPass::take(Inputs inputs) {
  scheme = inputs.scheme, head = inputs.head, recipe = inputs.recipe, statistics = inputs.statistics;
  overlay = inputs.overlay, directory = inputs.directory;
  keep = inputs.keep, absorb = inputs.absorb;
  context = std::move(inputs.context);
}

Status MethodPass::set(const std::string &option, const std::string &value) {
  std::string method = getArgument().str();
  std::vector<std::pair<std::string, std::string>> known = settings();
  if (llvm::none_of(known, [&](const auto &setting) { return setting.first == option; })) {
    NearestName nearest(option);
    std::string list;
    for (const auto &[name, standing] : known) {
      nearest.consider(name);
      list += (list.empty() ? "" : ", ") + name;
    }
    auto near = nearest.found();
    return usageError("expected a setting that " + method + " has (" + list + "), but got \"" +
                      escapeForMessage(option) + "\"")
        .withNext(near ? "write \"" + std::string(*near) + "\" if that is meant" : "remove the key");
  }
  auto refused = [&] {
    return usageError("expected a value that " + option + " of " + method + " takes, but got \"" +
                      escapeForMessage(value) + "\"");
  };
  if (value.find_first_of("{}'\"") != std::string::npos)
    return refused().withNext("write it without braces and quotes");
  std::string message;
  LogicalResult parsed = initializeOptions(option + "={" + value + "}", [&](const Twine &text) {
    message = text.str();
    return failure();
  });
  if (failed(parsed))
    return refused().withNext(message.empty() ? "see the description of the pass" : escapeForMessage(message));
  return {};
}

SmallVector<ReportsCounts::Count> MethodPass::counts() const {
  return {{"weights-quantized", quantized},
          {"weights-rounded-to-nearest", nearest},
          {"ops-rewritten", rewritten},
          {"parameters-erased", erased}};
}

void MethodPass::getDependentDialects(DialectRegistry &registry) const {
  registry.insert<lowbit::LowBitDialect, transformer::TransformerDialect>();
}

void MethodPass::runOnOperation() {
  quantized = nearest = rewritten = erased = 0;
  if (failed(emitFailure(getOperation().getLoc(), quantizeModel(), "nothing was written")))
    signalPassFailure();
}

Result<Recipe> MethodPass::getRecipe() {
  std::string method = getArgument().str();
  Result<Recipe> wanted = chooseRecipe({scheme, head, {keep.begin(), keep.end()}, method}, recipe, context.parsed);
  if (!wanted)
    return wanted;
  if (!wanted->plugin || wanted->plugin->name != method)
    return usageError("expected a recipe with method: " + method + ", but it has none", recipe)
        .withNext("add the method, or use the pass of the recipe's own");
  if (context.leavesToOptions(recipe)) {
    wanted->plugin->settings = settings();
    return wanted;
  }
  if (!tookSettings)
    if (Status status = checkRecipeSaysAll(*this, *createMethodPass(method), recipe); !status)
      return status.takeError();
  tookSettings = true;
  for (const auto &[option, value] : wanted->plugin->settings)
    if (Status status = set(option, value); !status)
      return status.takeError().in(recipe);
  return wanted;
}

Status MethodPass::quantizeModel() {
  Result<Recipe> wanted = getRecipe();
  if (!wanted)
    return wanted.takeError();
  if (Status status = checkSettings(); !status)
    return status;
  Result<std::optional<ModelStatistics>> opened =
      ModelStatistics::openIf(wanted->needsStatistics(), getOperation(), statistics, directory);
  if (!opened)
    return opened.takeError();
  model = std::move(*opened);
  Result<QuantizationRun> run = QuantizationRun::begin(
      getOperation(), *wanted,
      QuantizationRun::Options::of(overlay, directory, *absorb, context, model ? &model->archive() : nullptr));
  if (!run)
    return run.takeError();
  for (QuantizationTarget &target : run->targets()) {
    bool own = target.method == Method::Plugin;
    ++(own ? quantized : nearest);
    if (own ? needsStatistics() : model && needsHessian(rangeOf(target, wanted->nearestRange)))
      run->row(target).tokens = model->tokens();
    if (own)
      if (Status status = prepare(*run, target); !status)
        return status.takeError().in("parameter @" + target.parameter.getSymName().str());
  }
  Result<QuantizationRun::Finished> finished = run->quantizeAll(
      [&](QuantizationTarget &target) {
        return target.method == Method::Plugin ? quantize(*run, target)
                                               : roundToNearest(*run, target, wanted->nearestRange, modelStatistics());
      },
      context);
  if (!finished)
    return finished.takeError();
  rewritten = finished->rewritten, erased = finished->erased;
  return {};
}
