// See QuantizationRun.h. What is done to rows of weights is in QuantizationRunRows.cpp, what is done to the IR in
// QuantizationRunRewrite.cpp.
#include "passes/Quantize/QuantizationRun.h"

#include "lib/Archive/Json.h"
#include "lib/Numerics/CodePacking.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/DeclareArchive.h"
#include "lib/Parameters/ModelLedger.h"
#include "lib/Parameters/ReadParameters.h"
#include "lib/Parameters/SchemeAttributes.h"
#include "passes/Calibrate/ModelDigest.h"
#include "passes/Fold/ScalePairs.h"
#include "passes/Quantize/QuantizedTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// The parameters from the archives to absorb that are read by something else than the weights to quantize.
static SmallVector<ParameterOp> findAbsorbed(ModuleOp module, std::vector<QuantizationTarget> &targets,
                                             ArrayRef<std::string> archives) {
  llvm::DenseSet<Operation *> quantized;
  for (QuantizationTarget &target : targets)
    quantized.insert(target.parameter);
  SmallVector<Operation *> functions(module.getOps<func::FuncOp>());
  llvm::SetVector<Operation *> needed =
      parametersReadBy(module, functions, [&](Operation *parameter) { return quantized.contains(parameter); });
  SmallVector<ParameterOp> absorbed;
  for (Operation *op : needed)
    if (auto source = cast<ParameterOp>(op).getSource();
        source && llvm::is_contained(archives, source->getArchive().getValue()))
      absorbed.push_back(cast<ParameterOp>(op));
  return absorbed;
}

/// The tensors of the overlay, in the order in which they are written.
static std::vector<TensorDeclaration> declareTensors(std::vector<QuantizationTarget> &targets,
                                                     ArrayRef<ParameterOp> absorbed) {
  std::vector<TensorDeclaration> tensors;
  for (QuantizationTarget &target : targets) {
    QuantizedTypes types = QuantizedTypes::of(target);
    std::string name = target.parameter.getSymName().str();
    std::vector<int64_t> codes = types.codes.getShape(), groups = types.scales.getShape();
    codes.back() = static_cast<int64_t>(*packedCodeBytes(target.scheme.weights.bits, codes.back()));
    tensors.push_back({name + ".codes", ElementFormat::U8, codes});
    tensors.push_back({name + ".scales", target.scheme.weights.scale, groups});
    if (types.zeros)
      tensors.push_back({name + ".zeros", ElementFormat::U8, groups});
  }
  for (ParameterOp parameter : absorbed) {
    auto type = cast<RankedTensorType>(parameter.getType());
    tensors.push_back({parameter.getSymName().str(), scaleFormat(type.getElementType()), type.getShape()});
  }
  return tensors;
}

std::string qopt::describeCost(const LedgerRow &row) {
  std::string text = llvm::formatv("{0}: error {1}", row.name, llvm::format("%.1e", row.relativeError));
  if (row.outputError > 0)
    text += llvm::formatv(", output {0}, damping {1}", llvm::format("%.1e", row.outputError),
                          llvm::format("%g", row.damping));
  return text;
}

