// Chooses a layout for each weight and makes explicit how its kernel reads activations.
//
// Every weight gets a panel layout (lib/Numerics/Panel.h). How many adjacent inputs lie together follows from what
// multiplies them: four for i8 activations, two for bf16, one for f32. All targets of ours read the same panels, so one
// artifact serves several. Sums of activations are wanted where the kernel multiplies unsigned codes and corrects for
// the zero point afterwards. See Passes.td for an example.
#include "dialects/Shapes.h"
#include "passes/Lower/Emit/KernelBuilder.h"
#include "passes/Lower/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <numeric>

namespace qopt {
#define GEN_PASS_DEF_SELECTLAYOUTS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using kernel::PanelAttr;
using kernel::PanelCode;

namespace {

/// The layout of a quantized weight whose inputs are read `dot` at a time, or failure with an error at `op`.
FailureOr<PanelAttr> quantizedLayout(Operation *op, lowbit::WeightsAttr weights, int64_t dot) {
  // Named after their bits, those that panels store.
  std::optional<PanelCode> code = kernel::symbolizePanelCode(("u" + Twine(weights.getBits())).str());
  if (weights.getCodebook() || !code) {
    op->emitOpError()
        << "expected 2, 3, 4, 5, 6 or 8 bits without a codebook, the schemes that kernels exist for, but got "
        << weights;
    return failure();
  }
  auto emitError = [&] { return op->emitOpError() << "has no layout: "; };
  PanelAttr layout = PanelAttr::getChecked(emitError, op->getContext(), *code, dot, weights.getGroup(),
                                           weights.getScale(), !weights.getSymmetric());
  if (!layout)
    return failure();
  return layout;
}

FailureOr<PanelAttr> plainLayout(Operation *op, Type element) {
  MLIRContext *context = op->getContext();
  if (element.isBF16())
    return PanelAttr::get(context, PanelCode::BF16, 2, 0, Type(), false);
  if (element.isF16())
    return PanelAttr::get(context, PanelCode::F16, 1, 0, Type(), false);
  return PanelAttr::get(context, PanelCode::F32, 1, 0, Type(), false);
}

struct SelectLayouts : qopt::impl::SelectLayoutsBase<SelectLayouts>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override {
    return {{"weights-packed", packedWeights}, {"encodings", encodingCount}};
  }

  void runOnOperation() override {
    symbols = &getAnalysis<SymbolTable>();
    SmallVector<Operation *> linears, embeddings;
    getOperation().walk([&](Operation *op) {
      if (isa<transformer::LinearOp, lowbit::LinearOp>(op))
        linears.push_back(op);
      if (isa<transformer::EmbeddingOp, lowbit::EmbeddingOp>(op))
        embeddings.push_back(op);
    });
    // Linears first: a table that is an output head as well has the head's layout.
    for (Operation *op : linears)
      if (failed(lowerLinear(op)))
        return signalPassFailure();
    for (Operation *op : embeddings)
      if (failed(lowerEmbedding(op)))
        return signalPassFailure();
    packedWeights = packedParameters.size(), encodingCount = encodings.size();
  }

