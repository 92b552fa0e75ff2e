// The C face of the runtime.
//
// Each function checks what C can get wrong (null, sizes), then hands over to the C++ classes. Nothing throws past
// here: the standard library's own exceptions (no memory) become codes.
#include "lib/Runtime/CApiSupport.h"
#include "lib/Runtime/Context.h"
#include "lib/Runtime/UsableCpus.h"

#include <string>

using namespace qopt;
using namespace qopt::capi;

struct qopt_context {
  std::unique_ptr<Context> context;
};

namespace {

/// The caller's threads as a WorkerPool.
class CallerPool final : public WorkerPool {
public:
  explicit CallerPool(const qopt_thread_pool &pool) : pool(pool) {}
  int workers() const override { return pool.workers; }
  void run(Work work, void *argument) override { pool.run(pool.user, work, argument); }

private:
  qopt_thread_pool pool;
};

} // namespace

template <typename Value> static std::span<Value> spanOf(Value *data, int64_t count) {
  return data && count > 0 ? std::span<Value>(data, static_cast<size_t>(count)) : std::span<Value>();
}

extern "C" {

uint32_t qopt_api_version(void) { return QOPT_API_VERSION; }

int32_t qopt_usable_cpus(void) {
  try {
    return usableCpus();
  } catch (...) {
    return 1;
  }
}

int32_t qopt_model_open(const char *path, const qopt_model_options *options, qopt_model **model, qopt_error *error) {
  if (!path || !model)
    return missingArgument(error, path ? "a place for the model" : "a path");
  *model = nullptr;
  return guarded(error, [&]() -> int32_t {
    qopt_model_options given;
    if (Status status = readStruct(options, given, "qopt_model_options"); !status)
      return fill(error, status.error());
    if (given.verify < 0 || given.verify > 1 || given.weights < 0 || given.weights > 2)
      return fill(error, usageError("expected known values of verify and weights", "qopt_model_options"));
    ModelOptions wanted;
    wanted.verify = given.verify == QOPT_VERIFY_FULL ? Verify::Full : Verify::None;
    wanted.weights = given.weights == QOPT_WEIGHTS_AUTO     ? WeightPlacement::Auto
                     : given.weights == QOPT_WEIGHTS_MAPPED ? WeightPlacement::Mapped
                                                            : WeightPlacement::HugePages;
    wanted.threads = given.threads;
    wanted.target = given.target ? given.target : "";
    Result<std::shared_ptr<const Model>> opened = Model::open(path, wanted);
    if (!opened)
      return fill(error, opened.error());
    *model = new qopt_model{std::move(*opened)};
    return done(error);
  });
}

void qopt_model_release(qopt_model *model) { delete model; }

int32_t qopt_model_get_info(const qopt_model *model, qopt_model_info *info, qopt_error *error) {
  if (!model)
    return missingArgument(error, "a model");
  const Model &opened = *model->model;
  const Manifest &manifest = opened.manifest();
  qopt_model_info filled = {};
  filled.vocabulary = manifest.model.vocabulary;
  filled.hidden = manifest.model.hidden;
  filled.layers = manifest.model.layers;
  filled.context = manifest.model.context;
  filled.block_tokens = manifest.cache.blockTokens;
  filled.block_bytes = manifest.cache.blockBytes;
  filled.weight_bytes = manifest.weightBytes;
  filled.weights = opened.weightPlacement() == WeightPlacement::Mapped ? QOPT_WEIGHTS_MAPPED : QOPT_WEIGHTS_HUGE_PAGES;
  filled.name = manifest.model.name.c_str();
  filled.architecture = manifest.model.architecture.c_str();
  filled.target = opened.target().name.c_str();
  if (Status status = writeStruct(filled, info, "qopt_model_info"); !status)
    return fill(error, status.error());
  return done(error);
}

int32_t qopt_model_get_text(const qopt_model *model, const char *key, const char **text, uint64_t *length,
                            qopt_error *error) {
  if (!model || !key || !text || !length)
    return missingArgument(error, "a model, a key and places for text and length");
  std::optional<std::string_view> found = model->model->file().text(key);
  if (!found)
    return fill(error, usageError("expected \"qopt.manifest\", \"qopt.ledger\", \"qopt.generation\" or \"tokenizer\", "
                                  "but got \"" +
                                  escapeForMessage(key, 60) + "\""));
  *text = found->data();
  *length = found->size();
  return done(error);
}

int32_t qopt_context_create(qopt_model *model, const qopt_context_options *options, qopt_context **context,
                            qopt_error *error) {
  if (!model || !context)
    return missingArgument(error, model ? "a place for the context" : "a model");
  *context = nullptr;
  return guarded(error, [&]() -> int32_t {
    qopt_context_options given;
    if (Status status = readStruct(options, given, "qopt_context_options"); !status)
      return fill(error, status.error());
    ContextOptions wanted;
    wanted.threads = given.threads;
    wanted.contextTokens = given.context_tokens;
    wanted.cacheTokens = given.cache_tokens;
    wanted.chunkTokens = given.chunk_tokens == 0 ? wanted.chunkTokens : given.chunk_tokens;
    wanted.chunkRows = given.chunk_rows;
    if (given.pool) {
      qopt_thread_pool pool;
      if (Status status = readStruct(given.pool, pool, "qopt_thread_pool"); !status)
        return fill(error, status.error());
      if (!pool.run || pool.workers < 1 || pool.workers > 1024)
        return fill(error, usageError("expected a run function and 1 to 1024 workers", "qopt_thread_pool"));
      wanted.pool = std::make_shared<CallerPool>(pool);
    }
    Result<std::unique_ptr<Context>> created = Context::create(model->model, wanted);
    if (!created)
      return fill(error, created.error());
    if (given.abort)
      (*created)->setAbort([callback = given.abort, user = given.abort_user] { return callback(user) != 0; });
    *context = new qopt_context{std::move(*created)};
    return done(error);
  });
}

void qopt_context_destroy(qopt_context *context) { delete context; }

int32_t qopt_context_get_info(const qopt_context *context, qopt_context_info *info, qopt_error *error) {
  if (!context)
    return missingArgument(error, "a context");
  const Context &opened = *context->context;
  qopt_context_info filled = {};
  filled.context_tokens = opened.contextTokens();
  filled.chunk_tokens = opened.chunkTokens();
  filled.blocks = opened.cache().shape().blocks;
  filled.free_blocks = opened.cache().freeBlocks();
  filled.workers = opened.workers();
  if (Status status = writeStruct(filled, info, "qopt_context_info"); !status)
    return fill(error, status.error());
  return done(error);
}

int32_t qopt_sequence_create(qopt_context *context, int64_t *sequence, qopt_error *error) {
  if (!context || !sequence)
    return missingArgument(error, "a context and a place for the sequence");
  return guarded(error, [&]() -> int32_t {
    Result<SequenceId> created = context->context->cache().createSequence();
    if (!created)
      return fill(error, created.error());
    *sequence = *created;
    return done(error);
  });
}

int32_t qopt_sequence_fork(qopt_context *context, int64_t parent, int64_t *child, qopt_error *error) {
  if (!context || !child)
    return missingArgument(error, "a context and a place for the child");
  return guarded(error, [&]() -> int32_t {
    Result<SequenceId> created = context->context->cache().fork(parent);
    if (!created)
      return fill(error, created.error());
    *child = *created;
    return done(error);
  });
}

int32_t qopt_sequence_truncate(qopt_context *context, int64_t sequence, int64_t length, qopt_error *error) {
  if (!context)
    return missingArgument(error, "a context");
  return guarded(error, [&]() -> int32_t {
    Status status = context->context->cache().truncate(sequence, length);
    return status ? done(error) : fill(error, status.error());
  });
}

int32_t qopt_sequence_free(qopt_context *context, int64_t sequence, qopt_error *error) {
  if (!context)
    return missingArgument(error, "a context");
  return guarded(error, [&]() -> int32_t {
    Status status = context->context->cache().freeSequence(sequence);
    return status ? done(error) : fill(error, status.error());
  });
}

int32_t qopt_sequence_length(const qopt_context *context, int64_t sequence, int64_t *length, qopt_error *error) {
  if (!context || !length)
    return missingArgument(error, "a context and a place for the length");
  return guarded(error, [&]() -> int32_t {
    Result<int64_t> found = context->context->cache().length(sequence);
    if (!found)
      return fill(error, found.error());
    *length = *found;
    return done(error);
  });
}

int32_t qopt_forward(qopt_context *context, const qopt_batch *batch, qopt_error *error) {
  if (!context || !batch)
    return missingArgument(error, context ? "a batch" : "a context");
  return guarded(error, [&]() -> int32_t {
    qopt_batch given;
    if (Status status = readStruct(batch, given, "qopt_batch"); !status)
      return fill(error, status.error());
    bool counts = given.num_tokens >= 0 && given.num_sequences >= 0 && given.num_rows >= 0;
    bool arrays = (given.tokens || given.num_tokens == 0) && (given.sequences || given.num_sequences == 0) &&
                  (given.rows || given.num_rows == 0) && (given.logits || given.num_rows == 0);
    if (!counts || !arrays)
      return fill(error, usageError("expected counts of at least 0, and arrays where they are not 0", "qopt_batch"));
    if (given.hidden && given.hidden_capacity < 1 && given.num_rows > 0)
      return fill(error, usageError("expected a capacity for hidden states", "qopt_batch"));
    Result<ForwardOutcome> outcome =
        context->context->forward({.tokens = spanOf(given.tokens, given.num_tokens),
                                   .sequences = spanOf(given.sequences, given.num_sequences),
                                   .rows = spanOf(given.rows, given.num_rows),
                                   .logits = spanOf(given.logits, given.logits_capacity),
                                   .hidden = spanOf(given.hidden, given.hidden_capacity)});
    if (!outcome)
      return fill(error, outcome.error());
    if (*outcome == ForwardOutcome::Aborted)
      return fill(error, QOPT_ABORTED, "stopped by the abort callback");
    return done(error);
  });
}

} // extern "C"
