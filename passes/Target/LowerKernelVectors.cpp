// Spells kernel.dot and kernel.decode_codes in the instructions of a target; see Passes.td.
//
// This file is the table of what a CPU target has to say: two ops, each a handful of instructions. All else that
// kernels are made of is plain vector arithmetic, which LLVM knows how to narrow.
#include "passes/Target/Passes.h"

#include "mlir/Dialect/Math/Transforms/Approximation.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace qopt {
#define GEN_PASS_DEF_LOWERKERNELVECTORS
#include "passes/Target/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;
using namespace qopt::kernel;

namespace {

Value intrinsic(PatternRewriter &rewriter, Location loc, StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(rewriter, loc, result, rewriter.getStringAttr(name), operands).getResult(0);
}

bool isInteger(DotOp op) { return cast<VectorType>(op.getType()).getElementType().isInteger(32); }
int64_t lanesOf(Value value) { return cast<VectorType>(value.getType()).getNumElements(); }

Value intSplat(OpBuilder &b, Location loc, VectorType type, uint64_t value) {
  APInt bits(type.getElementTypeBitWidth(), value, /*isSigned=*/false, /*implicitTrunc=*/true);
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, bits));
}

//===----------------------------------------------------------------------===//
// x86-64-v4
//===----------------------------------------------------------------------===//

struct DotToVnni : OpRewritePattern<DotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotOp op, PatternRewriter &rewriter) const override {
    if (!isInteger(op) || lanesOf(op.getAccumulator()) != 16)
      return rewriter.notifyMatchFailure(op, "not 16 lanes of i32");
    rewriter.replaceOp(
        op, intrinsic(rewriter, op.getLoc(), "llvm.x86.avx512.vpdpbusd.512", op.getType(), op.getOperands()));
    return success();
  }
};

struct DotToBf16 : OpRewritePattern<DotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotOp op, PatternRewriter &rewriter) const override {
    if (isInteger(op) || lanesOf(op.getAccumulator()) != 16)
      return rewriter.notifyMatchFailure(op, "not 16 lanes of f32");
    rewriter.replaceOp(
        op, intrinsic(rewriter, op.getLoc(), "llvm.x86.avx512bf16.dpbf16ps.512", op.getType(), op.getOperands()));
    return success();
  }
};

/// A permutation of a table of 32 words looks up 32 codes at once. It reads five bits of each index, of which the fifth
/// belongs to the next code: the table holds each value twice, and no mask is needed.
struct DecodeCodesToPermute : OpRewritePattern<DecodeCodesOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DecodeCodesOp op, PatternRewriter &rewriter) const override {
    if (lanesOf(op.getWords()) != 32)
      return rewriter.notifyMatchFailure(op, "not 32 words");
    auto words = cast<VectorType>(op.getWords().getType());
    SmallVector<APInt> table;
    for (int64_t code = 0; code < 32; ++code) {
      APFloat value(APFloat::BFloat());
      value.convertFromAPInt(APInt(32, (code & 15) - static_cast<int64_t>(op.getZero()), /*isSigned=*/true), true,
                             APFloat::rmNearestTiesToEven);
      table.push_back(value.bitcastToAPInt());
    }
    Value constant = arith::ConstantOp::create(rewriter, op.getLoc(), DenseElementsAttr::get(words, table));
    Value found = intrinsic(rewriter, op.getLoc(), "llvm.x86.avx512.permvar.hi.512", words, {constant, op.getWords()});
    rewriter.replaceOpWithNewOp<vector::BitCastOp>(op, op.getType(), found);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Any target
//===----------------------------------------------------------------------===//

/// Sums adjacent elements of a vector, in pairs, until `lanes` are left.
Value addNeighbours(PatternRewriter &rewriter, Location loc, Value products, int64_t lanes) {
  while (lanesOf(products) != lanes) {
    SmallVector<int64_t> even, odd;
    for (int64_t i = 0; i < lanesOf(products); i += 2) {
      even.push_back(i);
      odd.push_back(i + 1);
    }
    Value a = vector::ShuffleOp::create(rewriter, loc, products, products, even);
    Value b = vector::ShuffleOp::create(rewriter, loc, products, products, odd);
    products = arith::AddIOp::create(rewriter, loc, a, b);
  }
  return products;
}

struct DotToArithmetic : OpRewritePattern<DotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t lanes = lanesOf(op.getAccumulator());
    if (isInteger(op)) {
      auto wide = VectorType::get({lanesOf(op.getLhs())}, rewriter.getI32Type());
      Value a = arith::ExtUIOp::create(rewriter, loc, wide, op.getLhs());
      Value b = arith::ExtSIOp::create(rewriter, loc, wide, op.getRhs());
      Value products = arith::MulIOp::create(rewriter, loc, a, b);
      Value sums = addNeighbours(rewriter, loc, products, lanes);
      rewriter.replaceOpWithNewOp<arith::AddIOp>(op, op.getAccumulator(), sums);
      return success();
    }
    // A bf16 is the upper half of an f32: the two of each lane are a shift and a mask away.
    auto words = VectorType::get({lanes}, rewriter.getI32Type());
    auto floats = VectorType::get({lanes}, rewriter.getF32Type());
    auto halves = [&](Value pair) {
      Value bits = vector::BitCastOp::create(rewriter, loc, words, pair);
      Value low = arith::ShLIOp::create(rewriter, loc, bits, intSplat(rewriter, loc, words, 16));
      Value high = arith::AndIOp::create(rewriter, loc, bits, intSplat(rewriter, loc, words, 0xFFFF0000u));
      return std::pair<Value, Value>{vector::BitCastOp::create(rewriter, loc, floats, low),
                                     vector::BitCastOp::create(rewriter, loc, floats, high)};
    };
    auto [aLow, aHigh] = halves(op.getLhs());
    auto [bLow, bHigh] = halves(op.getRhs());
    Value first = math::FmaOp::create(rewriter, loc, aLow, bLow, op.getAccumulator());
    rewriter.replaceOpWithNewOp<math::FmaOp>(op, aHigh, bHigh, first);
    return success();
  }
};

