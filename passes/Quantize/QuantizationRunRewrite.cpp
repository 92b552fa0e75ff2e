// What a quantization does to the IR: parameters that are declared, ops that read them, and what nothing uses any more.
//
//   transformer.linear %x, %w               lowbit.linear %x, %codes, %scales
//   with @w from the checkpoint             with @w.codes, @w.scales (and @w.zeros) from the overlay
#include "dialects/LowBit/Dialect.h"
#include "lib/Parameters/DeclareArchive.h"
#include "lib/Parameters/ReadParameters.h"
#include "lib/Parameters/SchemeAttributes.h"
#include "passes/Quantize/QuantizationRun.h"
#include "passes/Quantize/QuantizedTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

QuantizedTypes QuantizedTypes::of(QuantizationTarget &target) {
  MLIRContext *context = target.parameter.getContext();
  RankedTensorType weight = target.type();
  const WeightScheme &scheme = target.scheme.weights;
  SmallVector<int64_t> groups{weight.getDimSize(0), scheme.groupsPerRow(weight.getDimSize(1))};
  auto integer = [&](unsigned bits) { return IntegerType::get(context, bits); };
  return {RankedTensorType::get(weight.getShape(), integer(scheme.bits)),
          RankedTensorType::get(groups, scaleType(context, scheme.scale)),
          scheme.symmetric ? RankedTensorType() : RankedTensorType::get(groups, integer(8))};
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

void QuantizationRun::rewrite(QuantizationTarget &target) {
  MLIRContext *context = module.getContext();
  IRRewriter rewriter(context);
  ParameterOp parameter = target.parameter;
  QuantizedTypes types = QuantizedTypes::of(target);
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
  return symbolizeEncoding(("packed_u" + Twine(type.getElementTypeBitWidth())).str())
      .value_or(transformer::Encoding::U8);
}

/// Erases the parameters that neither a function nor another parameter in use reads.
static int64_t eraseUnusedParameters(ModuleOp module, RewriterBase &rewriter) {
  SmallVector<Operation *> readers;
  for (Operation &op : module.getBody()->getOperations())
    if (!isa<ParameterOp>(op))
      readers.push_back(&op);
  llvm::SetVector<Operation *> used = parametersReadBy(module, readers);
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
