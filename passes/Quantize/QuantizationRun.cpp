// See QuantizationRun.h.
//
//   transformer.linear %x, %w               lowbit.linear %x, %codes, %scales
//   with @w from the checkpoint             with @w.codes, @w.scales (and @w.zeros) from the overlay
#include "passes/Quantize/QuantizationRun.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Archive/Json.h"
#include "lib/Numerics/CodePacking.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/DeclareArchive.h"
#include "lib/Parameters/ModelLedger.h"
#include "lib/Parameters/ParallelRows.h"
#include "lib/Parameters/SchemeAttributes.h"
#include "passes/Calibrate/ModelDigest.h"
#include "passes/Fold/ScalePairs.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {
/// The three parameters that a weight becomes.
struct QuantizedTypes {
  RankedTensorType codes, scales, zeros; ///< zeros: null if symmetric
};

/// What rounding has cost, summed in a fixed order.
struct ErrorSums {
  double squaredError = 0, squaredWeight = 0, worst = 0;
};
} // namespace

static QuantizedTypes typesFor(QuantizationTarget &target) {
  MLIRContext *context = target.parameter.getContext();
  RankedTensorType weight = target.type();
  const WeightScheme &scheme = target.scheme.weights;
  SmallVector<int64_t> groups{weight.getDimSize(0), scheme.groupsPerRow(weight.getDimSize(1))};
  auto integer = [&](unsigned bits) { return IntegerType::get(context, bits); };
  return {RankedTensorType::get(weight.getShape(), integer(scheme.bits)),
          RankedTensorType::get(groups, scaleType(context, scheme.scale)),
          scheme.symmetric ? RankedTensorType() : RankedTensorType::get(groups, integer(8))};
}

