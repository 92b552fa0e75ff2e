// Emits causal attention over the paged cache.
//
// A tile is one token and one head of the cache, with the query heads that share it. Keys are taken in chunks of a
// page, at absolute positions: the scores of a chunk, its maximum, sum and weighted values are found by themselves and
// then merged into the running ones (Milakov and Gimelshein, arXiv:1805.02867), in ascending order. So a token's result
// does not depend on which batch, chunk or worker computes it. Keys past the token are masked by selection, values past
// it are not read: what was never written is never multiplied.
//
// Where registers allow, two chunks are taken together up to their merging, which stays one by one: of one alone there
// are too few sums to hide what a multiplication takes, and its maximum and its sum wait for each other.
#include "passes/Lower/Emit/KernelBuilder.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::emit;

namespace {

/// Query heads whose scores are computed together, at most: their accumulators live in registers.
constexpr int64_t kMostHeads = 4;
/// Vectors of a value row that are accumulated together, at most, over all heads of a tile.
constexpr int64_t kMostValueVectors = 16;
/// Steps along the head dimension, or keys, in the body of a loop.
constexpr int64_t kUnroll = 4;
/// Chunks that are taken together, at most.
constexpr int64_t kMostChunks = 2;
constexpr float kMinusInfinity = -__builtin_inff();

class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &b, KernelContext &context, transformer::AttentionOp op) : b(b), op(op) {
    transformer::CacheType type = op.getCache().getType();
    heads = type.getHeads(), dim = type.getDim();
    query = context.buffers.lookup(throughSlices(op.getQuery(), queryColumn)),
    cache = context.buffers.lookup(op.getCache());
    layer = context.buffers.lookup(op.getLayer()), positions = context.buffers.lookup(op.getPositions());
    sequences = context.buffers.lookup(op.getSequences()), tables = context.buffers.lookup(op.getBlockTables());
    output = context.buffers.lookup(op.getResult());
    // With few registers, fewer heads and channels at a time; the order of sums is the same.
    if (context.mostTokens < 8)
      mostHeads = std::max<int64_t>(context.mostTokens / 2, 1), mostValueVectors = context.mostTokens, mostChunks = 1;
    shared = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(1) / (heads * dim);
  }

  LogicalResult emit(Value lower, Value upper) {
    int64_t together = largestDivisorUpTo(shared, mostHeads);
    if (int64_t bytes = together * (mostChunks * kBlockTokens + dim) * 4; bytes > kMostScratchBytes)
      return op.emitOpError() << "expected heads of which " << together << " take at most " << kMostScratchBytes
                              << " bytes of a worker's stack, but those of " << dim << " channels take " << bytes;
    probabilities = memref::AllocaOp::create(b, MemRefType::get({mostChunks * together, kBlockTokens}, b.getF32Type()),
                                             b.getI64IntegerAttr(64));
    totals = memref::AllocaOp::create(b, MemRefType::get({together, dim}, b.getF32Type()), b.getI64IntegerAttr(64));
    b.loop(lower, upper, 1, [&](Value tile) {
      Value token = b.div(tile, heads), head = b.rem(tile, heads);
      Value position = b.toIndex(b.loadScalar(positions, {token}));
      Value sequence = b.toIndex(b.loadScalar(sequences, {token}));
      b.loop(b.index(0), b.index(shared / together), 1, [&](Value part) {
        Value first = b.add(b.mul(head, shared), b.mul(part, together));
        emitHeads(token, head, b.mul(first, dim), together, position, sequence);
      });
    });
    return success();
  }

