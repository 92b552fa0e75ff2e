//===-- Context.cpp - Batches through the compiled forward
//-----------------------------------------------------------===//
//
// A batch of any length is placed at once (positions, cache blocks, copies of shared blocks), then run in chunks of at
// most chunkTokens. The model promises that results do not depend on the chunking, so the chunk is only a bound on the
// arena. Because the placement comes first, what cannot fit fails before any work is done, and whatever stops a later
// chunk is undone by shrinking the sequences again.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/Context.h"

#include "lib/Runtime/CompiledAbi.h"
#include "lib/Runtime/UsableCpus.h"

#include <algorithm>
#include <string>

namespace qopt {

Context::Context(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> workers,
                 std::unique_ptr<KvCache> cache, Pages arena, int64_t maxTokens, int64_t maxRows)
    : compiled(std::move(model)), pool(std::move(workers)), keyValues(std::move(cache)),
      barrier(pool->workers(), spinMicrosecondsFor(pool->workers())), arena(std::move(arena)), maxTokens(maxTokens),
      maxRows(maxRows), counters(compiled->manifest().counters) {}

Result<std::unique_ptr<Context>> Context::create(std::shared_ptr<const Model> model, const ContextOptions &options) {
  const Manifest &manifest = model->manifest();
  auto outside = [](const char *what, int64_t low, int64_t high, int64_t seen) -> Error {
    return usageError("expected " + std::string(what) + " of " + std::to_string(low) + " to " + std::to_string(high) +
                      ", but got " + std::to_string(seen));
  };
  int64_t context = options.contextTokens == 0 ? manifest.model.context : options.contextTokens;
  if (context < 1 || context > manifest.model.context)
    return outside("a context", 1, manifest.model.context, context);
  int64_t chunk = options.chunkTokens, chunkRows = options.chunkRows == 0 ? chunk : options.chunkRows;
  if (chunk < 1 || chunk > INT32_MAX)
    return outside("tokens per chunk", 1, INT32_MAX, chunk);
  if (chunkRows < 1 || chunkRows > INT32_MAX)
    return outside("rows per chunk", 1, INT32_MAX, chunkRows);
  chunkRows = std::min(chunkRows, chunk); // a chunk never has more rows than tokens
  int64_t cached = options.cacheTokens == 0 ? context : options.cacheTokens;
  int64_t blockTokens = manifest.cache.blockTokens;
  if (cached < 1 || cached > INT32_MAX * blockTokens)
    return outside("a cache", 1, INT32_MAX * blockTokens, cached);

  std::shared_ptr<WorkerPool> pool = options.pool;
  if (!pool) {
    Result<std::unique_ptr<ThreadPool>> own = ThreadPool::create(options.threads == 0 ? usableCpus() : options.threads);
    if (!own)
      return own.takeError();
    pool = std::move(*own);
  }
  Result<std::unique_ptr<KvCache>> cache = KvCache::create({.blockTokens = blockTokens,
                                                            .blockBytes = manifest.cache.blockBytes,
                                                            .blocks = (cached + blockTokens - 1) / blockTokens,
                                                            .sequenceTokens = context});
  if (!cache)
    return cache.takeError();
  // The manifest's ranges keep this within 64 bits.
  uint64_t arenaBytes = manifest.arena.constant + manifest.arena.perToken * chunk + manifest.arena.perRow * chunkRows;
  Result<Pages> arena = Pages::allocate(arenaBytes, false, "arena");
  if (!arena)
    return arena.takeError().withNext("ask for fewer tokens per chunk");
  return std::unique_ptr<Context>(
      new Context(std::move(model), std::move(pool), std::move(*cache), std::move(*arena), chunk, chunkRows));
}

Status Context::check(const Batch &batch) const {
  const Manifest &manifest = compiled->manifest();
  size_t tokens = batch.tokens.size();
  if (tokens > INT32_MAX)
    return usageError("expected a batch of at most 2^31 - 1 tokens");
  if (tokens > 0 && batch.sequences.size() != 1 && batch.sequences.size() != tokens)
    return usageError("expected one sequence for the batch or one for each of its " + std::to_string(tokens) +
                      " tokens, but got " + std::to_string(batch.sequences.size()));
  for (size_t i = 0; i < tokens; ++i)
    if (batch.tokens[i] < 0 || batch.tokens[i] >= manifest.model.vocabulary)
      return usageError("expected token ids below " + std::to_string(manifest.model.vocabulary) + ", but got " +
                            std::to_string(batch.tokens[i]),
                        "token " + std::to_string(i) + " of the batch");
  int64_t previous = -1;
  for (int32_t row : batch.rows) {
    if (row <= previous || static_cast<size_t>(row) >= tokens)
      return usageError("expected rows in ascending order and below " + std::to_string(tokens) + ", but got " +
                        std::to_string(row) + " after " + std::to_string(previous));
    previous = row;
  }
  if (batch.inputs.size() != manifest.inputs.size() || batch.outputs.size() != manifest.outputs.size())
    return usageError("expected " + std::to_string(manifest.inputs.size()) + " inputs and " +
                      std::to_string(manifest.outputs.size()) + " outputs beside the tokens, but got " +
                      std::to_string(batch.inputs.size()) + " and " + std::to_string(batch.outputs.size()));
  auto holds = [&](std::span<float> out, int64_t width) {
    return out.size() / static_cast<size_t>(width) >= batch.rows.size();
  };
  if (!holds(batch.logits, manifest.model.vocabulary))
    return usageError("expected room for " + std::to_string(batch.rows.size()) + " rows of " +
                      std::to_string(manifest.model.vocabulary) + " logits, but got " +
                      std::to_string(batch.logits.size()) + " values");
  if (!batch.hidden.empty() && manifest.model.hidden == 0)
    return usageError("hidden states are wanted, but this model's code hands none out");
  if (!batch.hidden.empty() && !holds(batch.hidden, manifest.model.hidden))
    return usageError("expected room for " + std::to_string(batch.rows.size()) + " hidden states of " +
                      std::to_string(manifest.model.hidden) + ", but got " + std::to_string(batch.hidden.size()) +
                      " values");
  return {};
}

/// Gives each token its position and makes room for it in the cache.
Status Context::place(const Batch &batch) {
  size_t tokens = batch.tokens.size();
  appends.clear();
  positions.resize(tokens);
  slots.resize(tokens);
  if (tokens == 0)
    return {};
  // Which append a sequence has, by slot; -1: none yet.
  std::vector<int32_t> appendOf;
  std::vector<int64_t> lengths; // before the batch, per append
  for (size_t i = 0; i < tokens; ++i) {
    SequenceId sequence = batch.sequences[batch.sequences.size() == 1 ? 0 : i];
    if (i == 0 || batch.sequences.size() > 1) {
      Result<int64_t> length = keyValues->length(sequence);
      if (!length)
        return length.takeError();
      size_t slot = KvCache::slotOf(sequence);
      if (slot >= appendOf.size())
        appendOf.resize(slot + 1, -1);
      if (appendOf[slot] < 0) {
        appendOf[slot] = static_cast<int32_t>(appends.size());
        appends.push_back({sequence, 0});
        lengths.push_back(*length);
      }
    }
    int32_t slot = KvCache::slotOf(sequence);
    KvCache::Append &append = appends[appendOf[slot]];
    slots[i] = slot;
    positions[i] = static_cast<int32_t>(lengths[appendOf[slot]] + append.count);
    ++append.count;
  }
  return keyValues->append(appends);
}

namespace {

/// A batch that was placed and is taken back unless it runs to its end, whatever stops it: an abort, or an exception
/// (out of memory) that the C ABI turns into a code.
struct PlacedBatch {
  KvCache &cache;
  std::span<const KvCache::Append> appends;
  bool done = false;

