// Emits a matmul of encoded activations and a packed weight, with its elementwise epilogue.
//
// A tile is one panel: 16 outputs in the lanes of a vector, by a block of tokens whose accumulators live in registers.
// Inputs ascend; for each, one vector of weights is multiplied with one activation, repeated over the lanes, for every
// token of the block. So an element's order of summation is that of K alone: the number of tokens changes how many
// accumulators there are, never what goes into one. Integer sums are exact, so they may be split freely.
//
// Where registers allow, two panels are taken together, so that an activation is loaded once for both: a load for each
// multiplication is more than some processors have room for.
#include "passes/Lower/Emit/MatmulEpilogue.h"
#include "passes/Lower/Emit/MatmulTiles.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;
using kernel::PanelAttr;
using kernel::PanelCode;

namespace {

/// Inputs whose products are emitted without a loop: long enough to hide the loop, short enough for the code cache.
constexpr int64_t kUnrolledInputs = 64;
/// The same of two panels and several tokens, in steps: an activation is in a register from its load to its second use,
/// and of a longer run LLVM's scheduler loads them all at the beginning, and spills them.
constexpr int64_t kUnrolledStepsOfTwo = 8;

/// Blocks of tokens, largest first; the last must be 1. With the largest, accumulators and weights just fit into 32
/// registers.
constexpr int64_t kTokenBlocksInteger[] = {12, 4, 1};
constexpr int64_t kTokenBlocksBf16[] = {8, 4, 1};
constexpr int64_t kTokenBlocksF32[] = {12, 4, 1};

/// bf16 products of even and odd steps go to accumulators of their own, for every number of tokens alike. A target with
/// few registers has one: the order of sums is promised per target.
constexpr int64_t kBf16Accumulators = 2;
/// Bytes of activations that a worker's panels go over before they go over the next ones: with a pair of panels they
/// stay in a second-level cache of 1 MiB.
constexpr int64_t kActivationBytes = 512 << 10;
/// Below so many tokens at a time a target has no registers to spare for several accumulators of one element.
constexpr int64_t kFewTokens = 8;

class MatmulEmitter {
public:
  MatmulEmitter(KernelBuilder &b, KernelContext &context, lowbit::MatmulOp op, Operation *after)
      : b(b), epilogue(b, context, op, after), layout(cast<PanelAttr>(op.getLayout())) {
    auto bufferOf = [&](Value value) { return value ? context.buffers.lookup(value) : Value(); };
    scales = bufferOf(op.getScales()), sums = bufferOf(op.getSums()), weight = bufferOf(op.getWeight());
    payload = bufferOf(throughSlices(op.getPayload(), payloadColumn));
    inputs = cast<RankedTensorType>(op.getPayload().getType()).getDimSize(1);
    Type element = cast<MemRefType>(payload.getType()).getElementType();
    integer = element.isInteger(8), bf16 = element.isBF16();
    group = layout.getGroupSize(inputs), mostTokens = context.mostTokens;
    // What is summed before a scale changes.
    stretch = integer ? inputs / cast<MemRefType>(sums.getType()).getDimSize(1) : group;
  }

