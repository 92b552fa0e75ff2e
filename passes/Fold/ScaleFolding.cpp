// See ScaleFolding.h.
#include "passes/Fold/ScaleFolding.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

Result<ScaledOperands> qopt::scaleOperands(Operation *op, const Scale &scale) {
  return llvm::TypeSwitch<Operation *, Result<ScaledOperands>>(op)
      .Case<RmsNormOp, LayerNormOp, transformer::LinearOp, GatedProductOp, AttentionOp, transformer::EmbeddingOp,
            SelectRowsOp>([&](auto op) { return detail::scaleThrough(op, scale); })
      // Two scales of one value may be taken in either order.
      .Case([&](lowbit::ScaleOp op) { return ScaledOperands{{&op.getInputMutable(), scale}}; })
      .Default([](Operation *op) -> Result<ScaledOperands> {
        return declines("no scale can be taken through " + op->getName().getStringRef().str());
      });
}

/// "transformer.linear of "blk.0.ffn_up.weight"", for messages.
static std::string describe(Operation *op) {
  std::string text = op->getName().getStringRef().str();
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return text + " of \"" + escapeForMessage(name.getName().getValue()) + "\"";
  return text;
}

bool qopt::isWeight(Value value) {
  while (auto scale = value.getDefiningOp<lowbit::ScaleOp>())
    value = scale.getInput();
  return value.getDefiningOp<GetOp>() != nullptr;
}

GetOp qopt::factorSource(Value factor) {
  if (auto repeat = factor.getDefiningOp<lowbit::RepeatHeadsOp>())
    return factorSource(repeat.getInput());
  return factor.getDefiningOp<GetOp>();
}

/// The same factor, from its parameter, where the builder stands.
static Value rebuildFactor(OpBuilder &builder, Value factor) {
  if (auto repeat = factor.getDefiningOp<lowbit::RepeatHeadsOp>())
    return lowbit::RepeatHeadsOp::create(builder, factor.getLoc(), factor.getType(),
                                         rebuildFactor(builder, repeat.getInput()), repeat.getTimes(), repeat.getDim());
  auto get = factor.getDefiningOp<GetOp>();
  return GetOp::create(builder, factor.getLoc(), factor.getType(), get.getParameterAttr());
}

ScaleFolding::ScaleFolding(ModuleOp module) : module(module) {
  module.walk([&](GetOp get) { ++readers[get.getParameter()]; });
}

Status ScaleFolding::checkParameter(OpOperand &use, GetOp get) const {
  std::string name = "parameter @" + get.getParameter().str();
  for (OpOperand &other : get.getValue().getUses())
    if (&other != &use)
      return declines("the weight is shared: " + describe(other.getOwner()) + " reads it too").in(name);
  if (readers.lookup(get.getParameter()) != 1)
    return declines("the weight is shared: it is read " + std::to_string(readers.lookup(get.getParameter())) +
                    " times (a tied embedding, or a shared call)")
        .in(name);
  return {};
}

Status ScaleFolding::check(OpOperand &use, const Scale &scale) const {
  Value value = use.get();
  if (!factorSource(scale.factor))
    return declines("the factor is not a parameter");
  Operation *producer = value.getDefiningOp();
  if (!producer)
    return declines("the value enters the function from outside");
  if (auto get = dyn_cast<GetOp>(producer))
    return checkParameter(use, get);
  if (scale.axis != 1 && !isWeight(value))
    return declines("the scale is one of tokens, not of channels").in(describe(producer));
  for (OpOperand &other : value.getUses())
    if (&other != &use && !isa<lowbit::ObserveOp>(other.getOwner()))
      return declines(describe(other.getOwner()) + " reads the value too, and does not make up for the scale")
          .in(describe(producer));
  Result<ScaledOperands> operands = scaleOperands(producer, scale);
  if (!operands)
    return operands.takeError().in(describe(producer));
  for (const ScaledOperand &next : *operands)
    if (Status status = check(*next.operand, next.scale); !status)
      return status;
  return {};
}