  LogicalResult lowerLinear(Operation *op) {
    OpBuilder builder(op);
    if (auto linear = dyn_cast<transformer::LinearOp>(op)) {
      Type element = typeOf(linear.getWeight()).getElementType();
      FailureOr<PanelAttr> layout = plainLayout(op, element);
      FailureOr<Value> packed = pack(op, {linear.getWeight()}, *layout);
      if (failed(packed))
        return failure();
      Value payload = linear.getInput();
      if (element.isBF16())
        payload = encode(builder, op->getLoc(), linear.getInput(),
                         lowbit::ActivationsAttr::get(&getContext(), lowbit::ActivationKind::BF16, 0, false), {}, 0)
                      .getPayload();
      replace(op, lowbit::MatmulOp::create(builder, op->getLoc(), linear.getType(), payload, Value(), Value(), *packed,
                                           linear.getBias(), *layout));
      return success();
    }
    auto linear = cast<lowbit::LinearOp>(op);
    lowbit::ActivationsAttr activations = linear.getScheme().getActivations();
    lowbit::WeightsAttr weights = linear.getScheme().getWeights();
    bool isI8 = activations.getKind() == lowbit::ActivationKind::I8;
    int64_t dot = isI8 ? 4 : activations.getKind() == lowbit::ActivationKind::BF16 ? 2 : 1;
    FailureOr<PanelAttr> layout = quantizedLayout(op, weights, dot);
    if (failed(layout))
      return failure();
    SmallVector<Value, 3> parts{linear.getCodes(), linear.getScales()};
    if (linear.getZeroPoints())
      parts.push_back(linear.getZeroPoints());
    FailureOr<Value> packed = pack(op, parts, *layout);
    if (failed(packed))
      return failure();
    Value payload = linear.getInput(), scales, sums;
    if (activations.getKind() != lowbit::ActivationKind::F32) {
      int64_t inputs = typeOf(linear.getInput()).getDimSize(1);
      // The stretch of inputs over which both scales are constant: what is summed before any is applied.
      int64_t stretch = layout->getGroupSize(inputs);
      if (activations.getGroup() != 0)
        stretch = std::gcd(stretch, activations.getGroup());
      int64_t depth = layout->getBlockDepth();
      if (stretch % depth != 0)
        return op->emitOpError() << "expected activation groups that blocks of " << depth << " inputs divide, but got "
                                 << activations.getGroup();
      // Codes of a long row would overflow an i32: the scales are applied to parts of it, which are summed in f32.
      if (isI8)
        stretch = depth * emit::largestDivisorUpTo(stretch / depth, emit::mostInputsOfSum(*layout) / depth);
      FailureOr<StringAttr> fixed = staticScaleOf(linear);
      if (failed(fixed))
        return failure();
      bool wantsSums = isI8 || !weights.getSymmetric();
      lowbit::EncodeOp encoded =
          encode(builder, op->getLoc(), linear.getInput(), activations, *fixed, wantsSums ? stretch : 0);
      payload = encoded.getPayload(), scales = encoded.getScales(), sums = encoded.getSums();
    }
    replace(op, lowbit::MatmulOp::create(builder, op->getLoc(), linear.getType(), payload, scales, sums, *packed,
                                         linear.getBias(), *layout));
    return success();
  }

  LogicalResult lowerEmbedding(Operation *op) {
    OpBuilder builder(op);
    Value tokens = op->getOperand(0);
    SmallVector<Value, 3> parts(op->operand_begin() + 1, op->operand_end());
    // A row is read input by input, so that any order of inputs will do: that of the head, where it has the same table.
    auto known = dots.find(namesOf(parts));
    FailureOr<PanelAttr> layout =
        isa<lowbit::EmbeddingOp>(op)
            ? quantizedLayout(op, cast<lowbit::EmbeddingOp>(op).getScheme(), known == dots.end() ? 1 : known->second)
            : plainLayout(op, typeOf(parts[0]).getElementType());
    if (failed(layout))
      return failure();
    FailureOr<Value> packed = pack(op, parts, *layout);
    if (failed(packed))
      return failure();
    replace(op, lowbit::GatherOp::create(builder, op->getLoc(), op->getResult(0).getType(), tokens, *packed,
                                         typeOf(parts[0]).getDimSize(0), *layout));
    return success();
  }

  static void replace(Operation *op, Value with) {
    SmallVector<Value> operands(op->getOperands());
    op->getResult(0).replaceAllUsesWith(with);
    op->erase();
    for (Value operand : operands)
      if (operand && operand.getDefiningOp<transformer::GetOp>() && operand.use_empty())
        operand.getDefiningOp()->erase();
  }

  static StringAttr parameterOf(Value value) {
    auto get = value.getDefiningOp<transformer::GetOp>();
    return get ? get.getParameterAttr().getAttr() : StringAttr();
  }

  /// The names of the parameters that `parts` are values of; null unless all are. Weights may share codes and not
  /// scales, so the names of all together say which weight it is.
  ArrayAttr namesOf(ArrayRef<Value> parts) {
    SmallVector<Attribute, 3> names;
    for (Value part : parts) {
      names.push_back(parameterOf(part));
      if (!names.back())
        return ArrayAttr();
    }
    return ArrayAttr::get(&getContext(), names);
  }

