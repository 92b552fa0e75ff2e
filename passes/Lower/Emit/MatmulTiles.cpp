// Emits a matmul of f32 as products of bf16 tiles, which a matrix unit has at many times the rate of f32.
//
// Each number becomes two: x = h + l + ε, h the nearest bf16 and l the nearest bf16 to what is left, so that ε is below
// 2⁻¹⁷ |x|. Of the four products of two such sums the least is left out: x·w ≈ h·h' + h·l' + l·h', each exact in f32,
// summed in f32. What is lost is about 2⁻¹⁶ of a product, a few times what the order of a sum in f32 is worth. (Known
// as bf16x3; Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
// Computations", 2019.)
//
// 32 tokens by two panels are four tiles of sums; inputs ascend by 32, and for each 32 the three products follow in one
// order. A worker splits the activations of a portion once and each panel once for the portion. Rows of a tile beyond
// the last token repeat it, and are not stored.
#include "passes/Lower/Emit/MatmulTiles.h"

#include "passes/Lower/Emit/MatmulEpilogue.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;
using kernel::PanelAttr;
using kernel::PanelCode;

namespace {

/// Rows of a tile, and the inputs in each of its rows.
constexpr int64_t kRows = 16, kDepth = 32;
/// Tokens and panels of a step, in tiles.
constexpr int64_t kTokenTiles = 2, kPanels = 2, kTokens = kTokenTiles * kRows;
/// Upper and lower halves of numbers.
constexpr int64_t kHalves = 2;
/// What an input takes of a token, or of two panels, once it is split.
constexpr int64_t kSplitBytes = kHalves * 2, kPanelBytes = kPanels * kLanes * kSplitBytes;
/// Split activations and panels of a worker: they stay in a second-level cache of 2 MiB, and on a stack of 2 MiB, which
/// is what glibc gives a thread where there is no limit.
constexpr int64_t kScratchBytes = 7 << 18, kMostTokens = 512;
/// Of more, two panels and the fewest tokens would take more.
constexpr int64_t kMostInputs = kScratchBytes / (kTokens * kSplitBytes + kPanelBytes);
/// Steps of inputs that all tokens of a portion go over before the next: two panels of so many stay in a first-level
/// cache of 48 KiB, and only activations come from the second.
constexpr int64_t kCachedSteps = 9;

class TileEmitter {
public:
  TileEmitter(KernelBuilder &b, KernelContext &context, lowbit::MatmulOp op, Operation *after)
      : b(b), epilogue(b, context, op, after), f16(cast<PanelAttr>(op.getLayout()).getCode() == PanelCode::F16) {
    weight = context.buffers.lookup(op.getWeight());
    payload = context.buffers.lookup(throughSlices(op.getPayload(), payloadColumn));
    steps = cast<RankedTensorType>(op.getPayload().getType()).getDimSize(1) / kDepth;
    int64_t inputs = steps * kDepth, most = (kScratchBytes - inputs * kPanelBytes) / (inputs * kSplitBytes);
    portion = std::min(most / kTokens * kTokens, kMostTokens);
    Type bf16 = b.getBF16Type();
    activations = scratch({portion / kRows, steps, kHalves, kRows, kDepth}, bf16);
    weights = scratch({kPanels, steps, kHalves, kRows, kDepth}, bf16);
    sums = scratch({kPanels, portion, kLanes}, b.getF32Type());
  }

  void emit(Value lower, Value upper) {
    Value tokens = memref::DimOp::create(b, payload, 0);
    b.loop(b.index(0), tokens, portion, [&](Value first) {
      Value last = b.minIndex(b.add(first, portion), tokens);
      splitActivations(first, last);
      // A tile is one panel, or of a gated product two.
      int64_t tiles = epilogue.isPaired() ? 1 : kPanels;
      b.loop(lower, upper, tiles, [&](Value tile) {
        Value count = b.minIndex(b.index(tiles), b.sub(upper, tile));
        splitPanels(tile, count);
        Value tokensHere = b.sub(last, first);
        multiply(tokensHere, b.index(0), std::min(steps, kCachedSteps), /*isFirst=*/true);
        if (int64_t rest = steps % kCachedSteps, end = steps - rest; end != 0) {
          b.loop(b.index(kCachedSteps), b.index(end), kCachedSteps,
                 [&](Value begin) { multiply(tokensHere, begin, kCachedSteps, /*isFirst=*/false); });
          if (rest != 0)
            multiply(tokensHere, b.index(end), rest, /*isFirst=*/false);
        }
        finish(tile, count, first, tokensHere);
      });
    });
  }

private:
  Value scratch(ArrayRef<int64_t> shape, Type element) {
    return memref::AllocaOp::create(b, MemRefType::get(shape, element), b.getI64IntegerAttr(64));
  }