  void emit(Value lower, Value upper) {
    Value tokens = memref::DimOp::create(b, payload, 0);
    ArrayRef<int64_t> known = integer ? ArrayRef<int64_t>(kTokenBlocksInteger)
                              : bf16  ? ArrayRef<int64_t>(kTokenBlocksBf16)
                                      : ArrayRef<int64_t>(kTokenBlocksF32);
    SmallVector<int64_t> blocks;
    for (int64_t block : known)
      if (block < mostTokens)
        blocks.push_back(block);
    if (mostTokens <= known.front())
      blocks.insert(blocks.begin(), mostTokens);
    // Of whole blocks, so that only the last portion has a rest.
    int64_t tokenBytes = inputs * cast<MemRefType>(payload.getType()).getElementTypeBitWidth() / 8;
    int64_t portion = std::max<int64_t>(kActivationBytes / tokenBytes / blocks.front(), 1) * blocks.front();
    b.loop(b.index(0), tokens, portion, [&](Value first) {
      Value last = b.minIndex(b.add(first, portion), tokens);
      emitTokens(lower, upper, first, last, blocks);
    });
  }

private:
  /// All panels from lower to upper by the tokens from first to last.
  void emitTokens(Value lower, Value upper, Value first, Value last, ArrayRef<int64_t> blocks) {
    auto emitTiles = [&](ArrayRef<Value> tiles) {
      Value start = first;
      for (int64_t block : blocks) {
        Value end = b.sub(last, block == 1 ? b.index(0) : b.rem(b.sub(last, start), block));
        b.loop(start, end, block, [&](Value token) { emitTilesOfTokens(tiles, token, block); });
        start = end;
      }
    };
    if (epilogue.isPaired() || !takesTwoPanels())
      return b.loop(lower, upper, 1, [&](Value tile) { emitTiles(tile); });
    Value pairsEnd = b.sub(upper, b.rem(b.sub(upper, lower), 2));
    b.loop(lower, pairsEnd, 2, [&](Value tile) { emitTiles({tile, b.add(tile, 1)}); });
    b.loop(pairsEnd, upper, 1, [&](Value tile) { emitTiles(tile); });
  }

  /// Where an element has one accumulator, those of two panels fit into 32 registers. Those of bf16 have two.
  bool takesTwoPanels() const { return !bf16 && mostTokens >= kTokenBlocksF32[0]; }

  void emitTilesOfTokens(ArrayRef<Value> tiles, Value token, int64_t block) {
    SmallVector<Value> panels(tiles);
    if (epilogue.isPaired())
      panels = {b.mul(tiles[0], 2), b.add(b.mul(tiles[0], 2), 1)};
    SmallVector<Value> products;
    if (takesTwoPanels())
      products = emitPanels(panels, token, block);
    else
      for (Value panel : panels)
        llvm::append_range(products, emitPanels(panel, token, block));
    if (epilogue.isPaired())
      for (int64_t m = 0; m < block; ++m)
        products[m] = epilogue.gated(products[m], products[block + m]);
    for (auto [i, tile] : llvm::enumerate(tiles))
      epilogue.store(tile, token, ArrayRef<Value>(products).slice(i * block, block));
  }

  /// The products of panels with `block` tokens: for each panel, for each token, a vector of 16 outputs, bias included.
  SmallVector<Value> emitPanels(ArrayRef<Value> panels, Value token, int64_t block) {
    SmallVector<Value> tokens;
    for (int64_t m = 0; m < block; ++m)
      tokens.push_back(b.add(token, m));
    SmallVector<Value> totals(panels.size() * block, b.splat(kLanes, 0.0f));
    int64_t groups = inputs / group;
    auto oneGroup = [&](Value g, ValueRange carried) {
      return emitGroup(panels, tokens, g, SmallVector<Value>(carried));
    };
    totals = groups == 1 ? oneGroup(b.index(0), totals) : b.loop(b.index(0), b.index(groups), 1, totals, oneGroup);
    for (auto [p, panel] : llvm::enumerate(panels))
      for (int64_t m = 0; m < block; ++m) {
        Value &total = totals[p * block + m];
        if (integer && scalesPerToken())
          total = b.mul(total, b.broadcast(kLanes, b.loadScalar(scales, {tokens[m], b.index(0)})));
        total = epilogue.withBias(total, panel);
      }
    return totals;
  }

  bool scalesPerToken() const { return cast<MemRefType>(scales.getType()).getDimSize(1) == 1; }

  /// Of a group of inputs of a panel; null where the layout has none.
  struct GroupScales {
    Value scales, zeros;
  };