  /// The value of the parameter that packs `parts`, made once for each (parameters, layout).
  FailureOr<Value> pack(Operation *op, ArrayRef<Value> parts, PanelAttr layout) {
    ArrayAttr names = namesOf(parts);
    if (!names)
      return op->emitOpError("expected weights that are values of parameters")
             << (parts[0].getDefiningOp<lowbit::ScaleOp>() ? ", but got one that is scaled: run --fold-scales first"
                                                           : "");
    int64_t outputs = typeOf(parts[0]).getDimSize(0), inputs = typeOf(parts[0]).getDimSize(1);
    if (failed(layout.verifyShape([&] { return op->emitOpError() << "has no layout: "; }, outputs, inputs)))
      return failure();
    int64_t tiles = (outputs + PanelAttr::kOutputs - 1) / PanelAttr::kOutputs;
    OpBuilder builder(op);
    auto type = RankedTensorType::get({tiles, layout.getTileBytes(inputs)}, builder.getI8Type());
    dots.try_emplace(names, layout.getDot());
    StringAttr &packed = packedParameters[{names, layout}];
    if (!packed) {
      auto name = cast<StringAttr>(names[0]);
      auto owner = symbols->lookup<transformer::ParameterOp>(name);
      OpBuilder moduleBuilder = OpBuilder::atBlockEnd(getOperation().getBody());
      StringRef stem = name.getValue();
      stem.consume_back(".fused");
      stem.consume_back(".codes");
      auto parameter = transformer::ParameterOp::create(moduleBuilder, owner.getLoc(), (stem + ".packed").str(), type,
                                                        transformer::EntryAttr());
      packed = symbols->insert(parameter, Block::iterator(owner->getNextNode()));
      moduleBuilder.createBlock(&parameter.getInitializer());
      SmallVector<Value, 3> values;
      for (Value part : parts)
        values.push_back(transformer::GetOp::create(moduleBuilder, owner.getLoc(), part.getType(),
                                                    FlatSymbolRefAttr::get(parameterOf(part))));
      values.resize(3);
      Value bytes =
          lowbit::PackOp::create(moduleBuilder, owner.getLoc(), type, values[0], values[1], values[2], layout);
      transformer::YieldOp::create(moduleBuilder, owner.getLoc(), bytes);
    }
    return Value(transformer::GetOp::create(builder, op->getLoc(), type, FlatSymbolRefAttr::get(packed)));
  }

  /// The parameter that holds the static scale of a linear's input; null if it has none. Its number has been checked
  /// where it is made, so no other parameter will do.
  FailureOr<StringAttr> staticScaleOf(lowbit::LinearOp linear) {
    if (!linear.getStaticScale())
      return StringAttr();
    StringAttr name = parameterOf(linear.getStaticScale());
    auto parameter = name ? symbols->lookup<transformer::ParameterOp>(name) : transformer::ParameterOp();
    if (!parameter || parameter.getInitializer().empty() ||
        !cast<transformer::YieldOp>(parameter.getInitializer().front().getTerminator())
             .getValue()
             .getDefiningOp<lowbit::ActivationScaleOp>())
      return linear.emitOpError("expected a static scale that is a parameter made by lowbit.activation_scale");
    return name;
  }

  /// The encoded form of `input`, shared by all that want the same. `fixed` names the static scale, or is null.
  lowbit::EncodeOp encode(OpBuilder &builder, Location loc, Value input, lowbit::ActivationsAttr activations,
                          StringAttr fixed, int64_t sumsGroup) {
    lowbit::EncodeOp &op = encodings[{input, activations, fixed, sumsGroup}];
    if (op)
      return op;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(input);
    int64_t inputs = typeOf(input).getDimSize(1);
    bool isI8 = activations.getKind() == lowbit::ActivationKind::I8;
    auto tensor = [&](int64_t width, Type element) {
      return RankedTensorType::get({ShapedType::kDynamic, width}, element);
    };
    Type payload = tensor(inputs, isI8 ? builder.getI8Type() : Type(builder.getBF16Type()));
    Type scales =
        isI8 ? tensor(activations.getGroup() ? inputs / activations.getGroup() : 1, builder.getF32Type()) : Type();
    Type sums =
        sumsGroup ? tensor(inputs / sumsGroup, isI8 ? Type(builder.getI32Type()) : builder.getF32Type()) : Type();
    Value scale;
    if (fixed)
      scale = transformer::GetOp::create(builder, loc, RankedTensorType::get({1}, builder.getF32Type()),
                                         FlatSymbolRefAttr::get(fixed));
    op = lowbit::EncodeOp::create(builder, loc, payload, scales, sums, input, scale, activations, sumsGroup);
    return op;
  }

  SymbolTable *symbols = nullptr;
  llvm::DenseMap<ArrayAttr, int64_t> dots; // the first that was chosen for a weight, by the names of its parameters
  llvm::DenseMap<std::pair<ArrayAttr, Attribute>, StringAttr> packedParameters;
  llvm::DenseMap<std::tuple<Value, Attribute, Attribute, int64_t>, lowbit::EncodeOp> encodings;
  int64_t packedWeights = 0, encodingCount = 0;
};
} // namespace
