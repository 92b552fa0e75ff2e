// Folds pairs of scales, or cancels them.
//
// Each pair is decided alone and as a whole: both of its sides can go where they have to, or neither is touched. What
// may go where is ScaleRules.h's and ScaleFolding.h's business.
#include "passes/Fold/Passes.h"

#include "lib/Parameters/Diagnostics.h"
#include "lib/Parameters/ModelLedger.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "passes/Fold/ScaleFolding.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/Iterators.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

namespace qopt {
#define GEN_PASS_DEF_FOLDSCALES
#include "passes/Fold/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {
/// A scale of activations with what makes up for it.
struct Pair {
  lowbit::ScaleOp activations;
  SmallVector<LinearOp> readers;
  SmallVector<lowbit::ScaleOp> weights; ///< of each reader; empty if some reader does not make up for the scale

  std::string name() {
    GetOp source = factorSource(activations.getFactor());
    return source ? "@" + source.getParameter().str() : "a factor that is not a parameter";
  }
};
} // namespace

/// Whether two factors are the same parameter, repeated alike.
static bool sameFactor(Value a, Value b) {
  if (a == b)
    return true;
  auto left = a.getDefiningOp<lowbit::RepeatHeadsOp>(), right = b.getDefiningOp<lowbit::RepeatHeadsOp>();
  if (left && right)
    return left.getTimes() == right.getTimes() && left.getDim() == right.getDim() &&
           sameFactor(left.getInput(), right.getInput());
  auto from = a.getDefiningOp<GetOp>(), to = b.getDefiningOp<GetOp>();
  return from && to && from.getParameter() == to.getParameter();
}

/// The scale of `weight`'s inputs that makes up for `scale`, or null.
static lowbit::ScaleOp counterpart(lowbit::ScaleOp scale, Value weight) {
  for (auto op = weight.getDefiningOp<lowbit::ScaleOp>(); op; op = op.getInput().getDefiningOp<lowbit::ScaleOp>())
    if (op.getAxis() == 1 && op.getInverse() != scale.getInverse() && sameFactor(op.getFactor(), scale.getFactor()))
      return op;
  return {};
}

/// Adds the linears that read `value`, also through further scales, and what makes up for the pair's in their weights.
/// False if some reader does not make up for it.
static bool addReaders(Pair &pair, Value value) {
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    Operation *owner = use.getOwner();
    if (isa<lowbit::ObserveOp>(owner))
      return true;
    if (auto next = dyn_cast<lowbit::ScaleOp>(owner))
      return addReaders(pair, next.getResult());
    auto linear = dyn_cast<LinearOp>(owner);
    lowbit::ScaleOp weight;
    if (linear && linear.getInput() == use.get())
      weight = counterpart(pair.activations, linear.getWeight());
    if (weight) {
      pair.readers.push_back(linear);
      pair.weights.push_back(weight);
    }
    return weight != nullptr;
  });
}

/// Whether a scaled weight is that of these linears, and of no other.
static bool isReadOnlyBy(Value weight, ArrayRef<LinearOp> readers) {
  return llvm::all_of(weight.getUsers(), [&](Operation *user) {
    if (auto scale = dyn_cast<lowbit::ScaleOp>(user))
      return isReadOnlyBy(scale.getResult(), readers);
    auto linear = dyn_cast<LinearOp>(user);
    return linear && llvm::is_contained(readers, linear);
  });
}

static Pair pairOf(lowbit::ScaleOp activations) {
  Pair pair{activations, {}, {}};
  bool complete = addReaders(pair, activations.getResult()) && llvm::all_of(pair.weights, [&](lowbit::ScaleOp weight) {
                    return isReadOnlyBy(weight, pair.readers);
                  });
  return complete ? pair : Pair{activations, {}, {}};
}

namespace {
struct FoldScales : qopt::impl::FoldScalesBase<FoldScales>, qopt::ReportsCounts {
  using FoldScalesBase::FoldScalesBase;

  SmallVector<Count> counts() const override {
    return {{"pairs-folded", folded}, {"pairs-cancelled", cancelled}, {"scales-folded", single}};
  }

  void runOnOperation() override {
    folded = cancelled = single = 0;
    cancelledFactors.clear();
    unpaired.clear();
    if (failed(emitFailure(getOperation().getLoc(), foldAll(), "nothing was written")))
      signalPassFailure();
  }