  /// Adds one group of inputs, with its scales, to the totals.
  SmallVector<Value> emitGroup(ArrayRef<Value> panels, ArrayRef<Value> tokens, Value g, SmallVector<Value> totals) {
    Value base = b.mul(g, layout.getGroupBytes(inputs));
    SmallVector<GroupScales, 2> groupScales(panels.size());
    if (layout.isQuantized()) {
      int64_t scaleBytes = layout.getScale().getIntOrFloatBitWidth() / 8 * kLanes;
      Value at = b.add(base, layout.getGroupCodeBytes(inputs));
      for (auto [panel, of] : llvm::zip_equal(panels, groupScales)) {
        Value raw = b.load(weight, {panel, at}, scaleBytes);
        of.scales = b.extendToF32(vector::BitCastOp::create(b, b.vector(kLanes, layout.getScale()), raw));
        if (layout.getZeroPoints())
          of.zeros = loadZeros(panel, b.add(at, scaleBytes));
      }
    }
    int64_t stretches = group / stretch;
    int64_t stretchBytes = layout.getGroupCodeBytes(inputs) / stretches;
    auto oneStretch = [&](Value st, ValueRange carried) {
      Value k = b.add(b.mul(g, group), b.mul(st, stretch));
      Value sumIndex = b.add(b.mul(g, stretches), st);
      return emitStretch(panels, tokens, b.add(base, b.mul(st, stretchBytes)), k, sumIndex, groupScales,
                         SmallVector<Value>(carried));
    };
    // A few stretches are unrolled; per-channel weights with grouped activations have many.
    if (stretches > 4)
      return b.loop(b.index(0), b.index(stretches), 1, totals, oneStretch);
    for (int64_t st = 0; st < stretches; ++st)
      totals = oneStretch(b.index(st), totals);
    return totals;
  }

  SmallVector<Value> emitStretch(ArrayRef<Value> panels, ArrayRef<Value> tokens, Value byteOffset, Value k,
                                 Value sumIndex, ArrayRef<GroupScales> groupScales, SmallVector<Value> totals) {
    int64_t block = tokens.size();
    int64_t parts = mostTokens < kFewTokens ? 1 : integer ? (block == 1 ? 4 : 1) : bf16 ? kBf16Accumulators : 1;
    Type accumulatorType = b.vector(kLanes, integer ? Type(b.getI32Type()) : b.getF32Type());
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(accumulatorType));
    // An unquantized f32 or f16 weight has one group without scales: its products go straight into the totals.
    bool direct = !layout.isQuantized() && !integer && parts == 1;
    SmallVector<Value> sumsOfParts; // for each panel, for each token, its parts
    for (size_t p = 0; p < panels.size(); ++p)
      for (int64_t m = 0; m < block; ++m)
        for (int64_t part = 0; part < parts; ++part)
          sumsOfParts.push_back(direct                 ? totals[p * block + m]
                                : part == 0 && integer ? correction(tokens[m], sumIndex, groupScales[p].zeros)
                                                       : zero);

    int64_t depth = layout.getBlockDepth();
    int64_t unrolled = panels.size() > 1 && block > 1 ? kUnrolledStepsOfTwo * layout.getDot() : kUnrolledInputs;
    int64_t chunk = depth * largestDivisorUpTo(stretch / depth, std::max<int64_t>(unrolled / depth, 1));
    int64_t chunkBytes = chunk / depth * layout.getBlockBytes();
    auto oneChunk = [&](Value c, ValueRange carried) {
      SmallVector<Value> values(carried);
      int64_t step = 0;
      for (int64_t blockIndex = 0; blockIndex < chunk / depth; ++blockIndex) {
        Value at = b.add(b.add(byteOffset, b.mul(c, chunkBytes)), blockIndex * layout.getBlockBytes());
        Value firstInput = b.add(b.add(k, b.mul(c, chunk)), blockIndex * depth);
        SmallVector<SmallVector<Value, 5>, 2> words;
        for (Value panel : panels)
          words.push_back(loadBlock(panel, at));
        for (int64_t index = 0; index < depth / layout.getDot(); ++index) {
          SmallVector<Value, 2> weights;
          for (auto [of, group] : llvm::zip_equal(words, groupScales))
            weights.push_back(decodeStep(of, index, group.zeros));
          Value input = b.add(firstInput, index * layout.getDot());
          for (int64_t m = 0; m < block; ++m) {
            Value activations = b.loadRepeated(payload, {tokens[m], b.add(input, payloadColumn)}, layout.getDot());
            for (auto [p, of] : llvm::enumerate(weights)) {
              Value &sum = values[(p * block + m) * parts + step % parts];
              sum = multiply(sum, of, activations);
            }
          }
          ++step;
        }
      }
      return values;
    };
    int64_t chunks = stretch / chunk;
    // Which part a step goes to must not depend on the chunk.
    sumsOfParts =
        chunks == 1 ? oneChunk(b.index(0), sumsOfParts) : b.loop(b.index(0), b.index(chunks), 1, sumsOfParts, oneChunk);