  /// The halves of a vector of f32.
  std::pair<Value, Value> split(Value values) {
    auto narrow = b.vector(cast<VectorType>(values.getType()).getNumElements(), b.getBF16Type());
    Value upper = arith::TruncFOp::create(b, narrow, values);
    Value rest = arith::SubFOp::create(b, values, b.extendToF32(upper));
    return {upper, arith::TruncFOp::create(b, narrow, rest)};
  }

  /// Tokens in rows, inputs along them.
  void splitActivations(Value first, Value last) {
    Value tiles = b.div(b.add(b.sub(last, first), kTokens - 1), kTokens);
    b.loop(b.index(0), b.mul(tiles, kTokenTiles), 1, [&](Value tile) {
      b.loop(b.index(0), b.index(steps), 1, [&](Value step) {
        for (int64_t row = 0; row < kRows; ++row) {
          Value token = b.minIndex(b.add(b.add(first, b.mul(tile, kRows)), row), b.sub(last, b.index(1)));
          for (int64_t at = 0; at < kDepth; at += kLanes) {
            Value column = b.add(b.mul(step, kDepth), payloadColumn + at);
            auto [upper, rest] = split(b.load(payload, {token, column}, kLanes));
            b.store(upper, activations, {tile, step, b.index(0), b.index(row), b.index(at)});
            b.store(rest, activations, {tile, step, b.index(1), b.index(row), b.index(at)});
          }
        }
      });
    });
  }

  /// Two inputs in a row, the 16 outputs of a panel along it: what a tile's row of activations meets.
  void splitPanels(Value tile, Value count) {
    Value panels = epilogue.isPaired() ? b.index(kPanels) : count;
    b.loop(b.index(0), panels, 1, [&](Value p) {
      Value panel = b.add(epilogue.isPaired() ? b.mul(tile, kPanels) : tile, p);
      b.loop(b.index(0), b.index(steps), 1, [&](Value step) {
        for (int64_t row = 0; row < kRows; ++row) {
          Value input = b.add(b.mul(step, kDepth), 2 * row);
          auto [upper, rest] = split(weightsOf(panel, input));
          auto [upper2, rest2] = split(weightsOf(panel, b.add(input, 1)));
          b.store(vector::InterleaveOp::create(b, upper, upper2), weights,
                  {p, step, b.index(0), b.index(row), b.index(0)});
          b.store(vector::InterleaveOp::create(b, rest, rest2), weights,
                  {p, step, b.index(1), b.index(row), b.index(0)});
        }
      });
    });
  }

  Value weightsOf(Value panel, Value input) {
    Type element = f16 ? b.getF16Type() : b.getF32Type();
    int64_t bytes = kLanes * element.getIntOrFloatBitWidth() / 8;
    Value raw = b.load(weight, {panel, b.mul(input, bytes)}, bytes);
    return b.extendToF32(vector::BitCastOp::create(b, b.vector(kLanes, element), raw));
  }