struct DecodeCodesToArithmetic : OpRewritePattern<DecodeCodesOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DecodeCodesOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t lanes = lanesOf(op.getWords());
    auto words = cast<VectorType>(op.getWords().getType());
    auto wide = VectorType::get({lanes}, rewriter.getI32Type());
    Value code = arith::AndIOp::create(rewriter, loc, op.getWords(), intSplat(rewriter, loc, words, 15));
    code = arith::ExtUIOp::create(rewriter, loc, wide, code);
    code = arith::SubIOp::create(rewriter, loc, code, intSplat(rewriter, loc, wide, op.getZero()));
    Value value = arith::SIToFPOp::create(rewriter, loc, VectorType::get({lanes}, rewriter.getF32Type()), code);
    // Small integers are exact in bf16: its bits are the upper half.
    Value bits = vector::BitCastOp::create(rewriter, loc, wide, value);
    bits = arith::ShRUIOp::create(rewriter, loc, bits, intSplat(rewriter, loc, wide, 16));
    bits = arith::TruncIOp::create(rewriter, loc, words, bits);
    rewriter.replaceOpWithNewOp<vector::BitCastOp>(op, op.getType(), bits);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// f16 and bf16 without instructions for them
//===----------------------------------------------------------------------===//

/// Builds scalar or vector integer arithmetic of one shape.
struct Bits {
  OpBuilder &b;
  Location loc;
  Type shape; // the type whose shape results have

  Type like(Type element) const {
    auto vector = dyn_cast<VectorType>(shape);
    return vector ? Type(vector.clone(element)) : element;
  }
  Type i32() const { return like(b.getI32Type()); }
  Value constant(uint32_t value) const {
    if (auto vector = dyn_cast<VectorType>(i32()))
      return intSplat(b, loc, vector, value);
    return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(static_cast<int32_t>(value)));
  }
  Value cast(Value value, Type element) const { return arith::BitcastOp::create(b, loc, like(element), value); }
  Value shl(Value v, uint32_t n) const { return arith::ShLIOp::create(b, loc, v, constant(n)); }
  Value shr(Value v, uint32_t n) const { return arith::ShRUIOp::create(b, loc, v, constant(n)); }
  Value andWith(Value v, uint32_t mask) const { return arith::AndIOp::create(b, loc, v, constant(mask)); }
  Value orWith(Value v, Value w) const { return arith::OrIOp::create(b, loc, v, w); }
  Value addTo(Value v, Value w) const { return arith::AddIOp::create(b, loc, v, w); }
  Value atLeast(Value v, uint32_t n) const {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, v, constant(n));
  }
  Value select(Value c, Value v, Value w) const { return arith::SelectOp::create(b, loc, c, v, w); }
};

