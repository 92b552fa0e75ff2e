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
/// Of a word, the bits that are the code.
uint64_t maskOf(DecodeCodesOp op) { return (uint64_t{1} << op.getBits()) - 1; }

Value intSplat(OpBuilder &b, Location loc, VectorType type, uint64_t value) {
  APInt bits(type.getElementTypeBitWidth(), value, /*isSigned=*/false, /*implicitTrunc=*/true);
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, bits));
}

//===----------------------------------------------------------------------===//
// x86-64-v4
//===----------------------------------------------------------------------===//

/// 16 lanes, of i32 or of f32, are one instruction.
struct DotToInstruction : OpRewritePattern<DotOp> {
  DotToInstruction(MLIRContext *context, bool integers, StringRef instruction, PatternBenefit benefit)
      : OpRewritePattern(context, benefit), integers(integers), instruction(instruction) {}
  LogicalResult matchAndRewrite(DotOp op, PatternRewriter &rewriter) const override {
    if (isInteger(op) != integers || lanesOf(op.getAccumulator()) != 16)
      return rewriter.notifyMatchFailure(op, integers ? "not 16 lanes of i32" : "not 16 lanes of f32");
    rewriter.replaceOp(op, intrinsic(rewriter, op.getLoc(), instruction, op.getType(), op.getOperands()));
    return success();
  }

  bool integers;
  StringRef instruction; // a literal
};

