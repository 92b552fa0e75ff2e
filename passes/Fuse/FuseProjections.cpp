// Joins linears that share an input into one linear over concatenated weights.
//
// Why here: on the graph, before layouts are chosen, a concatenation is a rewrite of parameters' initializers; it costs
// nothing at run time. What it buys: one dispatch and one sequential stream of weights instead of three, and, for gate
// and up, a tile that sees both halves of the gated product. See Passes.td for an example.
#include "passes/Fuse/Passes.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Debug.h"

#define DEBUG_TYPE "fuse-projections"

namespace qopt {
#define GEN_PASS_DEF_FUSEPROJECTIONS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {

/// Outputs that lie side by side in every layout we have: a joined weight keeps each part's tiles whole.
constexpr int64_t kBlock = 16;

/// The operands of a linear, quantized or not, in one shape: weight tensors (one, or codes, scales and zero points),
/// bias.
struct Projection {
  Operation *op;
  Value input, result;
  SmallVector<Value, 3> weights;
  Value bias;
  Attribute scheme;       // null for a plain linear
  Value staticScale = {}; // of the input, or null

  static std::optional<Projection> of(Operation *op) {
    if (auto linear = dyn_cast<transformer::LinearOp>(op))
      return Projection{op, linear.getInput(), linear.getResult(), {linear.getWeight()}, linear.getBias(), nullptr};
    auto linear = dyn_cast<lowbit::LinearOp>(op);
    if (!linear)
      return std::nullopt;
    Projection projection{op,
                          linear.getInput(),
                          linear.getResult(),
                          {linear.getCodes(), linear.getScales()},
                          linear.getBias(),
                          linear.getScheme(),
                          linear.getStaticScale()};
    if (linear.getZeroPoints())
      projection.weights.push_back(linear.getZeroPoints());
    return projection;
  }
  int64_t outputs() const { return cast<RankedTensorType>(result.getType()).getDimSize(1); }
  /// The parameter that the static scale is; null if there is no scale, or it is none.
  FlatSymbolRefAttr staticScaleName() const {
    auto get = staticScale ? staticScale.getDefiningOp<GetOp>() : GetOp();
    return get ? get.getParameterAttr() : FlatSymbolRefAttr();
  }
  Type elementType() const { return cast<RankedTensorType>(weights[0].getType()).getElementType(); }
};

/// Why two linears cannot be one, or nothing.
StringRef whyNot(const Projection &a, const Projection &b) {
  if (a.scheme != b.scheme || a.elementType() != b.elementType())
    return "their schemes differ";
  if (a.staticScale != b.staticScale && (!a.staticScaleName() || a.staticScaleName() != b.staticScaleName()))
    return "the static scales of their input differ";
  if (!a.bias != !b.bias)
    return "one has a bias, the other none";
  if (a.bias && cast<RankedTensorType>(a.bias.getType()).getElementType() !=
                    cast<RankedTensorType>(b.bias.getType()).getElementType())
    return "their biases' types differ";
  return {};
}

struct FuseProjections : qopt::impl::FuseProjectionsBase<FuseProjections>, qopt::ReportsCounts {
  SmallVector<Count> counts() const override {
    return {{"groups-fused", fusedGroups}, {"linears-fused", fusedLinears}};
  }

  void runOnOperation() override {
    fusedGroups = fusedLinears = 0;
    SymbolTable symbols(getOperation());
    readers.clear();
    getOperation().walk([&](GetOp get) { ++readers[get.getParameterAttr().getAttr()]; });
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal())
        for (Block &block : function.getBody())
          runOnBlock(block, symbols);
  }

  /// Every weight is the value of a parameter that only this linear reads: joining others would store them twice.
  bool ownsItsWeights(const Projection &projection) const {
    SmallVector<Value> values(projection.weights.begin(), projection.weights.end());
    if (projection.bias)
      values.push_back(projection.bias);
    return llvm::all_of(values, [&](Value value) {
      auto get = value.getDefiningOp<GetOp>();
      return get && value.hasOneUse() && readers.lookup(get.getParameterAttr().getAttr()) == 1;
    });
  }

  void runOnBlock(Block &block, SymbolTable &symbols) {
    llvm::MapVector<Value, SmallVector<Projection>> byInput;
    for (Operation &op : block)
      if (auto projection = Projection::of(&op);
          projection && projection->outputs() % kBlock == 0 && ownsItsWeights(*projection))
        byInput[projection->input].push_back(*projection);
    for (auto &[input, group] : byInput) {
      // Only a group that fits together as a whole: partial joins would depend on the order of ops.
      if (group.size() < 2)
        continue;
      StringRef reason;
      for (const Projection &other : ArrayRef(group).drop_front())
        if (reason.empty())
          reason = whyNot(group.front(), other);
      if (reason.empty() && llvm::any_of(group, isReturnedByForward))
        reason = "the model returns one of them, which a slice of both is no buffer for";
      if (!reason.empty()) {
        LLVM_DEBUG(llvm::dbgs() << "not fused at " << group.front().op->getLoc() << ": " << reason << "\n");
        continue;
      }
      fuse(group, symbols);
      ++fusedGroups, fusedLinears += group.size();
    }
  }

  static bool isReturnedByForward(const Projection &projection) {
    return projection.op->getParentOfType<func::FuncOp>().getSymName() == "forward" &&
           llvm::any_of(projection.result.getUsers(), llvm::IsaPred<func::ReturnOp>);
  }