struct ExpandExtF : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    Type from = getElementTypeOrSelf(op.getIn().getType());
    if (!getElementTypeOrSelf(op.getType()).isF32() || (!from.isF16() && !from.isBF16()))
      return rewriter.notifyMatchFailure(op, "not from f16 or bf16 to f32");
    Bits bits{rewriter, op.getLoc(), op.getType()};
    Value half = bits.cast(op.getIn(), rewriter.getI16Type());
    Value wide = arith::ExtUIOp::create(rewriter, op.getLoc(), bits.i32(), half);
    if (from.isBF16()) {
      rewriter.replaceOp(op, bits.cast(bits.shl(wide, 16), rewriter.getF32Type()));
      return success();
    }
    // Exponent and mantissa moved into place are the value times 2^-112, subnormals included.
    Value magnitude = bits.shl(bits.andWith(wide, 0x7FFF), 13);
    Value scaled = arith::MulFOp::create(rewriter, op.getLoc(), bits.cast(magnitude, rewriter.getF32Type()),
                                         bits.cast(bits.constant(0x77800000), rewriter.getF32Type()));
    Value result = bits.cast(scaled, rewriter.getI32Type());
    Value special = bits.orWith(magnitude, bits.constant(0x7F800000)); // infinity, NaN
    result = bits.select(bits.atLeast(magnitude, 0x7C00u << 13), special, result);
    result = bits.orWith(result, bits.shl(bits.andWith(wide, 0x8000), 16));
    rewriter.replaceOp(op, bits.cast(result, rewriter.getF32Type()));
    return success();
  }
};

struct ExpandTruncF : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp op, PatternRewriter &rewriter) const override {
    Type to = getElementTypeOrSelf(op.getType());
    if (!getElementTypeOrSelf(op.getIn().getType()).isF32() || (!to.isF16() && !to.isBF16()))
      return rewriter.notifyMatchFailure(op, "not from f32 to f16 or bf16");
    Bits bits{rewriter, op.getLoc(), op.getType()};
    Value raw = bits.cast(op.getIn(), rewriter.getI32Type());
    Value magnitude = bits.andWith(raw, 0x7FFFFFFF), result;
    if (to.isBF16()) {
      // Half a unit in the last place, less one where the kept part is even.
      Value odd = bits.andWith(bits.shr(raw, 16), 1);
      Value rounded = bits.shr(bits.addTo(bits.addTo(raw, bits.constant(0x7FFF)), odd), 16);
      Value quiet = bits.orWith(bits.shr(raw, 16), bits.constant(0x40));
      result = bits.select(bits.atLeast(magnitude, 0x7F800001), quiet, rounded);
    } else {
      Value odd = bits.andWith(bits.shr(magnitude, 13), 1);
      Value normal = bits.shr(bits.addTo(bits.addTo(magnitude, bits.constant(0xC8000FFFu)), odd), 13);
      // Below 2^-14 the sum with 0.5 rounds at the position of f16's last subnormal bit.
      Value sum = arith::AddFOp::create(rewriter, op.getLoc(), bits.cast(magnitude, rewriter.getF32Type()),
                                        bits.cast(bits.constant(0x3F000000), rewriter.getF32Type()));
      Value subnormal = arith::SubIOp::create(rewriter, op.getLoc(), bits.cast(sum, rewriter.getI32Type()),
                                              bits.constant(0x3F000000));
      Value special = bits.select(bits.atLeast(magnitude, 0x7F800001), bits.constant(0x7E00), bits.constant(0x7C00));
      result = bits.select(bits.atLeast(magnitude, 0x38800000), normal, subnormal);
      result = bits.select(bits.atLeast(magnitude, 0x47800000), special, result);
      result = bits.orWith(result, bits.shr(bits.andWith(raw, 0x80000000u), 16));
    }
    Value narrow = arith::TruncIOp::create(rewriter, op.getLoc(), bits.like(rewriter.getI16Type()), result);
    rewriter.replaceOp(op, bits.cast(narrow, to));
    return success();
  }
};

struct ExpandFma : OpRewritePattern<math::FmaOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::FmaOp op, PatternRewriter &rewriter) const override {
    Value product = arith::MulFOp::create(rewriter, op.getLoc(), op.getA(), op.getB());
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, product, op.getC());
    return success();
  }
};

struct LowerKernelVectors : qopt::impl::LowerKernelVectorsBase<LowerKernelVectors> {
  using LowerKernelVectorsBase::LowerKernelVectorsBase;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    // The benefit decides: an instruction where the target has one, arithmetic elsewhere.
    if (vectors != VectorTarget::Generic)
      set.add<DotToVnni>(context, 2);
    if (vectors == VectorTarget::X86V4Bf16)
      set.add<DotToBf16>(context, 2);
    if (vectors != VectorTarget::Generic)
      set.add<DecodeCodesToPermute>(context, 2);
    set.add<DotToArithmetic, DecodeCodesToArithmetic>(context, 1);
    if (expandHalf)
      set.add<ExpandExtF, ExpandTruncF>(context);
    if (expandFma)
      set.add<ExpandFma>(context);
    // Sines and cosines stay calls of the C library: angles are large, and there is one for each token, not each layer.
    populateMathPolynomialApproximationPatterns(
        set, [](StringRef name) { return llvm::is_contained({"math.exp", "math.erf", "math.tanh"}, name); });
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    if (failed(applyPatternsGreedily(getOperation(), patterns, config)))
      signalPassFailure();
  }

  FrozenRewritePatternSet patterns;
};
} // namespace