/// The parameters from the archives to absorb that are read by something else than the weights to quantize.
static SmallVector<ParameterOp> findAbsorbed(ModuleOp module, std::vector<QuantizationTarget> &targets,
                                             ArrayRef<std::string> archives) {
  SymbolTable symbols(module);
  llvm::SetVector<Operation *> needed;
  llvm::DenseSet<Operation *> quantized;
  for (QuantizationTarget &target : targets)
    quantized.insert(target.parameter);
  auto note = [&](GetOp get) {
    Operation *parameter = symbols.lookup(get.getParameter());
    if (parameter && !quantized.contains(parameter))
      needed.insert(parameter);
  };
  for (auto function : module.getOps<func::FuncOp>())
    function.walk(note);
  for (size_t i = 0; i < needed.size(); ++i)
    needed[i]->walk(note);
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
    QuantizedTypes types = typesFor(target);
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

/// Adds what w became; all f32 but the sums.
static void addErrors(std::span<const float> weights, std::span<const float> rounded, ErrorSums &sums) {
  for (size_t i = 0; i < weights.size(); ++i) {
    double error = static_cast<double>(weights[i]) - static_cast<double>(rounded[i]);
    sums.squaredError += error * error;
    sums.squaredWeight += static_cast<double>(weights[i]) * weights[i];
    sums.worst = std::max(sums.worst, std::abs(error));
  }
  if (std::isnan(sums.squaredError)) // which the maximum has passed over
    sums.worst = std::numeric_limits<double>::infinity();
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
  if (Status status = checkNotAnArchive(module, options.overlay, run.overlayPath, options.directory); !status)
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

ParameterOp QuantizationRun::activationScaleParameter(Operation *op, RewriterBase &rewriter) {
  std::optional<size_t> index = activationScales.siteOf(op);
  if (!index)
    return {};
  ParameterOp &parameter = scaleParameters[*index];
  if (parameter)
    return parameter;
  OpBuilder::InsertionGuard guard(rewriter);
  const ActivationScales::Site &site = activationScales.sites()[*index];
  auto type = RankedTensorType::get({1}, rewriter.getF32Type());
  rewriter.setInsertionPoint(op->getParentOfType<func::FuncOp>());
  parameter = ParameterOp::create(rewriter, op->getLoc(), site.name + ".input_scale", type, EntryAttr());
  rewriter.createBlock(&parameter.getInitializer());
  YieldOp::create(rewriter, op->getLoc(),
                  lowbit::ActivationScaleOp::create(rewriter, op->getLoc(), type, llvm::APFloat(site.scale)));
  return parameter;
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

namespace {
/// Results of a weight that stay in memory: canonical tensors under the names of their parameters.
struct KeptTensors {
  explicit KeptTensors(const QuantizedTypes &types)
      : codes(OwnedTensor::allocate(types.codes)), scales(OwnedTensor::allocate(types.scales)) {
    if (types.zeros)
      zeros = OwnedTensor::allocate(types.zeros);
  }
  OwnedTensor codes, scales;
  std::optional<OwnedTensor> zeros;
};
} // namespace

/// The kind of a finished weight in a folder to resume from.
static constexpr std::string_view kFinishedWeight = "weight";

/// Quantizes rows [first, first + count) of a weight, writes them, and puts them where `kept` has room.
static Status quantizeRows(const WeightScheme &scheme, const std::string &name, int64_t first, int64_t count,
                           const FloatRows &source, const RowQuantizer &quantizer, OverlayWriter &overlay,
                           KeptTensors *kept, ErrorSums &sums) {
  int64_t cols = source.cols(), groups = scheme.groupsPerRow(cols);
  std::vector<float> weights(count * cols);
  source.read(first, count, weights);
  size_t scaleBytes = groups * info(scheme.scale).blockBytes;
  OwnedQuantizedRows owned(scheme, count, cols);
  auto &[codes, scales, zeros] = owned;
  QuantizedRows rows = owned;
  if (Status status = quantizer(first, count, weights, rows); !status)
    return status;
  std::vector<float> rounded(count * cols);
  if (Status status = dequantizeRows(scheme, count, cols, rows, rounded); !status)
    return status;
  addErrors(weights, rounded, sums);
  if (kept) {
    std::memcpy(kept->codes.bytes.data() + first * cols, codes.data(), codes.size());
    std::memcpy(kept->scales.bytes.data() + first * scaleBytes, scales.data(), scales.size());
    if (kept->zeros)
      std::memcpy(kept->zeros->bytes.data() + first * groups, zeros.data(), zeros.size());
  }

  size_t codeBytes = *packedCodeBytes(scheme.bits, cols);
  std::vector<std::byte> packed(count * codeBytes);
  if (Status status = packCodes(scheme.bits, codes, packed); !status)
    return status;
  if (Status status = overlay.write(name + ".codes", first * codeBytes, packed); !status)
    return status;
  if (Status status = overlay.write(name + ".scales", first * scaleBytes, scales); !status)
    return status;
  return scheme.symmetric ? Status() : overlay.write(name + ".zeros", first * groups, std::as_bytes(std::span(zeros)));
}

namespace {
/// A tensor of a finished weight, as overlay and resume folder have it.
struct NamedBytes {
  std::string name;
  std::span<std::byte> bytes;
};
} // namespace

/// `packed`: room for the codes.
static SmallVector<NamedBytes, 3> namedBytes(KeptTensors &kept, std::vector<std::byte> &packed) {
  SmallVector<NamedBytes, 3> tensors{{"codes", packed}, {"scales", kept.scales.bytes}};
  if (kept.zeros)
    tensors.push_back({"zeros", kept.zeros->bytes});
  return tensors;
}

static void provideKept(ParameterEvaluator &evaluator, const std::string &name, const KeptTensors &kept) {
  evaluator.provide(name + ".codes", kept.codes.tensor);
  evaluator.provide(name + ".scales", kept.scales.tensor);
  if (kept.zeros)
    evaluator.provide(name + ".zeros", kept.zeros->tensor);
}

bool QuantizationRun::isFinished(const QuantizationTarget &target) const {
  ParameterOp parameter = target.parameter;
  return options.resume && options.resume->contains(kFinishedWeight, parameter.getSymName());
}

Status QuantizationRun::takeFinished(QuantizationTarget &target, bool keep) {
  std::string name = target.parameter.getSymName().str();
  Result<ResumeFolder::Piece> piece = options.resume->read(kFinishedWeight, name);
  if (!piece)
    return piece.takeError();
  Result<Ledger> ledger = Ledger::parse(piece->text);
  if (!ledger || ledger->rows.size() != 1 || ledger->rows[0].name != name)
    return piece->damaged("expected a row of the ledger for " + escapeForMessage(name));
  KeptTensors kept(typesFor(target));
  std::vector<std::byte> packed(*packedCodeBytes(target.scheme.weights.bits, kept.codes.tensor.elements()));
  for (const NamedBytes &tensor : namedBytes(kept, packed)) {
    const TensorEntry *entry = piece->archive->find(tensor.name);
    if (!entry || entry->bytes != tensor.bytes.size())
      return piece->damaged("expected " + std::to_string(tensor.bytes.size()) + " bytes of " + tensor.name);
    std::ranges::copy(piece->archive->bytes(*entry), tensor.bytes.begin());
    if (Status status = writer->write(name + "." + tensor.name, 0, tensor.bytes); !status)
      return status;
  }
  row(target) = ledger->rows[0];
  if (!keep)
    return {};
  if (Status status = unpackCodes(target.scheme.weights.bits, packed, kept.codes.as<uint8_t>()); !status)
    return status;
  provideKept(*evaluator, name, kept);
  return {};
}

Status QuantizationRun::quantize(QuantizationTarget &target, const RowQuantizer &quantizer, const How &how) {
  std::string name = target.parameter.getSymName().str();
  Result<FloatRows> weight = evaluator->openRows(target.parameter);
  if (!weight)
    return weight.takeError();
  std::optional<KeptTensors> kept;
  if (how.keep || options.resume)
    kept.emplace(typesFor(target));
  int64_t chunkRows = rowsPerChunk(weight->cols() * 4, how.rowMultiple);
  std::vector<ErrorSums> sums((weight->rows() + chunkRows - 1) / chunkRows);
  Status status =
      parallelRows(module.getContext(), weight->rows(), chunkRows, [&](int64_t chunk, int64_t first, int64_t end) {
        return quantizeRows(target.scheme.weights, name, first, end - first, *weight, quantizer, *writer,
                            kept ? &*kept : nullptr, sums[chunk]);
      });
  evaluator->drop(target.parameter);
  if (!status)
    return status.takeError().in("parameter @" + name);
  ErrorSums total;
  for (const ErrorSums &part : sums) {
    total.squaredError += part.squaredError;
    total.squaredWeight += part.squaredWeight;
    total.worst = std::max(total.worst, part.worst);
  }
  LedgerRow &row = this->row(target);
  if (total.squaredWeight > 0) {
    row.relativeError = total.squaredError / total.squaredWeight;
    row.worstError = total.worst / std::sqrt(total.squaredWeight / static_cast<double>(row.elements));
  }
  if (how.complete)
    how.complete(row);
  if (how.keep)
    provideKept(*evaluator, name, *kept);
  if (!options.resume)
    return {};
  std::vector<std::byte> packed(*packedCodeBytes(target.scheme.weights.bits, kept->codes.tensor.elements()));
  if (Status packing = packCodes(target.scheme.weights.bits, kept->codes.as<uint8_t>(), packed); !packing)
    return packing;
  SmallVector<ResumeFolder::Part, 3> parts;
  for (const NamedBytes &tensor : namedBytes(*kept, packed))
    parts.push_back({{tensor.name, ElementFormat::U8, {static_cast<int64_t>(tensor.bytes.size())}}, tensor.bytes});
  return options.resume->write(kFinishedWeight, name, parts, Ledger{{}, {row}}.toJson());
}

Status QuantizationRun::quantize(QuantizationTarget &target, const RowQuantizer &quantizer) {
  return quantize(target, quantizer, How());
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

void QuantizationRun::rewrite(QuantizationTarget &target) {
  MLIRContext *context = module.getContext();
  IRRewriter rewriter(context);
  ParameterOp parameter = target.parameter;
  QuantizedTypes types = typesFor(target);
  auto declare = [&](StringRef suffix, RankedTensorType type) -> ParameterOp {
    if (!type)
      return {};
    rewriter.setInsertionPoint(parameter);
    declared.push_back(
        ParameterOp::create(rewriter, parameter.getLoc(), (parameter.getSymName() + suffix).str(), type, EntryAttr()));
    return declared.back();
  };
  ParameterOp codes = declare(".codes", types.codes), scales = declare(".scales", types.scales),
              zeros = declare(".zeros", types.zeros);
  for (Operation *user : target.users) {
    rewriter.setInsertionPoint(user);
    auto read = [&](ParameterOp from) -> Value {
      return from ? GetOp::create(rewriter, user->getLoc(), from.getType(), from.getSymName()).getValue() : Value();
    };
    Value codesValue = read(codes), scalesValue = read(scales), zerosValue = read(zeros);
    Operation *weight;
    if (auto linear = dyn_cast<LinearOp>(user)) {
      weight = linear.getWeight().getDefiningOp();
      Value staticScale = read(activationScaleParameter(linear, rewriter));
      rewriter.replaceOpWithNewOp<lowbit::LinearOp>(linear, linear.getType(), linear.getInput(), codesValue,
                                                    scalesValue, zerosValue, linear.getBias(), staticScale,
                                                    toAttribute(context, target.scheme));
    } else {
      auto embedding = cast<EmbeddingOp>(user);
      weight = embedding.getTable().getDefiningOp();
      rewriter.replaceOpWithNewOp<lowbit::EmbeddingOp>(embedding, embedding.getType(), embedding.getTokens(),
                                                       codesValue, scalesValue, zerosValue,
                                                       toAttribute(context, target.scheme.weights));
    }
    if (weight->use_empty())
      rewriter.eraseOp(weight);
    ++rewrittenOps;
  }
  rewrittenRows.insert(target.row);
}

/// How an overlay holds a parameter of that type.
static transformer::Encoding encodingOf(RankedTensorType type) {
  if (!isa<IntegerType>(type.getElementType()))
    return *symbolizeEncoding(info(scaleFormat(type.getElementType())).name);
  using enum transformer::Encoding;
  for (transformer::Encoding packed : {PackedU2, PackedU3, PackedU4})
    if (type.getElementTypeBitWidth() == *getPackedBits(packed))
      return packed;
  return U8;
}

/// Erases the parameters that neither a function nor another parameter in use reads.
static int64_t eraseUnusedParameters(ModuleOp module, RewriterBase &rewriter) {
  SymbolTable symbols(module);
  llvm::DenseSet<Operation *> used;
  SmallVector<Operation *> pending;
  auto note = [&](GetOp get) {
    Operation *parameter = symbols.lookup(get.getParameter());
    if (parameter && used.insert(parameter).second)
      pending.push_back(parameter);
  };
  for (Operation &op : module.getBody()->getOperations())
    if (!isa<ParameterOp>(op))
      op.walk(note);
  while (!pending.empty())
    pending.pop_back_val()->walk(note);
  int64_t erased = 0;
  for (auto parameter : llvm::make_early_inc_range(module.getOps<ParameterOp>()))
    if (!used.contains(parameter)) {
      rewriter.eraseOp(parameter);
      ++erased;
    }
  return erased;
}

Result<QuantizationRun::Finished> QuantizationRun::finish(OutputSet *outputs) {
  Result<OverlayWriter::Written> written = writer->commit(selection.ledger, outputs);
  if (!written)
    return written.takeError();
  for (QuantizationTarget &target : selection.targets)
    if (!rewrittenRows.contains(target.row))
      rewrite(target);
  StringAttr symbol = declareArchive(module, "overlay", overlayPath, written->size, written->headerDigest);
  MLIRContext *context = module.getContext();
  llvm::append_range(declared, absorbed);
  for (ParameterOp parameter : declared)
    parameter.setSourceAttr(EntryAttr::get(context, FlatSymbolRefAttr::get(symbol), parameter.getSymNameAttr(),
                                           encodingOf(cast<RankedTensorType>(parameter.getType()))));
  IRRewriter rewriter(context);
  Finished finished{rewrittenOps, eraseUnusedParameters(module, rewriter)};
  for (const std::string &archive : absorbedArchives)
    if (Operation *op = module.lookupSymbol(archive); op && SymbolTable::symbolKnownUseEmpty(op, module))
      rewriter.eraseOp(op);
  return finished;
}