  /// The gated product that consumes gate and up, both of them and nothing else, or null.
  static GatedProductOp gatedProductOf(ArrayRef<Projection> group) {
    if (group.size() != 2 || !group[0].result.hasOneUse() || !group[1].result.hasOneUse())
      return nullptr;
    auto product = dyn_cast<GatedProductOp>(*group[0].result.user_begin());
    if (!product || *group[1].result.user_begin() != product.getOperation() || product.getGate() == product.getUp() ||
        group[0].outputs() != group[1].outputs())
      return nullptr;
    return product;
  }

  void fuse(MutableArrayRef<Projection> group, SymbolTable &symbols) {
    GatedProductOp product = gatedProductOf(group);
    if (product && product.getGate() != group[0].result)
      std::swap(group[0], group[1]);
    int64_t interleave = product ? kBlock : 0;

    OpBuilder builder(group.front().op);
    // The fused op stands where the first one stood; all weights are values of parameters, available anywhere.
    Operation *first = group.front().op;
    for (const Projection &projection : group)
      if (projection.op->isBeforeInBlock(first))
        first = projection.op;
    builder.setInsertionPoint(first);
    SmallVector<Location> locations;
    for (const Projection &projection : group)
      locations.push_back(projection.op->getLoc());
    Location loc = FusedLoc::get(builder.getContext(), locations);

    SmallVector<Value, 3> weights;
    for (size_t i = 0; i < group.front().weights.size(); ++i)
      weights.push_back(join(builder, loc, symbols, interleave,
                             llvm::map_to_vector(group, [&](const Projection &p) { return p.weights[i]; })));
    Value bias;
    if (group.front().bias)
      bias = join(builder, loc, symbols, interleave,
                  llvm::map_to_vector(group, [](const Projection &p) { return p.bias; }));

    int64_t outputs = 0;
    for (const Projection &projection : group)
      outputs += projection.outputs();
    auto type = RankedTensorType::get({ShapedType::kDynamic, outputs}, builder.getF32Type());
    // As it is now: groups before may have replaced what it was.
    Value input = group.front().op->getOperand(0), scale = group.front().staticScale, fused;
    if (FlatSymbolRefAttr name = group.front().staticScaleName())
      scale = GetOp::create(builder, loc, scale.getType(), name);
    if (group.front().scheme)
      fused = lowbit::LinearOp::create(builder, loc, type, input, weights[0], weights[1],
                                       weights.size() > 2 ? weights[2] : Value(), bias, scale,
                                       cast<lowbit::SchemeAttr>(group.front().scheme));
    else
      fused = transformer::LinearOp::create(builder, loc, type, input, weights[0], bias);

    if (product) {
      builder.setInsertionPoint(product);
      Value gated = InterleavedGatedProductOp::create(builder, product.getLoc(), product.getType(), product.getKind(),
                                                      fused, kBlock);
      product.replaceAllUsesWith(gated);
      product.erase();
    } else {
      int64_t offset = 0;
      for (Projection &projection : group) {
        Value slice = SliceOp::create(builder, projection.op->getLoc(), projection.result.getType(), fused, offset);
        projection.result.replaceAllUsesWith(slice);
        offset += projection.outputs();
      }
    }
    for (Projection &projection : group) {
      SmallVector<Value> leaves(projection.weights.begin(), projection.weights.end());
      if (projection.bias)
        leaves.push_back(projection.bias);
      projection.op->erase();
      if (projection.staticScale && projection.staticScale.getDefiningOp<GetOp>() && projection.staticScale.use_empty())
        leaves.push_back(projection.staticScale);
      for (Value leaf : leaves)
        leaf.getDefiningOp()->erase();
    }
  }

  /// The value of a new parameter that concatenates the parameters behind `parts`.
  Value join(OpBuilder &builder, Location loc, SymbolTable &symbols, int64_t interleave, ArrayRef<Value> parts) {
    auto firstGet = parts.front().getDefiningOp<GetOp>();
    auto firstType = cast<RankedTensorType>(parts.front().getType());
    SmallVector<int64_t> shape(firstType.getShape());
    shape[0] = 0;
    for (Value part : parts)
      shape[0] += cast<RankedTensorType>(part.getType()).getDimSize(0);
    auto type = RankedTensorType::get(shape, firstType.getElementType());

    OpBuilder moduleBuilder(getOperation().getContext());
    auto owner = symbols.lookup<ParameterOp>(firstGet.getParameter());
    moduleBuilder.setInsertionPointAfter(owner);
    // The last part's parameter may stand later in the module; order between symbols does not matter.
    auto parameter =
        ParameterOp::create(moduleBuilder, loc, (firstGet.getParameter() + ".fused").str(), type, EntryAttr());
    StringAttr name = symbols.insert(parameter, Block::iterator(owner->getNextNode()));
    moduleBuilder.createBlock(&parameter.getInitializer());
    SmallVector<Value> values;
    for (Value part : parts)
      values.push_back(
          GetOp::create(moduleBuilder, loc, part.getType(), part.getDefiningOp<GetOp>().getParameterAttr()));
    Value joined = ConcatOp::create(moduleBuilder, loc, type, values, interleave);
    YieldOp::create(moduleBuilder, loc, joined);
    return GetOp::create(builder, loc, type, FlatSymbolRefAttr::get(name));
  }
  llvm::DenseMap<StringAttr, unsigned> readers; // reads of each parameter, in functions and initializers
  int64_t fusedGroups = 0, fusedLinears = 0;
};
} // namespace