void ScaleFolding::fold(lowbit::ScaleOp op, RewriterBase &rewriter) {
  Operation *producer = op.getInput().getDefiningOp();
  Result<ScaledOperands> operands =
      scaleOperands(producer, {op.getFactor(), static_cast<int64_t>(op.getAxis()), op.getInverse()});
  for (const ScaledOperand &next : *operands) {
    Value value = next.operand->get();
    rewriter.setInsertionPoint(next.operand->getOwner());
    auto type = RankedTensorType::get(cast<RankedTensorType>(value.getType()).getShape(), rewriter.getF32Type());
    auto moved = lowbit::ScaleOp::create(rewriter, op.getLoc(), type, value, rebuildFactor(rewriter, next.scale.factor),
                                         next.scale.axis, next.scale.inverse);
    rewriter.modifyOpInPlace(next.operand->getOwner(), [&] { next.operand->set(moved); });
    if (!isWeight(value))
      fold(moved, rewriter);
  }
  rewriter.replaceOp(op, op.getInput());
}

/// A name for what @w was, that no other symbol has.
static std::string unscaledName(ModuleOp module, StringRef name) {
  std::string candidate = (name + ".unscaled").str();
  for (int number = 2; SymbolTable::lookupSymbolIn(module, candidate); ++number)
    candidate = (name + ".unscaled." + Twine(number)).str();
  return candidate;
}

/// A parameter under the old name whose initializer reads the old one under a new name.
static ParameterOp addInitializer(ModuleOp module, ParameterOp old, RewriterBase &rewriter) {
  std::string name = old.getSymName().str();
  rewriter.modifyOpInPlace(old, [&] { old.setSymName(unscaledName(module, name)); });
  rewriter.setInsertionPointAfter(old);
  auto parameter = ParameterOp::create(rewriter, old.getLoc(), name, old.getType(), EntryAttr());
  rewriter.createBlock(&parameter.getInitializer());
  Value value = GetOp::create(rewriter, old.getLoc(), old.getType(), old.getSymName());
  YieldOp::create(rewriter, old.getLoc(), value);
  return parameter;
}

void ScaleFolding::foldIntoParameter(OpOperand &use, RewriterBase &rewriter) {
  SmallVector<lowbit::ScaleOp> scales; // from the last to the first
  Value value = use.get();
  while (auto scale = value.getDefiningOp<lowbit::ScaleOp>()) {
    scales.push_back(scale);
    value = scale.getInput();
  }
  auto get = value.getDefiningOp<GetOp>();
  auto parameter = module.lookupSymbol<ParameterOp>(get.getParameter());
  if (parameter.getInitializer().empty())
    parameter = addInitializer(module, parameter, rewriter);
  auto yield = cast<YieldOp>(parameter.getInitializer().front().getTerminator());
  rewriter.setInsertionPoint(yield);
  Value scaled = yield.getValue();
  for (lowbit::ScaleOp scale : llvm::reverse(scales))
    scaled = lowbit::ScaleOp::create(rewriter, scale.getLoc(), scale.getType(), scaled,
                                     rebuildFactor(rewriter, scale.getFactor()), scale.getAxis(), scale.getInverse());
  rewriter.modifyOpInPlace(yield, [&] { yield->setOperand(0, scaled); });
  rewriter.modifyOpInPlace(parameter, [&] { parameter.setType(cast<RankedTensorType>(scaled.getType())); });
  rewriter.setInsertionPoint(get);
  Value read = GetOp::create(rewriter, get.getLoc(), scaled.getType(), parameter.getSymName());
  rewriter.modifyOpInPlace(use.getOwner(), [&] { use.set(read); });
  for (lowbit::ScaleOp scale : scales)
    if (scale->use_empty())
      rewriter.eraseOp(scale);
  if (get->use_empty())
    rewriter.eraseOp(get);
}