private:
  /// `count` query heads from channel `channel` of the token's row.
  void emitHeads(Value token, Value head, Value channel, int64_t count, Value position, Value sequence) {
    for (int64_t g = 0; g < count; ++g)
      b.forEachPiece(dim, [&](Value d, int64_t lanes) { b.store(b.splat(lanes, 0.0f), totals, {b.index(g), d}); });
    Value keys = b.add(position, 1), firstKey = b.index(0);
    if (op.getWindow() != 0) {
      Value beyond = b.sub(keys, b.index(op.getWindow()));
      firstKey = arith::MaxSIOp::create(b, beyond, b.index(0));
    }
    // The running maximum and sum of each head.
    SmallVector<Value> running;
    for (int64_t g = 0; g < count; ++g)
      running.push_back(b.f32(kMinusInfinity));
    for (int64_t g = 0; g < count; ++g)
      running.push_back(b.f32(0.0f));
    Value firstChunk = b.div(firstKey, kBlockTokens);
    Value endChunk = b.div(b.add(keys, kBlockTokens - 1), kBlockTokens);
    auto chunkAt = [&](Value chunk) {
      Value start = b.mul(chunk, kBlockTokens);
      Value begin = arith::MaxSIOp::create(b, b.sub(firstKey, start), b.index(0));
      Value end = b.minIndex(b.sub(keys, start), b.index(kBlockTokens));
      return Chunk{b.toIndex(b.loadScalar(tables, {sequence, chunk})), begin, end};
    };
    for (int64_t chunks = mostChunks; chunks >= 1; --chunks) {
      Value rest = b.sub(endChunk, firstChunk);
      Value end = b.add(firstChunk, b.sub(rest, b.rem(rest, chunks)));
      running = b.loop(firstChunk, end, chunks, running, [&](Value chunk, ValueRange carried) {
        SmallVector<Chunk, kMostChunks> together;
        for (int64_t c = 0; c < chunks; ++c)
          together.push_back(chunkAt(b.add(chunk, c)));
        return emitChunks(token, head, channel, count, together, SmallVector<Value>(carried));
      });
      firstChunk = end;
    }
    for (int64_t g = 0; g < count; ++g) {
      Value inverse = arith::DivFOp::create(b, b.f32(1.0f), running[count + g]);
      b.forEachPiece(dim, [&](Value d, int64_t lanes) {
        Value result = b.mul(b.load(totals, {b.index(g), d}, lanes), b.broadcast(lanes, inverse));
        b.store(result, output, {token, b.add(b.add(channel, g * dim), d)});
      });
    }
  }

  /// A page of keys and values, of which [begin, end) are the token's to see.
  struct Chunk {
    Value page, begin, end;
  };

  SmallVector<Value> emitChunks(Value token, Value head, Value channel, int64_t count, ArrayRef<Chunk> chunks,
                                SmallVector<Value> running) {
    constexpr int64_t kVectors = kBlockTokens / kLanes;
    // Scores of each chunk, of each head: keys in the lanes, the head dimension ascending.
    int64_t unroll = largestDivisorUpTo(dim, kUnroll), perChunk = count * kVectors;
    SmallVector<Value> scores(chunks.size() * perChunk, b.splat(kLanes, 0.0f));
    scores = b.loop(b.index(0), b.index(dim), unroll, scores, [&](Value d, ValueRange carried) {
      SmallVector<Value> sums(carried);
      for (int64_t u = 0; u < unroll; ++u) {
        Value at = b.add(d, u);
        SmallVector<Value> keys;
        for (const Chunk &chunk : chunks)
          for (int64_t v = 0; v < kVectors; ++v)
            keys.push_back(b.extendToF32(b.load(
                cache, {chunk.page, layer, head, b.index(0), b.add(b.mul(at, kBlockTokens), v * kLanes)}, kLanes)));
        for (int64_t g = 0; g < count; ++g) {
          Value q = b.broadcast(kLanes, b.loadScalar(query, {token, b.add(b.add(channel, queryColumn + g * dim), at)}));
          for (size_t i = 0; i < keys.size(); ++i) {
            Value &sum = sums[i / kVectors * perChunk + g * kVectors + i % kVectors];
            sum = b.fma(keys[i], q, sum);
          }
        }
      }
      return sums;
    });

    SmallVector<Value> chunkMaxima, chunkSums; // of each chunk, of each head
    Value minusInfinity = b.splat(kLanes, kMinusInfinity);
    for (auto [c, chunk] : llvm::enumerate(chunks)) {
      SmallVector<Value> visible;
      for (int64_t v = 0; v < kVectors; ++v)
        visible.push_back(visibleLanes(v * kLanes, chunk.begin, chunk.end));
      for (int64_t g = 0; g < count; ++g) {
        MutableArrayRef<Value> ofHead(&scores[c * perChunk + g * kVectors], kVectors);
        Value largest;
        for (int64_t v = 0; v < kVectors; ++v) {
          Value &score = ofHead[v];
          score = b.mul(score, b.splat(kLanes, op.getScale().convertToDouble()));
          score = arith::SelectOp::create(b, visible[v], score, minusInfinity);
          largest = v == 0 ? score : b.larger(largest, score);
        }
        Value maximum = b.reduceVector(largest, KernelBuilder::Reduction::Max);
        Value sum;
        for (int64_t v = 0; v < kVectors; ++v) {
          Value shifted = b.sub(ofHead[v], b.broadcast(kLanes, maximum));
          Value probability = math::ExpOp::create(b, shifted);
          probability = arith::SelectOp::create(b, visible[v], probability, b.splat(kLanes, 0.0f));
          b.store(probability, probabilities, {b.index(static_cast<int64_t>(c) * count + g), b.index(v * kLanes)});
          sum = v == 0 ? probability : b.add(sum, probability);
        }
        chunkMaxima.push_back(maximum);
        chunkSums.push_back(b.reduceVector(sum, KernelBuilder::Reduction::Sum));
      }
    }

    // Merge: both sides are rescaled to the larger maximum.
    SmallVector<Value> exponents; // of each chunk, of each head: of the running ones, of the chunk's
    SmallVector<Value> maxima(ArrayRef<Value>(running).take_front(count));
    for (auto [i, ofChunk] : llvm::enumerate(chunkMaxima)) {
      Value &maximum = maxima[i % count];
      Value larger = b.larger(maximum, ofChunk);
      exponents.append({b.sub(maximum, larger), b.sub(ofChunk, larger)});
      maximum = larger;
    }
    SmallVector<Value> factors = exponentials(exponents), sums(ArrayRef<Value>(running).drop_front(count));
    for (auto [c, chunk] : llvm::enumerate(chunks)) {
      SmallVector<Value> keep, take;
      for (int64_t g = 0; g < count; ++g) {
        size_t at = c * count + g;
        keep.push_back(factors[2 * at]), take.push_back(factors[2 * at + 1]);
        sums[g] = b.add(b.mul(sums[g], keep[g]), b.mul(chunkSums[at], take[g]));
      }
      mergeValues(head, count, chunk, static_cast<int64_t>(c) * count, keep, take);
    }
    llvm::append_range(maxima, sums);
    return maxima;
  }

  /// exp of scalars, as many at a time as a vector has lanes: one definition of exp, one rounding.
  SmallVector<Value> exponentials(ArrayRef<Value> arguments) {
    SmallVector<Value> results;
    for (; !arguments.empty(); arguments = arguments.drop_front(std::min<size_t>(kLanes, arguments.size()))) {
      SmallVector<Value> lanes(arguments.take_front(kLanes));
      size_t count = lanes.size();
      lanes.resize(kLanes, lanes.front());
      Value vector = math::ExpOp::create(b, vector::FromElementsOp::create(b, b.vectorF32(), lanes));
      for (size_t lane = 0; lane < count; ++lane)
        results.push_back(vector::ExtractOp::create(b, vector, static_cast<int64_t>(lane)));
    }
    return results;
  }

  Value visibleLanes(int64_t first, Value begin, Value end) {
    SmallVector<int32_t> lanes;
    for (int64_t lane = 0; lane < kLanes; ++lane)
      lanes.push_back(first + lane);
    Value numbers = arith::ConstantOp::create(
        b, DenseElementsAttr::get(b.vector(kLanes, b.getI32Type()), ArrayRef<int32_t>(lanes)));
    auto bound = [&](Value limit) { return b.broadcast(kLanes, arith::IndexCastOp::create(b, b.getI32Type(), limit)); };
    Value after = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, numbers, bound(begin));
    Value before = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, numbers, bound(end));
    return arith::AndIOp::create(b, after, before);
  }

  /// totals = totals · keep + (Σ probability · value) · take, a stretch of channels at a time; the chunk's
  /// probabilities begin at `firstRow`.
  void mergeValues(Value head, int64_t count, const Chunk &chunk, int64_t firstRow, ArrayRef<Value> keep,
                   ArrayRef<Value> take) {
    int64_t channels = largestDivisorUpTo(dim / std::min(dim, kLanes), std::max<int64_t>(mostValueVectors / count, 1)) *
                       std::min(dim, kLanes);
    if (dim % kLanes != 0)
      channels = dim; // narrow or odd heads: all pieces at once
    b.loop(b.index(0), b.index(dim), channels, [&](Value first) {
      SmallVector<std::pair<int64_t, int64_t>> pieces;
      for (int64_t at = 0; at < channels;) {
        int64_t lanes = kLanes;
        while (lanes > channels - at)
          lanes /= 2;
        pieces.push_back({at, lanes});
        at += lanes;
      }
      SmallVector<Value> sums;
      for (int64_t g = 0; g < count; ++g)
        for (auto [at, lanes] : pieces)
          sums.push_back(b.splat(lanes, 0.0f));
      sums = b.loop(chunk.begin, chunk.end, 1, sums, [&](Value key, ValueRange carried) {
        SmallVector<Value> next(carried);
        Value row = b.add(b.mul(key, dim), first);
        for (auto [index, piece] : llvm::enumerate(pieces)) {
          Value values = b.extendToF32(
              b.load(cache, {chunk.page, layer, head, b.index(1), b.add(row, piece.first)}, piece.second));
          for (int64_t g = 0; g < count; ++g) {
            Value probability = b.broadcast(piece.second, b.loadScalar(probabilities, {b.index(firstRow + g), key}));
            Value &sum = next[g * pieces.size() + index];
            sum = b.fma(values, probability, sum);
          }
        }
        return next;
      });
      for (int64_t g = 0; g < count; ++g)
        for (auto [index, piece] : llvm::enumerate(pieces)) {
          Value at = b.add(first, piece.first);
          Value old = b.load(totals, {b.index(g), at}, piece.second);
          Value scaled = b.mul(old, b.broadcast(piece.second, keep[g]));
          Value added = b.mul(sums[g * pieces.size() + index], b.broadcast(piece.second, take[g]));
          b.store(b.add(scaled, added), totals, {b.index(g), at});
        }
    });
  }

  KernelBuilder &b;
  transformer::AttentionOp op;
  int64_t heads, dim, shared;
  int64_t mostHeads = kMostHeads, mostValueVectors = kMostValueVectors, mostChunks = kMostChunks;
  int64_t queryColumn = 0; // where a slice begins in its buffer
  Value query, cache, layer, positions, sequences, tables, output;
  Value probabilities, totals; // scratch: [chunks · heads of a tile, keys of a chunk], [heads of a tile, dim]
};

} // namespace

LogicalResult qopt::emit::emitAttention(KernelBuilder &b, KernelContext &context) {
  for (Operation &op : context.dispatch.getBody().front().without_terminator()) {
    if (isa<transformer::SliceOp>(op)) // a view
      continue;
    auto attention = dyn_cast<transformer::AttentionOp>(op);
    if (!attention)
      return op.emitOpError("has no place in the kernel of attention");
    if (failed(AttentionEmitter(b, context, attention).emit(context.lower, context.upper)))
      return failure();
  }
  return success();
}
