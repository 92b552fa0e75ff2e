/* The C ABI as a C program uses it: compiled as C11. Called from CApiTest.cpp; returns 0, or the line that failed. */
#include "lib/Runtime/qopt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      return __LINE__;                                                                                                 \
  } while (0)

enum { kVocabulary = 101, kHidden = 8, kTokens = 11, kWorkers = 3, kProbe = 100 };

struct job {
  void (*work)(void *, int32_t);
  void *argument;
  int32_t worker;
};

static void *thread_main(void *data) {
  struct job *job = data;
  job->work(job->argument, job->worker);
  return NULL;
}

static void run_on_my_threads(void *user, void (*work)(void *, int32_t), void *argument) {
  pthread_t threads[kWorkers];
  struct job jobs[kWorkers];
  ++*(int *)user;
  for (int32_t i = 0; i < kWorkers; ++i) {
    jobs[i] = (struct job){work, argument, i};
    if (pthread_create(&threads[i], NULL, thread_main, &jobs[i]) != 0)
      abort();
  }
  for (int32_t i = 0; i < kWorkers; ++i)
    pthread_join(threads[i], NULL);
}

static int32_t countdown(void *user) { return --*(int *)user < 0; }

int qopt_c_api_check(const char *path, const float *expected /* [kTokens, kVocabulary] */, const int32_t *tokens) {
  qopt_error error = {.size = sizeof error};
  CHECK(qopt_api_version() == QOPT_API_VERSION);
  CHECK(qopt_usable_cpus() >= 1);

  /* Errors have a class and a message. */
  qopt_model *model = NULL;
  CHECK(qopt_model_open("/nonexistent/model.qopt", NULL, &model, &error) == QOPT_BAD_INPUT && model == NULL);
  CHECK(error.code == QOPT_BAD_INPUT && strstr(error.message, "/nonexistent/model.qopt") != NULL);
  CHECK(qopt_model_open("/nonexistent/model.qopt", NULL, &model, NULL) == QOPT_BAD_INPUT);
  struct {
    uint64_t size;
    int32_t code;
    char message[12];
  } small = {sizeof small, 0, "xxxxxxxxxxx"};
  CHECK(qopt_model_open(NULL, NULL, &model, (qopt_error *)&small) == QOPT_USAGE);
  CHECK(small.code == QOPT_USAGE && strlen(small.message) == 11);

  qopt_model_options model_options = {.size = sizeof model_options, .verify = 9};
  CHECK(qopt_model_open(path, &model_options, &model, &error) == QOPT_USAGE);
  model_options = (qopt_model_options){.size = sizeof model_options, .weights = QOPT_WEIGHTS_HUGE_PAGES, .threads = 2};
  CHECK(qopt_model_open(path, &model_options, &model, &error) == QOPT_OK && error.code == QOPT_OK);

  qopt_model_info info = {.size = sizeof info};
  CHECK(qopt_model_get_info(model, &info, &error) == QOPT_OK);
  CHECK(info.vocabulary == kVocabulary && info.hidden == kHidden && info.weights == QOPT_WEIGHTS_HUGE_PAGES);
  CHECK(strcmp(info.name, "fake") == 0 && strcmp(info.target, "any") == 0);
  /* A program that knows only the first two numbers. */
  int64_t old_info[3] = {16, 0, -5};
  CHECK(qopt_model_get_info(model, (qopt_model_info *)old_info, &error) == QOPT_OK);
  CHECK(old_info[1] == kVocabulary && old_info[2] == -5);
  const char *text;
  uint64_t length;
  CHECK(qopt_model_get_text(model, "tokenizer", &text, &length, &error) == QOPT_OK);
  CHECK(length == strlen("{\"model\":\"none\"}") && memcmp(text, "{\"model\":\"none\"}", length) == 0);
  CHECK(qopt_model_get_text(model, "qopt.manifest", &text, &length, &error) == QOPT_OK && length > 100);
  CHECK(qopt_model_get_text(model, "nothing", &text, &length, &error) == QOPT_USAGE);

  /* A struct of a later version works where what is new in it is zero. */
  struct {
    qopt_context_options known;
    int64_t later;
  } future = {.known = {.size = sizeof future, .threads = 2}, .later = 1};
  qopt_context *context = NULL;
  CHECK(qopt_context_create(model, &future.known, &context, &error) == QOPT_USAGE && context == NULL);
  future.later = 0;
  CHECK(qopt_context_create(model, &future.known, &context, &error) == QOPT_OK);
  qopt_context_info context_info = {.size = sizeof context_info};
  CHECK(qopt_context_get_info(context, &context_info, &error) == QOPT_OK);
  CHECK(context_info.workers == 2 && context_info.blocks == context_info.free_blocks);

  /* All rows at once, then the same through a fork and a truncation. */
  int64_t sequence, child, held;
  CHECK(qopt_sequence_create(context, &sequence, &error) == QOPT_OK);
  static float logits[kTokens * kVocabulary], hidden[kTokens * kHidden];
  int32_t rows[kTokens];
  for (int32_t i = 0; i < kTokens; ++i)
    rows[i] = i;
  qopt_batch batch = {.size = sizeof batch,
                      .num_tokens = kTokens,
                      .tokens = tokens,
                      .num_sequences = 1,
                      .sequences = &sequence,
                      .num_rows = kTokens,
                      .rows = rows,
                      .logits = logits,
                      .logits_capacity = kTokens * kVocabulary,
                      .hidden = hidden,
                      .hidden_capacity = kTokens * kHidden};
  batch.logits_capacity -= 1;
  CHECK(qopt_forward(context, &batch, &error) == QOPT_USAGE);
  batch.logits_capacity += 1;
  CHECK(qopt_forward(context, &batch, &error) == QOPT_OK);
  CHECK(memcmp(logits, expected, sizeof logits) == 0);
  CHECK(hidden[0] != hidden[kHidden]);
  CHECK(qopt_sequence_fork(context, sequence, &child, &error) == QOPT_OK);
  CHECK(qopt_sequence_truncate(context, child, 5, &error) == QOPT_OK);
  CHECK(qopt_sequence_truncate(context, child, 6, &error) == QOPT_USAGE);
  CHECK(qopt_sequence_free(context, sequence, &error) == QOPT_OK);
  CHECK(qopt_sequence_free(context, sequence, &error) == QOPT_USAGE);
  memset(logits, 0, sizeof logits);
  int32_t last = kTokens - 6;
  batch = (qopt_batch){.size = sizeof batch,
                       .num_tokens = kTokens - 5,
                       .tokens = tokens + 5,
                       .num_sequences = 1,
                       .sequences = &child,
                       .num_rows = 1,
                       .rows = &last,
                       .logits = logits,
                       .logits_capacity = kVocabulary};
  CHECK(qopt_forward(context, &batch, &error) == QOPT_OK);
  CHECK(memcmp(logits, expected + (kTokens - 1) * kVocabulary, kVocabulary * sizeof(float)) == 0);
  CHECK(qopt_sequence_length(context, child, &held, &error) == QOPT_OK);
  CHECK(held == kTokens);
  batch.tokens = NULL;
  CHECK(qopt_forward(context, &batch, &error) == QOPT_USAGE);
  batch.num_tokens = -1;
  CHECK(qopt_forward(context, &batch, &error) == QOPT_USAGE);
  qopt_context_destroy(context);

  /* My own threads, an abort callback, and the model released first. */
  int runs = 0, questions = 2;
  qopt_thread_pool pool = {.size = sizeof pool, .user = &runs, .workers = kWorkers, .run = run_on_my_threads};
  qopt_context_options options = {
      .size = sizeof options, .pool = &pool, .abort = countdown, .abort_user = &questions, .chunk_tokens = 4};
  CHECK(qopt_context_create(model, &options, &context, &error) == QOPT_OK);
  qopt_model_release(model);
  CHECK(qopt_sequence_create(context, &sequence, &error) == QOPT_OK);
  batch = (qopt_batch){.size = sizeof batch,
                       .num_tokens = kTokens,
                       .tokens = tokens,
                       .num_sequences = 1,
                       .sequences = &sequence,
                       .num_rows = kTokens,
                       .rows = rows,
                       .logits = logits,
                       .logits_capacity = kTokens * kVocabulary};
  CHECK(qopt_forward(context, &batch, &error) == QOPT_ABORTED);

  CHECK(qopt_sequence_length(context, sequence, &held, &error) == QOPT_OK && held == 0);
  questions = 1000;
  runs = 0;
  memset(logits, 0, sizeof logits);
  CHECK(qopt_forward(context, &batch, &error) == QOPT_OK);
  CHECK(runs == 3);
  CHECK(memcmp(logits, expected, sizeof logits) == 0);
  int32_t probe = kProbe;
  CHECK(qopt_sequence_create(context, &sequence, &error) == QOPT_OK);
  batch.num_tokens = batch.num_rows = 1;
  batch.tokens = &probe;
  CHECK(qopt_forward(context, &batch, &error) == QOPT_OK);
  CHECK(logits[0] == kWorkers && logits[1] == kWorkers);
  qopt_context_destroy(context);
  qopt_context_destroy(NULL);
  qopt_model_release(NULL);
  return 0;
}
