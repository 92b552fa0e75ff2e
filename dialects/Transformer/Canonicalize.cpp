// Folds and canonicalizations of the transformer dialect: ops that select or order values, never ops that compute them.
#include "dialects/Transformer/Dialect.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace qopt::transformer;

//===----------------------------------------------------------------------===//
// Folds
//===----------------------------------------------------------------------===//

/// A slice of all channels is its input.
OpFoldResult SliceOp::fold(FoldAdaptor) {
  return getInput().getType() == getResult().getType() ? OpFoldResult(getInput()) : OpFoldResult();
}

/// One tensor joined with nothing is itself, interleaved or not.
OpFoldResult ConcatOp::fold(FoldAdaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getResult().getType())
    return getInputs()[0];
  return {};
}

/// In a head of two rows, the pairs layout and the halves layout are the same.
OpFoldResult UnpermuteRotaryOp::fold(FoldAdaptor) {
  int64_t rows = getResult().getType().getDimSize(0), heads = static_cast<int64_t>(getHeads());
  return rows / heads == 2 ? OpFoldResult(getInput()) : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// Canonicalizations
//===----------------------------------------------------------------------===//

namespace {

/// slice(slice(x at a) at b) = slice(x at a + b).
struct SliceOfSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<SliceOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "the input is no slice");
    rewriter.replaceOpWithNewOp<SliceOp>(op, op.getResult().getType(), inner.getInput(),
                                         static_cast<int64_t>(inner.getOffset() + op.getOffset()));
    return success();
  }
};

/// concat(…, concat(a, b), …) = concat(…, a, b, …), where neither interleaves.
struct ConcatOfConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    if (op.getInterleave() != 0)
      return rewriter.notifyMatchFailure(op, "its inputs are interleaved");
    SmallVector<Value> inputs;
    for (Value input : op.getInputs()) {
      auto inner = input.getDefiningOp<ConcatOp>();
      if (inner && inner.getInterleave() == 0)
        llvm::append_range(inputs, inner.getInputs());
      else
        inputs.push_back(input);
    }
    if (inputs.size() == op.getInputs().size())
      return rewriter.notifyMatchFailure(op, "no input is a plain concatenation");
    rewriter.replaceOpWithNewOp<ConcatOp>(op, op.getResult().getType(), inputs, int64_t{0});
    return success();
  }
};

} // namespace

void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SliceOfSlice>(context);
}

void ConcatOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ConcatOfConcat>(context);
}