    for (size_t p = 0; p < panels.size(); ++p)
      for (int64_t m = 0; m < block; ++m) {
        Value *ofParts = &sumsOfParts[(p * block + m) * parts], sum = ofParts[0];
        for (int64_t part = 1; part < parts; ++part)
          sum = b.add(sum, ofParts[part]);
        totals[p * block + m] =
            direct ? sum : scaled(sum, totals[p * block + m], tokens[m], k, sumIndex, groupScales[p]);
      }
    return totals;
  }

  /// A token's total with the sum over a stretch that begins at input k, times its scales.
  Value scaled(Value sum, Value total, Value token, Value k, Value sumIndex, const GroupScales &of) {
    if (integer) {
      Value scale = of.scales;
      if (!scalesPerToken()) {
        int64_t scaleGroup = inputs / cast<MemRefType>(scales.getType()).getDimSize(1);
        scale = b.mul(scale, b.broadcast(kLanes, b.loadScalar(scales, {token, b.div(k, scaleGroup)})));
      }
      return b.fma(arith::SIToFPOp::create(b, b.vectorF32(), sum), scale, total);
    }
    if (of.zeros && bf16) {
      // Codes were multiplied as they are: take the zero points' share away.
      Value share = b.broadcast(kLanes, b.loadScalar(sums, {token, sumIndex}));
      Value zerosF32 = arith::SIToFPOp::create(b, b.vectorF32(), of.zeros);
      sum = b.fma(arith::NegFOp::create(b, zerosF32), share, sum);
    }
    return of.scales ? b.fma(sum, of.scales, total) : b.add(sum, total);
  }

