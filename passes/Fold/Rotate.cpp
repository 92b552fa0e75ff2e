// Rotates the residual stream and the values of each head.
//
//   embedding  E                →  E·Q            norm       γ  →  1
//   reader     W  (of a norm)   →  W·diag(γ)·Q    writer     W  →  Qᵀ·W, b → b·Q
//   values     Wv               →  Qhᵀ·Wv by head  reader of attention  Wo → Wo·Qh by head
//
// Everything is decided before anything is rewritten; the stream is ResidualStream.h's business, the matrices are
// lib/Algorithms/Rotation.h's.
#include "lib/Parameters/Diagnostics.h"
#include "lib/Parameters/SchemeAttributes.h"
#include "passes/Fold/Passes.h"
#include "passes/Fold/ResidualStream.h"
#include "passes/Fold/ScaleRules.h"
#include "passes/Fold/StageOrder.h"
#include "passes/Support/Forward.h"
#include "passes/Support/PassCounts.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

namespace qopt {
#define GEN_PASS_DEF_ROTATE
#include "passes/Fold/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {
/// What happens to one parameter where one op reads it, in this order.
struct Change {
  StringAttr norm;         ///< inputs times the weight of this norm, if there is one
  bool ones = false;       ///< becomes 1 everywhere
  bool inputs = false;     ///< axis 1 by the stream's matrix
  bool outputs = false;    ///< axis 0 by the stream's matrix
  int64_t headInputs = 0;  ///< axis 1 by the heads' matrix, of that size
  int64_t headOutputs = 0; ///< axis 0 by the heads' matrix, of that size
};

struct Rotate : qopt::impl::RotateBase<Rotate>, qopt::ReportsCounts {
  using RotateBase::RotateBase;

  SmallVector<Count> counts() const override {
    return {{"parameters-rotated", rotated}, {"heads-rotated", heads}, {"embeddings-untied", untied}};
  }

  void runOnOperation() override {
    rotated = heads = untied = 0;
    changes.clear();
    if (failed(emitFailure(getOperation().getLoc(), rotateModel(), "nothing was written")))
      signalPassFailure();
  }

  Status rotateModel() {
    Result<func::FuncOp> forward = forwardOf(getOperation());
    if (!forward)
      return forward.takeError();
    if (Status status = checkStageOrder(getOperation(), QuantizationStage::Rotation, "rotate"); !status)
      return status;
    Result<ResidualStream> stream = findResidualStream(*forward);
    if (!stream)
      return stream.takeError();
    channels = stream->channels;
    if (Status status = checkSize(channels); !status)
      return status;
    if (Status status = planStream(*stream); !status)
      return status;
    if (valueHeads)
      for (AttentionOp attention : llvm::to_vector(forward->getOps<AttentionOp>()))
        if (Status status = planHeads(attention); !status)
          return status;
    if (Status status = checkReaders(); !status)
      return status;
    rewriteAll();
    return {};
  }

  Status checkSize(int64_t size) { return Rotation::check(toRotationKind(kind), size); }

  /// The change of what `operand` reads.
  Result<Change *> changeOf(OpOperand &operand) {
    auto get = operand.get().getDefiningOp<GetOp>();
    if (!get)
      return badInput("expected a weight that transformer.get reads",
                      operand.getOwner()->getName().getStringRef().str())
          .withNext("rotate the model as it was imported, before scales are folded and weights joined");
    return &changes[&operand];
  }

  /// The changes of what a linear writes with: its weight, and its bias if it has one.
  Status changeOutputs(LinearOp writer, llvm::function_ref<void(Change &)> edit) {
    SmallVector<OpOperand *, 2> operands{&writer.getWeightMutable()};
    for (OpOperand &bias : writer.getBiasMutable())
      operands.push_back(&bias);
    for (OpOperand *operand : operands) {
      Result<Change *> change = changeOf(*operand);
      if (!change)
        return change.takeError();
      edit(**change);
    }
    return {};
  }