/// A permutation of a table of 32 words looks up 32 codes at once. It reads five bits of each index: for codes of 4
/// bits the fifth belongs to the next code, so the table holds each value twice, and no mask is needed. For 6 bits
/// there is one of two tables.
struct DecodeCodesToPermute : OpRewritePattern<DecodeCodesOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DecodeCodesOp op, PatternRewriter &rewriter) const override {
    if (lanesOf(op.getWords()) != 32)
      return rewriter.notifyMatchFailure(op, "not 32 words");
    Location loc = op.getLoc();
    auto words = cast<VectorType>(op.getWords().getType());
    auto mask = static_cast<int64_t>(maskOf(op));
    auto table = [&](int64_t first) -> Value {
      SmallVector<APInt> values;
      for (int64_t code = first; code < first + 32; ++code) {
        APFloat value(APFloat::BFloat());
        value.convertFromAPInt(APInt(32, (code & mask) - static_cast<int64_t>(op.getZero()), /*isSigned=*/true), true,
                               APFloat::rmNearestTiesToEven);
        values.push_back(value.bitcastToAPInt());
      }
      return arith::ConstantOp::create(rewriter, loc, DenseElementsAttr::get(words, values));
    };
    Value found =
        op.getBits() == 6
            ? intrinsic(rewriter, loc, "llvm.x86.avx512.vpermi2var.hi.512", words, {table(0), op.getWords(), table(32)})
            : intrinsic(rewriter, loc, "llvm.x86.avx512.permvar.hi.512", words, {table(0), op.getWords()});
    rewriter.replaceOpWithNewOp<vector::BitCastOp>(op, op.getType(), found);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// x86-64
//===----------------------------------------------------------------------===//

/// The bytes of a vector as i16: those at even places, those at odd places.
std::pair<Value, Value> alternateBytes(PatternRewriter &rewriter, Location loc, Value bytes, bool isSigned) {
  auto words = VectorType::get({lanesOf(bytes) / 2}, rewriter.getI16Type());
  Value both = vector::BitCastOp::create(rewriter, loc, words, bytes);
  Value eight = intSplat(rewriter, loc, words, 8);
  if (!isSigned)
    return {arith::AndIOp::create(rewriter, loc, both, intSplat(rewriter, loc, words, 0xFF)),
            arith::ShRUIOp::create(rewriter, loc, both, eight)};
  Value even = arith::ShLIOp::create(rewriter, loc, both, eight);
  return {arith::ShRSIOp::create(rewriter, loc, even, eight), arith::ShRSIOp::create(rewriter, loc, both, eight)};
}

/// SSE2 multiplies i16 and adds neighbours to i32: bytes at even places of a lane are such a pair, those at odd places
/// another, so that nothing is shuffled.
struct DotToMultiplyAdd : OpRewritePattern<DotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotOp op, PatternRewriter &rewriter) const override {
    constexpr int64_t kRegister = 4; // lanes of i32
    if (!isInteger(op) || lanesOf(op.getAccumulator()) % kRegister != 0)
      return rewriter.notifyMatchFailure(op, "not whole registers of i32");
    Location loc = op.getLoc();
    auto words = VectorType::get({2 * kRegister}, rewriter.getI16Type());
    auto sums = VectorType::get({kRegister}, rewriter.getI32Type());
    auto [aEven, aOdd] = alternateBytes(rewriter, loc, op.getLhs(), /*isSigned=*/false);
    auto [bEven, bOdd] = alternateBytes(rewriter, loc, op.getRhs(), /*isSigned=*/true);
    auto part = [&](Value whole, int64_t first, int64_t lanes) -> Value {
      return vector::ExtractStridedSliceOp::create(rewriter, loc, whole, ArrayRef<int64_t>{first},
                                                   ArrayRef<int64_t>{lanes}, ArrayRef<int64_t>{1});
    };
    Value result = op.getAccumulator();
    for (int64_t lane = 0; lane < lanesOf(op.getAccumulator()); lane += kRegister) {
      Value sum = part(op.getAccumulator(), lane, kRegister);
      for (auto [a, b] : {std::pair{aEven, bEven}, std::pair{aOdd, bOdd}}) {
        Value products =
            intrinsic(rewriter, loc, "llvm.x86.sse2.pmadd.wd", sums,
                      {part(a, 2 * lane, words.getNumElements()), part(b, 2 * lane, words.getNumElements())});
        sum = arith::AddIOp::create(rewriter, loc, sum, products);
      }
      result = vector::InsertStridedSliceOp::create(rewriter, loc, sum, result, ArrayRef<int64_t>{lane},
                                                    ArrayRef<int64_t>{1});
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// SSE2 has no rounding: towards zero and one less where that was up. For what fits an i32, as arguments of
/// exponentials do.
struct ExpandFloor : OpRewritePattern<math::FloorOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::FloorOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type type = op.getType(), integers = rewriter.getI32Type();
    if (!getElementTypeOrSelf(type).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    if (auto vector = dyn_cast<VectorType>(type))
      integers = vector.clone(integers);
    Value whole = arith::FPToSIOp::create(rewriter, loc, integers, op.getOperand());
    Value rounded = arith::SIToFPOp::create(rewriter, loc, type, whole);
    TypedAttr oneAttr = rewriter.getF32FloatAttr(1.0f);
    if (auto vector = dyn_cast<VectorType>(type))
      oneAttr = DenseElementsAttr::get(vector, 1.0f);
    Value less = arith::SubFOp::create(rewriter, loc, rounded, arith::ConstantOp::create(rewriter, loc, oneAttr));
    Value up = arith::CmpFOp::create(rewriter, loc, arith::CmpFPredicate::OGT, rounded, op.getOperand());
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, up, less, rounded);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Any target
//===----------------------------------------------------------------------===//

struct DotToArithmetic : OpRewritePattern<DotOp> {
  /// `decodesToBf16`: codes become bf16 in one instruction, so that it pays to go through them.
  DotToArithmetic(MLIRContext *context, bool decodesToBf16) : OpRewritePattern(context), decodesToBf16(decodesToBf16) {}
  LogicalResult matchAndRewrite(DotOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t lanes = lanesOf(op.getAccumulator());
    auto words = VectorType::get({lanes}, rewriter.getI32Type());
    if (isInteger(op)) {
      // Byte i of every lane, widened in place: multiply-adds of whole lanes, and no shuffles.
      Value a = vector::BitCastOp::create(rewriter, loc, words, op.getLhs());
      Value b = vector::BitCastOp::create(rewriter, loc, words, op.getRhs()), sum = op.getAccumulator();
      for (uint64_t byte = 0; byte < 4; ++byte) {
        Value code = arith::ShRUIOp::create(rewriter, loc, a, intSplat(rewriter, loc, words, 8 * byte));
        code = arith::AndIOp::create(rewriter, loc, code, intSplat(rewriter, loc, words, 0xFF));
        Value activation = arith::ShLIOp::create(rewriter, loc, b, intSplat(rewriter, loc, words, 24 - 8 * byte));
        activation = arith::ShRSIOp::create(rewriter, loc, activation, intSplat(rewriter, loc, words, 24));
        sum = arith::AddIOp::create(rewriter, loc, sum, arith::MulIOp::create(rewriter, loc, code, activation));
      }
      rewriter.replaceOp(op, sum);
      return success();
    }
    // A bf16 is the upper half of an f32: the two of each lane are a shift and a mask away.
    auto floats = VectorType::get({lanes}, rewriter.getF32Type());
    auto halves = [&](Value pair) {
      Value bits = vector::BitCastOp::create(rewriter, loc, words, pair);
      Value low = arith::ShLIOp::create(rewriter, loc, bits, intSplat(rewriter, loc, words, 16));
      Value high = arith::AndIOp::create(rewriter, loc, bits, intSplat(rewriter, loc, words, 0xFFFF0000u));
      return std::pair<Value, Value>{vector::BitCastOp::create(rewriter, loc, floats, low),
                                     vector::BitCastOp::create(rewriter, loc, floats, high)};
    };
    // Codes become the f32 that they would be rounded from: small integers are exact.
    auto codes = [&](DecodeCodesOp decode) {
      Value bits = vector::BitCastOp::create(rewriter, loc, words, decode.getWords());
      auto number = [&](uint64_t shift) -> Value {
        Value code = arith::ShRUIOp::create(rewriter, loc, bits, intSplat(rewriter, loc, words, shift));
        code = arith::AndIOp::create(rewriter, loc, code, intSplat(rewriter, loc, words, maskOf(decode)));
        code = arith::SubIOp::create(rewriter, loc, code, intSplat(rewriter, loc, words, decode.getZero()));
        return arith::SIToFPOp::create(rewriter, loc, floats, code);
      };
      return std::pair<Value, Value>{number(0), number(16)};
    };
    auto decode = decodesToBf16 ? DecodeCodesOp() : op.getLhs().getDefiningOp<DecodeCodesOp>();
    auto [aLow, aHigh] = decode ? codes(decode) : halves(op.getLhs());
    auto [bLow, bHigh] = halves(op.getRhs());
    Value first = math::FmaOp::create(rewriter, loc, aLow, bLow, op.getAccumulator());
    rewriter.replaceOpWithNewOp<math::FmaOp>(op, aHigh, bHigh, first);
    return success();
  }

  bool decodesToBf16;
};

struct DecodeCodesToArithmetic : OpRewritePattern<DecodeCodesOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DecodeCodesOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t lanes = lanesOf(op.getWords());
    auto words = cast<VectorType>(op.getWords().getType());
    auto wide = VectorType::get({lanes}, rewriter.getI32Type());
    Value code = arith::AndIOp::create(rewriter, loc, op.getWords(), intSplat(rewriter, loc, words, maskOf(op)));
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

/// Canonicalization turns a conversion of an integer to f32 and then to f16 or bf16 into one; LLVM would call a library
/// for that. Codes are small: through f32 they are exact.
struct ExpandSIToFP : OpRewritePattern<arith::SIToFPOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::SIToFPOp op, PatternRewriter &rewriter) const override {
    Type to = getElementTypeOrSelf(op.getType());
    if (!to.isF16() && !to.isBF16())
      return rewriter.notifyMatchFailure(op, "not to f16 or bf16");
    Bits bits{rewriter, op.getLoc(), op.getType()};
    Value wide = arith::SIToFPOp::create(rewriter, op.getLoc(), bits.like(rewriter.getF32Type()), op.getIn());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, op.getType(), wide);
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
    bool v4 = vectors == VectorTarget::X86V4 || vectors == VectorTarget::X86V4Bf16;
    if (v4) {
      set.add<DotToInstruction>(context, /*integers=*/true, "llvm.x86.avx512.vpdpbusd.512", 2);
      set.add<DecodeCodesToPermute>(context, 2);
    }
    if (vectors == VectorTarget::X86V4Bf16)
      set.add<DotToInstruction>(context, /*integers=*/false, "llvm.x86.avx512bf16.dpbf16ps.512", 2);
    if (vectors == VectorTarget::X86)
      set.add<DotToMultiplyAdd, ExpandFloor>(context, 2);
    set.add<DotToArithmetic>(context, /*decodesToBf16=*/v4);
    set.add<DecodeCodesToArithmetic>(context);
    if (expandHalf)
      set.add<ExpandExtF, ExpandTruncF, ExpandSIToFP>(context);
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