  /// The zero points of a group as i32.
  Value loadZeros(Value panel, Value at) {
    auto words = b.vector(kLanes, b.getI32Type());
    if (layout.getZeroBits() == 8)
      return arith::ExtUIOp::create(b, words, b.load(weight, {panel, at}, kLanes));
    // Those of the first half of outputs are the low halves of 8 bytes, those of the others the high halves.
    SmallVector<int64_t> twice;
    SmallVector<APInt> shifts;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      twice.push_back(lane % (kLanes / 2));
      shifts.push_back(APInt(32, lane < kLanes / 2 ? 0 : 4));
    }
    Value bytes = b.load(weight, {panel, at}, kLanes / 2);
    Value both = arith::ExtUIOp::create(b, words, vector::ShuffleOp::create(b, bytes, bytes, twice));
    Value by = arith::ConstantOp::create(b, DenseIntElementsAttr::get(words, shifts));
    return arith::AndIOp::create(b, arith::ShRUIOp::create(b, both, by), b.splatInt(kLanes, b.getI32Type(), 15));
  }

  /// −zero · Σx over the stretch: what unsigned codes add too much.
  Value correction(Value token, Value sumIndex, Value zeros) {
    Value sum = b.loadScalar(sums, {token, sumIndex});
    if (!zeros)
      return b.broadcast(kLanes, b.mul(sum, b.i32(static_cast<int32_t>(-layout.getImpliedZero()))));
    return b.mul(b.sub(b.splatInt(kLanes, b.getI32Type(), 0), zeros), b.broadcast(kLanes, sum));
  }

  Value multiply(Value sum, Value weights, Value activations) {
    if (layout.getDot() == 1)
      return b.fma(weights, activations, sum);
    return kernel::DotOp::create(b, sum, weights, activations);
  }

  /// The words of one block as they are stored: one vector, or of codes in two planes several, the last of which is
  /// that of the high bits.
  SmallVector<Value, 5> loadBlock(Value panel, Value at) {
    int64_t high = layout.getHighBits(), vectors = high ? layout.getCodeBits() / high : 1;
    int64_t bytes = layout.getBlockBytes() / vectors;
    Type word = wordType();
    SmallVector<Value, 5> words;
    for (int64_t i = 0; i < vectors; ++i) {
      Value raw = b.load(weight, {panel, b.add(at, i * bytes)}, bytes);
      words.push_back(vector::BitCastOp::create(b, b.vector(bytes * 8 / word.getIntOrFloatBitWidth(), word), raw));
    }
    return words;
  }

  /// What a block is made of. Codes narrower than a byte lie so that a shift of words leaves those of one step: of
  /// words as wide as the activations that one code meets, or, for four codes at once, of the narrowest that vectors
  /// shift.
  Type wordType() {
    switch (layout.getCode()) {
    case PanelCode::F32:
      return b.getF32Type();
    case PanelCode::F16:
      return b.getF16Type();
    case PanelCode::BF16:
      return b.getBF16Type();
    case PanelCode::U8:
      return b.getI8Type();
    default:
      return layout.getDot() == 1 ? b.getI32Type() : b.getI16Type();
    }
  }

  /// Of a block's `words`, those of a step: `dot` inputs for 16 outputs.
  Value decodeStep(ArrayRef<Value> words, int64_t step, Value zeros) {
    switch (layout.getCode()) {
    case PanelCode::F32:
    case PanelCode::BF16:
      return words[0];
    case PanelCode::F16:
      return b.extendToF32(words[0]);
    case PanelCode::U8:
      if (layout.getDot() == 4)
        return words[0];
      return codesToFloat(arith::ExtUIOp::create(b, b.vector(layout.getBlockBytes(), b.getI32Type()), words[0]), zeros);
    default:
      break;
    }
    Value codes = codesOfStep(words, step);
    if (layout.getDot() == 4)
      return vector::BitCastOp::create(b, b.vector(4 * kLanes, b.getI8Type()), codes);
    if (layout.getDot() == 1)
      return codesToFloat(codes, zeros);
    return kernel::DecodeCodesOp::create(b, b.vector(2 * kLanes, b.getBF16Type()), codes,
                                         std::max<int64_t>(layout.getCodeBits(), 4),
                                         layout.getZeroPoints() ? 0 : layout.getImpliedZero());
  }

  /// The codes of a step, in the lowest bits of words, of their halves or of their bytes. Above 4-bit codes of pairs
  /// the rest of the word is left: what decodes them reads no more than 4 bits.
  Value codesOfStep(ArrayRef<Value> words, int64_t step) {
    int64_t highBits = layout.getHighBits(), lowBits = layout.getCodeBits() - highBits;
    int64_t lowSteps = 32 / lowBits / layout.getDot(), lowMask = (int64_t{1} << lowBits) - 1;
    Value low = shiftRight(words[step / lowSteps], lowBits * (step % lowSteps));
    if (highBits == 0)
      return lowBits == 4 && layout.getDot() == 2 ? low : keepBits(low, lowMask);
    Value high = shiftRight(words.back(), highBits * step - lowBits);
    int64_t highMask = ((int64_t{1} << highBits) - 1) << lowBits;
    return arith::OrIOp::create(b, keepBits(low, lowMask), keepBits(high, highMask));
  }

  /// By less than nothing: to the left.
  Value shiftRight(Value words, int64_t places) {
    auto type = cast<VectorType>(words.getType());
    Value by = b.splatInt(type.getNumElements(), type.getElementType(), std::abs(places));
    if (places == 0)
      return words;
    if (places < 0)
      return arith::ShLIOp::create(b, words, by);
    return arith::ShRUIOp::create(b, words, by);
  }

  /// Masks words, or with a dot of 4 each byte of them.
  Value keepBits(Value words, int64_t mask) {
    auto type = cast<VectorType>(words.getType());
    if (layout.getDot() == 4)
      mask |= mask << 8;
    return arith::AndIOp::create(b, words, b.splatInt(type.getNumElements(), type.getElementType(), mask));
  }

  /// (code − zero) as f32 for a dot of 1, as bf16 for a dot of 2. Zero points of pairs are taken away after the sum.
  Value codesToFloat(Value codes, Value zeros) {
    int64_t lanes = cast<VectorType>(codes.getType()).getNumElements();
    if (!layout.getZeroPoints())
      codes = b.sub(codes, b.splatInt(lanes, b.getI32Type(), layout.getImpliedZero()));
    else if (layout.getDot() == 1)
      codes = b.sub(codes, zeros);
    Value floats = arith::SIToFPOp::create(b, b.vectorF32(lanes), codes);
    if (layout.getDot() == 1)
      return floats;
    return arith::TruncFOp::create(b, b.vector(lanes, b.getBF16Type()), floats);
  }

  KernelBuilder &b;
  MatmulEpilogue epilogue;
  PanelAttr layout;
  Value payload, scales, sums, weight;
  int64_t payloadColumn = 0; // where a slice begins in its buffer
  int64_t inputs, group, stretch, mostTokens;
  bool integer, bf16;
};

} // namespace