  Status planStream(ResidualStream &stream) {
    for (EmbeddingOp embedding : stream.embeddings) {
      Result<Change *> change = changeOf(embedding.getTableMutable());
      if (!change)
        return change.takeError();
      (*change)->inputs = true;
    }
    for (LinearOp writer : stream.writers)
      if (Status status = changeOutputs(writer, [](Change &change) { change.outputs = true; }); !status)
        return status;
    for (RmsNormOp norm : stream.norms)
      if (Status status = planNorm(norm); !status)
        return status;
    return {};
  }

  Status planNorm(RmsNormOp norm) {
    Result<Change *> own = changeOf(norm.getWeightMutable());
    if (!own)
      return own.takeError();
    (*own)->ones = true;
    StringAttr name = norm.getWeight().getDefiningOp<GetOp>().getParameterAttr().getAttr();
    llvm::SetVector<Value> results;
    results.insert(norm.getResult());
    for (size_t i = 0; i < results.size(); ++i)
      for (OpOperand &use : results[i].getUses()) {
        Operation *user = use.getOwner();
        if (isa<SelectRowsOp>(user)) {
          results.insert(user->getResult(0));
          continue;
        }
        auto linear = dyn_cast<LinearOp>(user);
        if (!linear || linear.getInput() != use.get())
          return badInput("expected norms that linears alone read, but " + user->getName().getStringRef().str() +
                          " does");
        Result<Change *> change = changeOf(linear.getWeightMutable());
        if (!change)
          return change.takeError();
        (*change)->norm = name, (*change)->inputs = true;
      }
    return {};
  }

  /// Values are written by the one update of their layer, and read back by linears.
  Status planHeads(AttentionOp attention) {
    int64_t size = attention.getCache().getType().getDim();
    if (Status status = checkSize(size); !status)
      return status;
    Result<OpOperand *> values = valuesOf(attention);
    if (!values)
      return values.takeError().in("transformer.attention");
    auto writer = (*values)->get().getDefiningOp<LinearOp>();
    if (!writer || !writer.getResult().hasOneUse())
      return badInput("expected values that a linear makes for the cache alone", "transformer.attention");
    if (Status status = changeOutputs(writer, [&](Change &change) { change.headOutputs = size; }); !status)
      return status;
    for (OpOperand &use : attention.getResult().getUses()) {
      auto linear = dyn_cast<LinearOp>(use.getOwner());
      if (!linear || linear.getInput() != use.get())
        return badInput("expected attention whose result linears alone read, but " +
                            use.getOwner()->getName().getStringRef().str() + " does",
                        "transformer.attention");
      Result<Change *> change = changeOf(linear.getWeightMutable());
      if (!change)
        return change.takeError();
      (*change)->headInputs = size;
    }
    ++heads;
    return {};
  }

  /// A parameter may be read by one op, or by an embedding and one linear.
  Status checkReaders() {
    llvm::StringMap<SmallVector<OpOperand *>> readers;
    for (auto &[operand, change] : changes)
      readers[operand->get().getDefiningOp<GetOp>().getParameter()].push_back(operand);
    llvm::StringMap<int64_t> reads;
    getOperation().walk([&](GetOp get) {
      int64_t uses = std::distance(get->use_begin(), get->use_end());
      reads[get.getParameter()] += uses;
    });
    for (auto &entry : readers) {
      auto &operands = entry.getValue();
      bool tied = operands.size() == 2 &&
                  llvm::any_of(operands, [](OpOperand *operand) { return isa<EmbeddingOp>(operand->getOwner()); });
      if (reads[entry.getKey()] != static_cast<int64_t>(operands.size()) || (operands.size() != 1 && !tied))
        return badInput("expected parameters that one op reads, or an embedding that is the output head too, but this "
                        "one is read " +
                            std::to_string(reads[entry.getKey()]) + " times",
                        "parameter @" + entry.getKey().str());
    }
    return {};
  }

  std::string freeName(const std::string &wanted) {
    std::string name = wanted;
    for (int number = 2; getOperation().lookupSymbol(name); ++number)
      name = wanted + "." + std::to_string(number);
    return name;
  }

