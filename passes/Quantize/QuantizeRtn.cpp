// Round to nearest: the plainest way from weights to codes, and the yardstick of all others.
//
// It runs on the graph as imported, before any fusion, because rules and the ledger speak of the checkpoint's own
// parameters. Weights are taken one after the other: evaluated, rounded in chunks of rows by all threads, written.
//
//   transformer.linear %x, %w               lowbit.linear %x, %codes, %scales
//   with @w from the checkpoint             with @w.codes, @w.scales (and @w.zeros) from the overlay
//
// Limits: no activation order, no search of ranges, no calibration; codes of 4 and 8 bits.
#include "passes/Quantize/Passes.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/RoundToNearest.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/Diagnostics.h"
#include "lib/Parameters/ModelLedger.h"
#include "lib/Parameters/OverlayWriter.h"
#include "lib/Parameters/ParallelRows.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "lib/Parameters/SchemeAttributes.h"
#include "passes/Quantize/Selection.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/DenseSet.h"

#include <cmath>

namespace qopt {
#define GEN_PASS_DEF_QUANTIZERTN
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt

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

/// The tensors of the overlay, in the order in which they are written.
static std::vector<TensorDeclaration> declareTensors(std::vector<QuantizationTarget> &targets) {
  std::vector<TensorDeclaration> tensors;
  for (QuantizationTarget &target : targets) {
    QuantizedTypes types = typesFor(target);
    std::string name = target.parameter.getSymName().str();
    std::vector<int64_t> codes = types.codes.getShape(), groups = types.scales.getShape();
    if (target.scheme.weights.bits == 4)
      codes.back() /= 2;
    tensors.push_back({name + ".codes", ElementFormat::U8, codes});
    tensors.push_back({name + ".scales", target.scheme.weights.scale, groups});
    if (types.zeros)
      tensors.push_back({name + ".zeros", ElementFormat::U8, groups});
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
}

/// Rounds rows [first, first + count) of a weight and writes them.
static Status quantizeRows(const WeightScheme &scheme, const std::string &name, int64_t first, int64_t count,
                           const FloatRows &source, OverlayWriter &overlay, ErrorSums &sums) {
  int64_t cols = source.cols(), groups = scheme.groupsPerRow(cols);
  std::vector<float> weights(count * cols);
  source.read(first, count, weights);
  size_t scaleBytes = groups * info(scheme.scale).blockBytes;
  std::vector<uint8_t> codes(count * cols), zeros(scheme.symmetric ? 0 : count * groups);
  std::vector<std::byte> scales(count * scaleBytes);
  QuantizedRows rows{codes, scales, zeros};
  if (Status status = quantizeRoundToNearest(scheme, count, cols, weights, rows, first); !status)
    return status;
  std::vector<float> rounded(count * cols);
  if (Status status = dequantizeRows(scheme, count, cols, rows, rounded); !status)
    return status;
  addErrors(weights, rounded, sums);

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

/// Rounds one weight, writes it, and completes its row of the ledger.
static Status quantizeTarget(QuantizationTarget &target, ParameterEvaluator &evaluator, OverlayWriter &overlay,
                             LedgerRow &row) {
  std::string name = target.parameter.getSymName().str();
  Result<FloatRows> weight = evaluator.openRows(target.parameter);
  if (!weight)
    return weight.takeError();
  int64_t chunkRows = rowsPerChunk(weight->cols() * 4);
  std::vector<ErrorSums> sums((weight->rows() + chunkRows - 1) / chunkRows);
  Status status = parallelRows(
      target.parameter.getContext(), weight->rows(), chunkRows, [&](int64_t chunk, int64_t first, int64_t end) {
        return quantizeRows(target.scheme.weights, name, first, end - first, *weight, overlay, sums[chunk]);
      });
  evaluator.drop(target.parameter);
  if (!status)
    return status.takeError().in("parameter @" + name);
  ErrorSums total;
  for (const ErrorSums &part : sums) {
    total.squaredError += part.squaredError;
    total.squaredWeight += part.squaredWeight;
    total.worst = std::max(total.worst, part.worst);
  }
  if (total.squaredWeight > 0) {
    row.relativeError = total.squaredError / total.squaredWeight;
    row.worstError = total.worst / std::sqrt(total.squaredWeight / static_cast<double>(row.elements));
  }
  return {};
}

/// Declares the overlay after the other archives. Returns its symbol.
static StringAttr declareOverlay(ModuleOp module, RewriterBase &rewriter, const OverlayWriter::Written &written,
                                 const std::string &path) {
  Operation *last = nullptr;
  for (ArchiveOp op : module.getOps<ArchiveOp>())
    last = op;
  if (last)
    rewriter.setInsertionPointAfter(last);
  else
    rewriter.setInsertionPointToStart(module.getBody());
  std::string symbol = "overlay";
  for (int suffix = 2; SymbolTable::lookupSymbolIn(module, symbol); ++suffix)
    symbol = "overlay_" + std::to_string(suffix);
  return ArchiveOp::create(rewriter, rewriter.getUnknownLoc(), symbol, path, written.size, written.headerDigest)
      .getSymNameAttr();
}

/// Declares what a weight became and rewrites the ops that use it.
static void rewriteTarget(QuantizationTarget &target, RewriterBase &rewriter, StringAttr overlay) {
  MLIRContext *context = rewriter.getContext();
  ParameterOp parameter = target.parameter;
  QuantizedTypes types = typesFor(target);
  auto declare = [&](StringRef suffix, RankedTensorType type, Encoding encoding) {
    std::string name = (parameter.getSymName() + suffix).str();
    auto entry = EntryAttr::get(context, FlatSymbolRefAttr::get(overlay), rewriter.getStringAttr(name), encoding);
    rewriter.setInsertionPoint(parameter);
    return ParameterOp::create(rewriter, parameter.getLoc(), name, type, entry);
  };
  const WeightScheme &scheme = target.scheme.weights;
  ParameterOp codes = declare(".codes", types.codes, scheme.bits == 4 ? Encoding::PackedU4 : Encoding::U8);
  ParameterOp scales = declare(".scales", types.scales, *symbolizeEncoding(info(scheme.scale).name));
  ParameterOp zeros = types.zeros ? declare(".zeros", types.zeros, Encoding::U8) : ParameterOp();
  for (Operation *user : target.users) {
    rewriter.setInsertionPoint(user);
    auto read = [&](ParameterOp from) -> Value {
      return from ? GetOp::create(rewriter, user->getLoc(), from.getType(), from.getSymName()).getValue() : Value();
    };
    Value codesValue = read(codes), scalesValue = read(scales), zerosValue = read(zeros);
    Operation *weight;
    if (auto linear = dyn_cast<LinearOp>(user)) {
      weight = linear.getWeight().getDefiningOp();
      rewriter.replaceOpWithNewOp<lowbit::LinearOp>(linear, linear.getType(), linear.getInput(), codesValue,
                                                    scalesValue, zerosValue, linear.getBias(),
                                                    toAttribute(context, target.scheme));
    } else {
      auto embedding = cast<EmbeddingOp>(user);
      weight = embedding.getTable().getDefiningOp();
      rewriter.replaceOpWithNewOp<lowbit::EmbeddingOp>(embedding, embedding.getType(), embedding.getTokens(),
                                                       codesValue, scalesValue, zerosValue,
                                                       toAttribute(context, scheme));
    }
    if (weight->use_empty())
      rewriter.eraseOp(weight);
  }
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
    if (recipe.empty())
      return makeRecipe({scheme, head, std::vector<std::string>(keep.begin(), keep.end())});
    if (!scheme.empty() || !head.empty() || !keep.empty())
      return usageError("expected either a recipe or scheme, head and keep, but got both")
          .withNext("say it all in the recipe");
    return readRecipe(recipe);
  }

  Status run() {
    ModuleOp module = getOperation();
    Result<Recipe> wanted = getRecipe();
    if (!wanted)
      return wanted.takeError();
    auto evaluator = ParameterEvaluator::open(module, directory);
    if (!evaluator)
      return evaluator.takeError();
    Result<std::optional<Ledger>> previous = findLedger(module, **evaluator);
    if (!previous)
      return previous.takeError();
    Result<Selection> selection = selectTargets(module, *wanted, previous->value_or(Ledger()));
    if (!selection)
      return selection.takeError();
    std::string overlayPath = pathInIR(overlay, directory);
    for (ArchiveOp op : module.getOps<ArchiveOp>())
      if (pathInIR(resolvePath(op.getPath(), directory), directory) == overlayPath)
        return usageError("expected an overlay that is not an archive of the model itself", overlay)
            .withNext("name another file for the output");
    Result<OverlayWriter> writer =
        OverlayWriter::create(overlay, declareTensors(selection->targets), selection->ledger);
    if (!writer)
      return writer.takeError();
    int64_t total = 0, done = 0;
    for (QuantizationTarget &target : selection->targets)
      total += target.type().getNumElements();
    for (QuantizationTarget &target : selection->targets) {
      Status status = quantizeTarget(target, **evaluator, *writer, selection->ledger.rows[target.row]);
      if (!status)
        return status;
      done += target.type().getNumElements();
      if (progress)
        progress(done, total);
    }
    Result<OverlayWriter::Written> written = writer->commit(selection->ledger, outputs);
    if (!written)
      return written.takeError();

    IRRewriter rewriter(module.getContext());
    StringAttr symbol = declareOverlay(module, rewriter, *written, overlayPath);
    for (QuantizationTarget &target : selection->targets) {
      rewriteTarget(target, rewriter, symbol);
      ++quantized;
      rewritten += static_cast<int64_t>(target.users.size());
    }
    erased = eraseUnusedParameters(module, rewriter);
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