Result<QuantizationRun> QuantizationRun::begin(ModuleOp module, const Recipe &recipe, const Options &options) {
  QuantizationRun run(module, options);
  auto evaluator = ParameterEvaluator::open(module, options.directory);
  if (!evaluator)
    return evaluator.takeError();
  run.evaluator = std::move(*evaluator);
  Result<std::optional<Ledger>> previous = findLedger(module, *run.evaluator);
  if (!previous)
    return previous.takeError();
  Result<Selection> selection = selectTargets(module, recipe, previous->value_or(Ledger()));
  if (!selection)
    return selection.takeError();
  run.selection = std::move(*selection);
  for (QuantizationTarget &target : run.selection.targets)
    run.row(target).algorithm = target.method == Method::Plugin ? recipe.plugin->name
                                : target.method == Method::Gptq ? kGptq
                                                                : kRoundToNearest;
  run.overlayPath = pathInIR(options.overlay, options.directory);
  if (Status status = checkArchiveToWrite(module, options.overlay, options.directory); !status)
    return status.takeError();
  for (const std::string &file : options.absorb)
    for (ArchiveOp op : module.getOps<ArchiveOp>())
      if (pathInIR(resolvePath(op.getPath(), options.directory), options.directory) ==
          pathInIR(file, options.directory))
        run.absorbedArchives.push_back(op.getSymName().str());
  Result<std::string> model = modelDigest(module, options.directory);
  if (!model)
    return model.takeError();
  run.provenance = {{"version", 1},
                    {"qopt", QOPT_VERSION},
                    {"model", *model},
                    {"recipe", options.recipe.empty() ? printRecipe(recipe) : options.recipe}};
  if (!options.gateTexts.is_null())
    run.provenance["gate_texts"] = options.gateTexts;
  if (options.recipe.empty() && !recipe.gates.empty())
    emitWarning(module.getLoc(),
                "the recipe's gates are not judged by a pass alone; 'qopt quantize' and 'qopt build' judge them");
  for (auto tokenizer : module.getOps<TokenizerOp>())
    run.provenance["tokenizer"] = tokenizer.getDigest().str();
  if (options.statistics) {
    Result<std::string> digest = options.statistics->digest();
    if (!digest)
      return digest.takeError();
    run.provenance["statistics"] = {{"digest", *digest}, {"key", options.statistics->header().key}};
  }
  for (const std::string &archive : run.absorbedArchives)
    if (auto scales = run.evaluator->archive(archive)->metadata(scalesKey)) {
      Result<nlohmann::ordered_json> found = parseJson(*scales);
      if (!found)
        return found.takeError().in(std::string(scalesKey)).in(run.evaluator->archive(archive)->path());
      run.provenance["scales"].push_back(std::move(*found));
    }
  if (Status status = run.findActivationScales(recipe); !status)
    return status.takeError();
  return run;
}

Status QuantizationRun::findActivationScales(const Recipe &recipe) {
  SmallVector<LinearOp> linears;
  for (QuantizationTarget &target : selection.targets)
    if (target.scheme.activations == ActivationKind::I8Static)
      for (Operation *user : target.users)
        if (auto linear = dyn_cast<LinearOp>(user))
          linears.push_back(linear);
  if (linears.empty())
    return {};
  if (!options.statistics)
    return usageError("expected statistics, whose samples static ranges of activations are taken from")
        .withNext("make them with 'qopt calibrate MODEL --text FILE -o stats.safetensors'");
  Result<ActivationScales> found =
      ActivationScales::find(module, *evaluator, linears, options.statistics->samples(),
                             options.statistics->header().length, recipe.activationRange, options.rangeProgress);
  if (!found)
    return found.takeError();
  activationScales = std::move(*found);
  for (const ActivationScales::Site &site : activationScales.sites())
    provenance["activations"].push_back(
        {{"site", site.name}, {"scale", site.scale}, {"greatest", site.greatest}, {"clamped", site.clamped}});
  return {};
}

std::optional<float> QuantizationRun::activationScaleOf(Operation *op) const {
  std::optional<size_t> site = activationScales.siteOf(op);
  return site ? std::optional<float>(activationScales.sites()[*site].scale) : std::nullopt;
}

int64_t QuantizationRun::totalElements() {
  int64_t total = 0;
  for (QuantizationTarget &target : selection.targets)
    total += target.type().getNumElements();
  return total;
}

Status QuantizationRun::startOverlay() {
  absorbed = findAbsorbed(module, selection.targets, absorbedArchives);
  Result<OverlayWriter> created =
      OverlayWriter::create(options.overlay, declareTensors(selection.targets, absorbed), selection.ledger, provenance);
  if (!created)
    return created.takeError();
  writer.emplace(std::move(*created));
  for (ParameterOp parameter : absorbed) {
    Result<HostTensor> values = evaluator->evaluate(parameter);
    if (!values)
      return values.takeError();
    if (Status status = writer->write(parameter.getSymName(), 0, values->bytes); !status)
      return status;
  }
  return {};
}

Result<QuantizationRun::Finished>
QuantizationRun::quantizeAll(llvm::function_ref<Status(QuantizationTarget &)> quantizer,
                             const QuantizeContext &context) {
  if (Status status = startOverlay(); !status)
    return status.takeError();
  int64_t total = totalElements(), done = 0;
  for (QuantizationTarget &target : targets()) {
    Status status = isFinished(target) ? takeFinished(target, /*keep=*/false) : quantizer(target);
    if (!status)
      return status.takeError();
    done += target.type().getNumElements();
    if (context.progress)
      context.progress(done, total, describeCost(row(target)));
  }
  return finish(context.outputs);
}