  void rewriteAll() {
    IRRewriter rewriter(&getContext());
    // What a parameter was, under its new name.
    llvm::MapVector<StringAttr, StringAttr> unrotated;
    for (auto &[operand, change] : changes) {
      StringAttr name = operand->get().getDefiningOp<GetOp>().getParameterAttr().getAttr();
      if (unrotated.contains(name))
        continue;
      auto parameter = getOperation().lookupSymbol<ParameterOp>(name);
      unrotated[name] = rewriter.getStringAttr(freeName((name.getValue() + ".unrotated").str()));
      rewriter.modifyOpInPlace(parameter, [&] { parameter.setSymNameAttr(unrotated[name]); });
    }
    llvm::DenseSet<StringAttr> taken;
    for (auto &[operand, change] : changes) {
      auto get = operand->get().getDefiningOp<GetOp>();
      StringAttr name = get.getParameterAttr().getAttr(), newName = name;
      if (!taken.insert(name).second) {
        newName = rewriter.getStringAttr(freeName((name.getValue() + ".untied").str()));
        ++untied;
      }
      auto old = getOperation().lookupSymbol<ParameterOp>(unrotated[name]);
      rewriter.setInsertionPointAfter(old);
      auto type = RankedTensorType::get(cast<RankedTensorType>(old.getType()).getShape(), rewriter.getF32Type());
      auto parameter = ParameterOp::create(rewriter, old.getLoc(), newName, type, EntryAttr());
      rewriter.createBlock(&parameter.getInitializer());
      YieldOp::create(rewriter, old.getLoc(), initialValue(rewriter, old, type, change, unrotated));
      rewriter.setInsertionPoint(operand->getOwner());
      Value read = GetOp::create(rewriter, get.getLoc(), type, newName);
      rewriter.modifyOpInPlace(operand->getOwner(), [&] { operand->set(read); });
      if (get->use_empty())
        rewriter.eraseOp(get);
      rotated += !change.ones;
    }
    for (auto &[name, old] : unrotated)
      if (SymbolTable::symbolKnownUseEmpty(old, getOperation()))
        rewriter.eraseOp(getOperation().lookupSymbol(old));
  }

  Value initialValue(OpBuilder &builder, ParameterOp old, RankedTensorType type, const Change &change,
                     const llvm::MapVector<StringAttr, StringAttr> &unrotated) {
    Location loc = old.getLoc();
    if (change.ones)
      return lowbit::FillOp::create(builder, loc, type, llvm::APFloat(1.0));
    Value value = GetOp::create(builder, loc, old.getType(), old.getSymName());
    if (change.norm) {
      auto weight = getOperation().lookupSymbol<ParameterOp>(unrotated.lookup(change.norm));
      Value gamma = GetOp::create(builder, loc, weight.getType(), weight.getSymName());
      // A factor is f32: a scale by one from another type goes through its own product with 1.
      auto factorType =
          RankedTensorType::get(cast<RankedTensorType>(weight.getType()).getShape(), builder.getF32Type());
      if (gamma.getType() != factorType) {
        Value one = lowbit::FillOp::create(builder, loc, factorType, llvm::APFloat(1.0));
        gamma = lowbit::ScaleOp::create(builder, loc, factorType, gamma, one, /*axis=*/0, /*inverse=*/false,
                                        /*alone=*/true);
      }
      value = lowbit::ScaleOp::create(builder, loc, type, value, gamma, /*axis=*/1, /*inverse=*/false, /*alone=*/true);
    }
    auto turn = [&](int64_t axis, int64_t size, uint64_t by) {
      value = lowbit::OrthogonalOp::create(builder, loc, type, value, axis, kind, size, by);
    };
    // Heads have a matrix of their own.
    if (change.headInputs)
      turn(1, change.headInputs, seed + 1);
    if (change.headOutputs)
      turn(0, change.headOutputs, seed + 1);
    if (change.inputs)
      turn(1, channels, seed);
    if (change.outputs)
      turn(0, channels, seed);
    return value;
  }

  llvm::MapVector<OpOperand *, Change> changes;
  int64_t channels = 0, rotated = 0, heads = 0, untied = 0;
};
} // namespace