/// What the emitter takes for granted of a matmul that --select-layouts has made, for one that was written by hand.
static LogicalResult checkMatmul(lowbit::MatmulOp op) {
  auto layout = dyn_cast<PanelAttr>(op.getLayout());
  if (!layout)
    return op.emitOpError() << "expected a panel layout, but got " << op.getLayout();
  auto payload = cast<RankedTensorType>(op.getPayload().getType());
  Type element = payload.getElementType();
  bool integer = element.isInteger(8), bf16 = element.isBF16();
  int64_t dot = integer ? 4 : bf16 ? 2 : 1;
  if (layout.getDot() != dot) // of four inputs at a time there are codes alone
    return op.emitOpError() << "expected a layout that a payload of " << element << " reads " << dot
                            << " inputs at a time, but got " << layout << "; run --select-layouts";
  bool wantsSums = integer || (bf16 && layout.getZeroPoints());
  if (!wantsSums)
    return success();
  if (!op.getSums())
    return op.emitOpError("expected sums of activations, by which zero points are taken off; run --select-layouts");
  int64_t inputs = payload.getDimSize(1), depth = layout.getBlockDepth(), group = layout.getGroupSize(inputs);
  int64_t summed = inputs / cast<RankedTensorType>(op.getSums().getType()).getDimSize(1);
  if (bf16) {
    if (summed != group)
      return op.emitOpError() << "expected a sum for each group of the weight, of " << group
                              << " inputs, but got sums of " << summed << "; run --select-layouts";
    return success();
  }
  if (summed % depth != 0)
    return op.emitOpError() << "expected sums over whole blocks of " << depth << " inputs, but got sums of " << summed
                            << "; run --select-layouts";
  if (summed > mostInputsOfSum(layout))
    return op.emitOpError() << "expected sums over at most " << mostInputsOfSum(layout)
                            << " inputs, whose products an i32 can hold, but got " << summed
                            << "; run --select-layouts";
  return success();
}

LogicalResult qopt::emit::emitMatmul(KernelBuilder &b, KernelContext &context) {
  lowbit::MatmulOp matmul;
  Operation *epilogue = nullptr;
  for (Operation &op : context.dispatch.getBody().front().without_terminator()) {
    if (auto found = dyn_cast<lowbit::MatmulOp>(op))
      matmul = found;
    else if (isa<transformer::ResidualOp, transformer::InterleavedGatedProductOp, transformer::ActivationOp>(op))
      epilogue = &op;
    else if (!isa<transformer::SliceOp>(op)) // a view
      return op.emitOpError("has no place in the kernel of a matmul");
  }
  if (failed(checkMatmul(matmul)))
    return failure();
  if (context.bf16Tiles && hasMatmulTiles(matmul))
    emitMatmulTiles(b, context, matmul, epilogue);
  else
    MatmulEmitter(b, context, matmul, epilogue).emit(context.lower, context.upper);
  return success();
}
