// The two ops that know of sequences: writing keys and values into the cache, and attention over them.
#include "lib/Reference/Ops.h"

#include <algorithm>
#include <cmath>
#include <set>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// The layer's number, if the cache has it.
static FailureOr<int64_t> checkedLayer(Operation *op, const Cache &cache, int64_t layer) {
  return checkedRow(op, "a layer", layer, cache.type().getLayers());
}

/// Where a position of a sequence lies: block_tables[sequence, position / tokens of a page].
static FailureOr<Cache::Place> placeOf(Operation *op, const Cache &cache, const Tensor &tables, int64_t sequence,
                                       int64_t position) {
  FailureOr<int64_t> row = checkedRow(op, "a sequence", sequence, tables.dim(0));
  if (failed(row))
    return failure();
  FailureOr<int64_t> place = checkedRow(op, "a position", position, tables.dim(1) * cache.pageTokens());
  if (failed(place))
    return failure();
  int32_t page = tables.integers[*row * tables.dim(1) + *place / cache.pageTokens()];
  if (page < 0)
    return op->emitOpError() << "expected a page for position " << position << " of sequence " << sequence
                             << ", but got " << page;
  return Cache::Place{page, *place % cache.pageTokens()};
}

Results reference::evaluateCacheUpdate(transformer::CacheUpdateOp op, const Frame &frame) {
  const Cache &cache = frame.cache(op.getCache());
  const Tensor &key = frame.tensor(op.getKey()), &value = frame.tensor(op.getValue());
  const Tensor &positions = frame.tensor(op.getPositions()), &sequences = frame.tensor(op.getSequences());
  FailureOr<int64_t> layer = checkedLayer(op, cache, frame.index(op.getLayer()));
  if (failed(layer) || failed(sameRows(op, {&key, &value, &positions, &sequences})))
    return failure();

  Type element = cache.type().getElementType();
  int64_t width = key.dim(1);
  std::vector<std::pair<Cache::Place, Cache::Row>> rows;
  std::set<Cache::Place> written;
  for (int64_t t = 0; t < key.dim(0); ++t) {
    FailureOr<Cache::Place> place =
        placeOf(op, cache, frame.tensor(op.getBlockTables()), sequences.integers[t], positions.integers[t]);
    if (failed(place))
      return failure();
    if (!written.insert(*place).second)
      return op.emitOpError() << "expected tokens with places of their own, but token " << t << " has page "
                              << place->first << ", slot " << place->second << " of another";
    Cache::Row row;
    for (int64_t c = 0; c < width; ++c) {
      row.key.push_back(roundTo(element, key.floats[t * width + c]));
      row.value.push_back(roundTo(element, value.floats[t * width + c]));
    }
    rows.emplace_back(*place, std::move(row));
  }
  return std::vector<HostValue>{cache.with(*layer, std::move(rows))};
}

/// One head of one token: out = softmax(scale · q·kᵀ) · v over `rows`, whose head starts at `offset`.
static void attend(const float *query, ArrayRef<const Cache::Row *> rows, int64_t offset, int64_t dim, double scale,
                   float *out) {
  std::vector<double> weights;
  for (const Cache::Row *row : rows) {
    double product = 0;
    for (int64_t i = 0; i < dim; ++i)
      product += double{query[i]} * row->key[offset + i];
    weights.push_back(scale * product);
  }
  double largest = *std::max_element(weights.begin(), weights.end()), total = 0;
  for (double &weight : weights)
    total += weight = std::exp(weight - largest);
  for (int64_t i = 0; i < dim; ++i) {
    double sum = 0;
    for (auto [weight, row] : llvm::zip_equal(weights, rows))
      sum += weight / total * row->value[offset + i];
    out[i] = static_cast<float>(sum);
  }
}

Results reference::evaluateAttention(transformer::AttentionOp op, const Frame &frame) {
  const Cache &cache = frame.cache(op.getCache());
  const Tensor &query = frame.tensor(op.getQuery());
  const Tensor &positions = frame.tensor(op.getPositions()), &sequences = frame.tensor(op.getSequences());
  FailureOr<int64_t> layer = checkedLayer(op, cache, frame.index(op.getLayer()));
  if (failed(layer) || failed(sameRows(op, {&query, &positions, &sequences})))
    return failure();

  int64_t dim = cache.type().getDim(), width = query.dim(1), heads = width / dim;
  int64_t sharing = heads / cache.type().getHeads(); // query heads for each key head
  int64_t window = static_cast<int64_t>(op.getWindow());
  Tensor result = Tensor::zeros(query.type);
  for (int64_t t = 0; t < query.dim(0); ++t) {
    int64_t last = positions.integers[t];
    int64_t first = window == 0 ? 0 : std::max<int64_t>(0, last - window + 1);
    SmallVector<const Cache::Row *> rows;
    for (int64_t p = first; p <= last; ++p) {
      FailureOr<Cache::Place> place = placeOf(op, cache, frame.tensor(op.getBlockTables()), sequences.integers[t], p);
      if (failed(place))
        return failure();
      rows.push_back(cache.find(*layer, *place));
      if (!rows.back())
        return op.emitOpError() << "expected keys at position " << p << " of sequence " << sequences.integers[t]
                                << ", but page " << place->first << ", slot " << place->second << " was never written";
    }
    if (rows.empty())
      return op.emitOpError() << "expected a position of at least 0, but got " << last;
    for (int64_t head = 0; head < heads; ++head)
      attend(query.floats.data() + t * width + head * dim, rows, head / sharing * dim, dim,
             op.getScale().convertToDouble(), result.floats.data() + t * width + head * dim);
  }
  return std::vector<HostValue>{std::make_shared<const Tensor>(std::move(result))};
}