  ~PlacedBatch() {
    if (!done)
      cache.retract(appends);
  }
};

} // namespace

Result<ForwardOutcome> Context::forward(const Batch &batch) {
  if (Status status = check(batch); !status)
    return status.takeError();
  if (Status status = place(batch); !status)
    return status.takeError();
  PlacedBatch placed{*keyValues, appends};
  barrier.reset();
  int64_t tokens = static_cast<int64_t>(batch.tokens.size());
  for (int64_t token = 0, row = 0; token < tokens;) {
    int64_t end = std::min(tokens, token + maxTokens);
    auto firstRow = batch.rows.begin() + row;
    int64_t rowCount = std::lower_bound(firstRow, batch.rows.end(), end) - firstRow;
    if (rowCount > maxRows) {
      end = batch.rows[row + maxRows]; // up to the first row that does not fit
      rowCount = maxRows;
    }
    if (!runChunk(batch, token, end - token, row, rowCount))
      return ForwardOutcome::Aborted;
    token = end;
    row += rowCount;
  }
  placed.done = true;
  return ForwardOutcome::Done;
}

/// Runs one chunk on all workers; false: it was stopped.
bool Context::runChunk(const Batch &batch, int64_t firstToken, int64_t tokens, int64_t firstRow, int64_t rowCount) {
  if (abortRequested && abortRequested())
    return false;
  const Manifest &manifest = compiled->manifest();
  rows.resize(rowCount);
  for (int64_t i = 0; i < rowCount; ++i)
    rows[i] = static_cast<int32_t>(batch.rows[firstRow + i] - firstToken);
  std::fill(counters.begin(), counters.end(), 0);
  QoptForwardArgs args = {};
  args.size = sizeof args;
  args.weights = reinterpret_cast<const uint8_t *>(compiled->weights());
  args.arena = reinterpret_cast<uint8_t *>(arena.data());
  args.cache = reinterpret_cast<uint8_t *>(keyValues->data());
  args.tokens = batch.tokens.data() + firstToken;
  args.positions = positions.data() + firstToken;
  args.sequences = slots.data() + firstToken;
  args.block_tables = keyValues->tables();
  args.blocks_per_sequence = keyValues->blocksPerSequence();
  args.rows = rows.data();
  args.num_tokens = tokens;
  args.num_rows = rowCount;
  args.logits = batch.logits.data() + firstRow * manifest.model.vocabulary;
  args.hidden = batch.hidden.empty() ? nullptr : batch.hidden.data() + firstRow * manifest.model.hidden;
  args.counters = counters.data();
  args.barrier = waitAtBarrier;
  args.pool = this;
  inputs.assign(batch.inputs.begin(), batch.inputs.end());
  outputs.assign(batch.outputs.begin(), batch.outputs.end());
  for (size_t i = 0; i < inputs.size(); ++i)
    inputs[i] += firstToken * manifest.inputs[i].channels;
  for (size_t i = 0; i < outputs.size(); ++i)
    outputs[i] += firstToken * manifest.outputs[i].channels;
  args.inputs = inputs.data();
  args.outputs = outputs.data();
  std::atomic<bool> stopped{false};
  QoptForwardFn entry = compiled->entry();
  int64_t workerCount = pool->workers();
  if (profile)
    profile->begin(tokens, rowCount);
  pool->runEach([&](int worker) {
    if (entry(&args, worker, workerCount) != 0)
      stopped.store(true, std::memory_order_relaxed);
  });
  if (profile)
    profile->end();
  return !stopped.load(std::memory_order_relaxed);
}

int32_t Context::waitAtBarrier(void *context, int64_t worker) {
  auto *self = static_cast<Context *>(context);
  if (worker == 0 && self->abortRequested && self->abortRequested())
    self->barrier.stop();
  int32_t answer = self->barrier.wait();
  if (worker == 0 && self->profile)
    self->profile->passBarrier();
  return answer;
}

} // namespace qopt
