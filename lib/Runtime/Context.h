#ifndef QOPT_LIB_RUNTIME_CONTEXT_H
#define QOPT_LIB_RUNTIME_CONTEXT_H

#include "lib/Runtime/KvCache.h"
#include "lib/Runtime/Model.h"
#include "lib/Runtime/Profile.h"
#include "lib/Runtime/ThreadPool.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace qopt {

struct ContextOptions {
  /// Workers of a pool of the context's own; 0: as many as usableCpus(). Ignored where `pool` is given.
  int threads = 0;
  /// Workers that the caller owns; may serve several contexts where its run() may be called from several threads.
  std::shared_ptr<WorkerPool> pool = nullptr;
  /// Most tokens of one sequence; 0: the model's context. More than the model's context is an error.
  int64_t contextTokens = 0;
  /// Tokens that the KV cache holds over all sequences, rounded up to whole blocks; 0: one sequence of contextTokens.
  int64_t cacheTokens = 0;
  /// Tokens per call of the compiled forward: a longer batch is cut into chunks. It bounds the arena; results do not
  /// depend on it.
  int64_t chunkTokens = 512;
  /// Logits rows per call of the compiled forward; 0: chunkTokens. As above.
  int64_t chunkRows = 0;
};

/// Tokens to append to sequences, and what is wanted of the model after them.
struct Batch {
  std::span<const int32_t> tokens;
  /// The sequence of each token, or one id for all of them. A sequence's tokens are appended in the order given; those
  /// of several may be mixed at will.
  std::span<const SequenceId> sequences;
  /// Indices into `tokens`, strictly ascending: the rows whose logits are wanted. May be empty (prefill).
  std::span<const int32_t> rows = {};
  std::span<float> logits = {}; ///< out: [rows, vocabulary]
  std::span<float> hidden = {}; ///< out: [rows, hidden] final normed hidden states; empty: not wanted
  /// Of a part of a model: one tensor [tokens, channels] for each of the manifest's inputs and outputs.
  std::span<const float *const> inputs = {};
  std::span<float *const> outputs = {};
};

enum class ForwardOutcome {
  Done,
  Aborted, ///< the abort callback said so; every sequence is as it was before the call
};

/// One user's state of a model: KV cache, arena, workers. Use it from one thread at a time; several contexts of one
/// model may run at once.
class Context {
public:
  /// Usage or resource error.
  static Result<std::unique_ptr<Context>> create(std::shared_ptr<const Model> model,
                                                 const ContextOptions &options = {});

  /// Runs the model over a batch and appends it to its sequences. An error, an abort or an exception (std::bad_alloc)
  /// leaves every sequence as it was (the output buffers may be partly written). Usage: ids, rows or buffers that do
  /// not fit; bad input: a sequence beyond its context; resource: the cache is full.
  Result<ForwardOutcome> forward(const Batch &batch);

  /// Called on worker 0's thread (the caller's, with a pool of our own) at each barrier, some hundred times per
  /// forward; true stops the forward. Null: never.
  void setAbort(std::function<bool()> callback) { abortRequested = std::move(callback); }

  /// Where each forward's time is added from now on; null: nowhere, and no clock is read.
  void setProfile(Profile *into) { profile = into; }

  const Model &model() const { return *compiled; }
  KvCache &cache() { return *keyValues; }
  const KvCache &cache() const { return *keyValues; }
  int workers() const { return pool->workers(); }
  int64_t contextTokens() const { return keyValues->shape().sequenceTokens; }
  int64_t chunkTokens() const { return maxTokens; }

private:
  Context(std::shared_ptr<const Model> model, std::shared_ptr<WorkerPool> workers, std::unique_ptr<KvCache> cache,
          Pages arena, int64_t maxTokens, int64_t maxRows);
  Status check(const Batch &batch) const;
  Status place(const Batch &batch);
  bool runChunk(const Batch &batch, int64_t firstToken, int64_t tokens, int64_t firstRow, int64_t rows);
  static int32_t waitAtBarrier(void *context, int64_t worker);

  std::shared_ptr<const Model> compiled;
  std::shared_ptr<WorkerPool> pool;
  std::unique_ptr<KvCache> keyValues;
  Barrier barrier;
  Pages arena;
  const int64_t maxTokens, maxRows;
  std::function<bool()> abortRequested;
  Profile *profile = nullptr;
  std::vector<int64_t> counters;
  // Of the present batch, kept for their memory.
  std::vector<KvCache::Append> appends;
  std::vector<int32_t> positions, slots; // [tokens of the batch]
  std::vector<int32_t> rows;             // [rows of a chunk]
  std::vector<const float *> inputs;     // of a chunk
  std::vector<float *> outputs;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_CONTEXT_H