  Status foldAll() {
    Result<std::unique_ptr<ParameterEvaluator>> opened = ParameterEvaluator::open(getOperation(), directory);
    if (!opened)
      return opened.takeError();
    parameters = opened->get();
    ScaleFolding folding(getOperation());
    eraseUnread<lowbit::ScaleOp>();
    SmallVector<lowbit::ScaleOp> scales; // of activations
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](lowbit::ScaleOp op) {
        if (isWeight(op.getInput()))
          unpaired.insert(op);
        else
          scales.push_back(op);
      });
    for (lowbit::ScaleOp scale : scales)
      if (Status status = decide(scale, folding); !status)
        return status;
    return foldWeights(folding);
  }

  /// Why activations cannot be multiplied by and divided by a factor; nothing where they can. An error if its numbers
  /// cannot be read: a file that is damaged is no reason to let a pair go.
  Result<std::optional<Error>> objectionTo(Value factor) {
    GetOp source = factorSource(factor);
    if (!source)
      return std::optional(declines("the factor is not a parameter"));
    auto parameter = getOperation().lookupSymbol<ParameterOp>(source.getParameter());
    std::string name = "parameter @" + source.getParameter().str();
    Result<HostTensor> values = parameters->evaluate(parameter);
    if (!values)
      return values.takeError();
    FloatView view = viewAsF32(*values);
    for (auto [channel, value] : llvm::enumerate(view.values))
      if (!std::isfinite(value) || !std::isfinite(1 / value))
        return std::optional(
            declines(llvm::formatv("the factor of channel {0} is {1}: it cannot be multiplied by and divided by",
                                   channel, llvm::format("%g", static_cast<double>(value)))
                         .str())
                .in(name));
    return std::optional<Error>();
  }

  Status checkPlaces(Pair &pair, const ScaleFolding &folding) {
    lowbit::ScaleOp op = pair.activations;
    Scale scale{op.getFactor(), static_cast<int64_t>(op.getAxis()), op.getInverse()};
    if (Status status = folding.check(op.getInputMutable(), scale); !status)
      return status;
    for (LinearOp reader : pair.readers)
      if (Status status = folding.check(reader.getWeightMutable(), scale); !status)
        return status;
    return {};
  }

  Status decide(lowbit::ScaleOp op, ScaleFolding &folding) {
    Result<std::optional<Error>> objection = objectionTo(op.getFactor());
    if (!objection)
      return objection.takeError();
    Pair pair = pairOf(op);
    IRRewriter rewriter(&getContext());
    Status status = *objection ? Status(**objection) : checkPlaces(pair, folding);
    if (!status)
      return refuse(pair, status.takeError(), rewriter);
    folding.fold(op, rewriter);
    for (lowbit::ScaleOp weight : pair.weights)
      unpaired.remove(weight);
    ++(pair.readers.empty() ? single : folded);
    return {};
  }

  Status refuse(Pair &pair, const Error &reason, RewriterBase &rewriter) {
    std::string place = reason.where.empty() ? "" : " (" + reason.where + ")";
    if (pair.readers.empty())
      return badInput("expected a scale that can be folded, or one that its readers make up for, but " + reason.rule +
                          place,
                      "scale by " + pair.name())
          .withNext("give every reader a lowbit.scale of its weight, or take the scale out");
    if (unfoldable == Unfoldable::Refuse)
      return badInput("expected a pair of scales that can be folded, but " + reason.rule + place,
                      "scale by " + pair.name())
          .withNext("leave this site out, or let such pairs go: unfoldable: cancel in a recipe, unfoldable=cancel of "
                    "the pass");
    mlir::emitRemark(pair.activations.getLoc())
        << "scale by " << pair.name() << " is cancelled: " << reason.rule << place;
    noteCancelledScale(getOperation(), {StringRef(pair.name()).ltrim("@").str(), reason.rule + place});
    if (GetOp source = factorSource(pair.activations.getFactor()))
      cancelledFactors.insert(source.getParameterAttr().getAttr());
    rewriter.replaceOp(pair.activations, pair.activations.getInput());
    // Several readers may share one scale of a weight.
    for (Operation *weight : llvm::SetVector<Operation *>(pair.weights.begin(), pair.weights.end())) {
      unpaired.remove(weight);
      rewriter.replaceOp(weight, weight->getOperand(0));
    }
    ++cancelled;
    return {};
  }

  /// Scales of weights, those of pairs and those of none, go into their parameters.
  Status foldWeights(ScaleFolding &folding) {
    IRRewriter rewriter(&getContext());
    for (Operation *op : unpaired) {
      Result<std::optional<Error>> objection = objectionTo(cast<lowbit::ScaleOp>(op).getFactor());
      if (!objection)
        return objection.takeError();
      if (*objection)
        return refuseWeight(**objection);
    }
    single += static_cast<int64_t>(unpaired.size());
    SmallVector<lowbit::ScaleOp> left;
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](lowbit::ScaleOp op) { left.push_back(op); });
    for (lowbit::ScaleOp op : left) {
      // The last of a chain takes the others with it.
      OpOperand &use = *op->use_begin();
      if (isa<lowbit::ScaleOp>(use.getOwner()))
        continue;
      Scale scale{op.getFactor(), static_cast<int64_t>(op.getAxis()), op.getInverse()};
      if (Status status = folding.check(use, scale); !status)
        return refuseWeight(status.takeError());
      folding.foldIntoParameter(use, rewriter);
    }
    eraseUnread<GetOp, lowbit::RepeatHeadsOp>();
    eraseUnreadFactors(rewriter);
    return {};
  }

  static Error refuseWeight(const Error &reason) {
    return badInput("expected a scale that can be folded, but " + reason.rule, reason.where);
  }

  /// Erases ops of these kinds that nothing reads.
  template <typename... Ops> void eraseUnread() {
    IRRewriter rewriter(&getContext());
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
        if (isa<Ops...>(op) && op->use_empty())
          rewriter.eraseOp(op);
      });
  }

  /// The factors of cancelled pairs, and an archive that held nothing else.
  void eraseUnreadFactors(RewriterBase &rewriter) {
    llvm::DenseSet<StringAttr> read;
    getOperation().walk([&](GetOp get) { read.insert(get.getParameterAttr().getAttr()); });
    llvm::SetVector<StringAttr> archives;
    for (StringAttr name : cancelledFactors)
      if (auto parameter = getOperation().lookupSymbol<ParameterOp>(name); parameter && !read.contains(name)) {
        if (auto source = parameter.getSource())
          archives.insert(source->getArchive().getAttr());
        rewriter.eraseOp(parameter);
      }
    for (StringAttr archive : archives)
      if (SymbolTable::symbolKnownUseEmpty(archive, getOperation()))
        rewriter.eraseOp(getOperation().lookupSymbol(archive));
  }

  ParameterEvaluator *parameters = nullptr;
  llvm::SetVector<StringAttr> cancelledFactors;
  llvm::SetVector<Operation *> unpaired; ///< scales of weights
  int64_t folded = 0, cancelled = 0, single = 0;
};
} // namespace