  /// Adds `count` steps of inputs from `begin` on, of the first `tokens` of the portion, with both panels, to `sums`;
  /// as the first they are what there is.
  void multiply(Value tokens, Value begin, int64_t count, bool isFirst) {
    auto sumType = amx::TileType::get({kRows, kLanes}, b.getF32Type());
    b.loop(b.index(0), tokens, kTokens, [&](Value token) {
      auto sumsOf = [&](int64_t t, int64_t p) {
        return SmallVector<Value>{b.index(p), b.add(token, t * kRows), b.index(0)};
      };
      SmallVector<Value> totals;
      for (int64_t t = 0; t < kTokenTiles; ++t)
        for (int64_t p = 0; p < kPanels; ++p)
          totals.push_back(isFirst ? Value(amx::TileZeroOp::create(b, sumType))
                                   : Value(amx::TileLoadOp::create(b, sumType, sums, sumsOf(t, p))));
      Value firstTile = b.div(token, kRows);
      totals = b.loop(begin, b.add(begin, count), 1, totals, [&](Value step, ValueRange carried) {
        return addStep(firstTile, step, SmallVector<Value>(carried));
      });
      for (int64_t t = 0; t < kTokenTiles; ++t)
        for (int64_t p = 0; p < kPanels; ++p)
          amx::TileStoreOp::create(b, sums, sumsOf(t, p), totals[t * kPanels + p]);
    });
  }

  /// Adds the products of 32 inputs to the totals of two tiles of tokens by two panels.
  SmallVector<Value> addStep(Value firstTile, Value step, SmallVector<Value> totals) {
    auto operandType = amx::TileType::get({kRows, kDepth}, b.getBF16Type());
    auto operands = [&](Value from, Value first, int64_t count, int64_t half) {
      SmallVector<Value, 2> tiles;
      for (int64_t i = 0; i < count; ++i)
        tiles.push_back(amx::TileLoadOp::create(
            b, operandType, from, ValueRange{b.add(first, i), step, b.index(half), b.index(0), b.index(0)}));
      return tiles;
    };
    // Eight tiles are all there are: four of sums, and two of each operand at a time.
    auto addProducts = [&](ArrayRef<Value> left, ArrayRef<Value> right) {
      for (int64_t t = 0; t < kTokenTiles; ++t)
        for (int64_t p = 0; p < kPanels; ++p) {
          Value &total = totals[t * kPanels + p];
          total = amx::TileMulFOp::create(b, total.getType(), left[t], right[p], total);
        }
    };
    auto left = operands(activations, firstTile, kTokenTiles, 0);
    addProducts(left, operands(weights, b.index(0), kPanels, 1));
    auto right = operands(weights, b.index(0), kPanels, 0);
    addProducts(left, right);
    addProducts(operands(activations, firstTile, kTokenTiles, 1), right);
    return totals;
  }

  /// From `sums` to the output.
  void finish(Value tile, Value count, Value first, Value tokens) {
    auto sumOf = [&](Value p, Value panel, Value token) {
      return epilogue.withBias(b.load(sums, {p, token, b.index(0)}, kLanes), panel);
    };
    b.loop(b.index(0), tokens, 1, [&](Value token) {
      if (epilogue.isPaired()) {
        Value gate = b.mul(tile, kPanels), up = b.add(gate, 1);
        epilogue.store(tile, b.add(first, token),
                       epilogue.gated(sumOf(b.index(0), gate, token), sumOf(b.index(1), up, token)));
      } else {
        b.loop(b.index(0), count, 1, [&](Value p) {
          Value panel = b.add(tile, p);
          epilogue.store(panel, b.add(first, token), sumOf(p, panel, token));
        });
      }
    });
  }

  KernelBuilder &b;
  MatmulEpilogue epilogue;
  bool f16;
  Value weight, payload, activations, weights, sums;
  int64_t payloadColumn = 0; // where a slice begins in its buffer
  int64_t steps, portion;
};

} // namespace

bool qopt::emit::hasMatmulTiles(lowbit::MatmulOp op) {
  auto payload = cast<RankedTensorType>(op.getPayload().getType());
  auto layout = cast<PanelAttr>(op.getLayout());
  int64_t inputs = payload.getDimSize(1);
  return payload.getElementType().isF32() && !layout.isQuantized() && layout.getDot() == 1 && inputs % kDepth == 0 &&
         inputs <= kMostInputs;
}

void qopt::emit::emitMatmulTiles(KernelBuilder &b, KernelContext &context, lowbit::MatmulOp op, Operation *after) {
  TileEmitter(b, context, op, after).emit(context.lower, context.upper);
}
