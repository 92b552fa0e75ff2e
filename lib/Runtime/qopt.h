/*===-- qopt.h - Running a compiled model from C ------------------------------------------------------------------===*
 *
 *   qopt_error error = {.size = sizeof error};
 *   qopt_model *model;
 *   if (qopt_model_open("model.qopt", NULL, &model, &error) != QOPT_OK) { puts(error.message); return error.code; }
 *   qopt_context *context;
 *   qopt_context_create(model, NULL, &context, &error);
 *   int64_t sequence;
 *   qopt_sequence_create(context, &sequence, &error);
 *   qopt_batch batch = {.size = sizeof batch, .num_tokens = n, .tokens = ids, .num_sequences = 1,
 *                       .sequences = &sequence, .num_rows = 1, .rows = &last, .logits = logits,
 *                       .logits_capacity = vocabulary};
 *   qopt_forward(context, &batch, &error);
 *
 * Rules for all of it:
 * - Every struct begins with its size, set by the caller to sizeof. A struct of an older, shorter version works: what
 * it lacks has its default, which is always zero. A longer one works where what this library does not know is zero.
 * - Every function that can fail returns a code, and fills `error` where that is not NULL. Nothing is printed, nothing
 *   throws, no state is global.
 * - A model is immutable and may be used from any threads. A context is for one thread at a time. A model may be
 * released before its contexts are.
 * - An artifact contains native code that runs in this process. Checksums detect damage, not malice: open what you
 * trust.
 *
 *===---------------------------------------------------------------------------------------------------------------===*/
#ifndef QOPT_LIB_RUNTIME_QOPT_H
#define QOPT_LIB_RUNTIME_QOPT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QOPT_API __attribute__((visibility("default")))
#else
#define QOPT_API
#endif

/* Goes up when a function or a field is added. Nothing is ever removed. */
#define QOPT_API_VERSION 2
QOPT_API uint32_t qopt_api_version(void);

/* ---- Errors ---- */

/* The same numbers as the exit codes of the command line tools; aborted is no error of either side. */
typedef enum qopt_code {
  QOPT_OK = 0,
  QOPT_USAGE = 1,     /* an argument */
  QOPT_BAD_INPUT = 2, /* a file that is missing or breaks a rule, a prompt too long */
  QOPT_RESOURCE = 3,  /* memory, threads, disk, a permission, a missing CPU feature */
  QOPT_GATE = 4,      /* a numerical guard */
  QOPT_BUG = 5,       /* qopt's own */
  QOPT_ABORTED = 6    /* the abort callback said so */
} qopt_code;

typedef struct qopt_error {
  uint64_t size;
  int32_t code;       /* a qopt_code */
  char message[1012]; /* UTF-8, ends with 0, several lines: the rule, where, what became of it, what to do next */
} qopt_error;

/* ---- Models ---- */

typedef struct qopt_model qopt_model;

enum { QOPT_VERIFY_FULL = 0, QOPT_VERIFY_NO_WEIGHTS = 1 };
enum { QOPT_WEIGHTS_AUTO = 0, QOPT_WEIGHTS_MAPPED = 1, QOPT_WEIGHTS_HUGE_PAGES = 2 };

typedef struct qopt_model_options {
  uint64_t size;
  int32_t verify;     /* QOPT_VERIFY_*: whether the weights' checksums are compared; all else always is */
  int32_t weights;    /* QOPT_WEIGHTS_* */
  int32_t threads;    /* that read and check the weights; 0: as many as there are usable CPUs */
  int32_t reserved;   /* 0 */
  const char *target; /* name of the target whose code to run; NULL: the best that this processor can run */
} qopt_model_options;

/* Opens and verifies an artifact and loads its code. options may be NULL. */
QOPT_API int32_t qopt_model_open(const char *path, const qopt_model_options *options, qopt_model **model,
                                 qopt_error *error);
/* Gives the caller's hold on the model back; NULL is allowed. */
QOPT_API void qopt_model_release(qopt_model *model);

typedef struct qopt_model_info {
  uint64_t size;
  int64_t vocabulary;   /* logits per row */
  int64_t hidden;       /* width of a hidden state */
  int64_t layers;       /* */
  int64_t context;      /* most tokens of one sequence */
  int64_t block_tokens; /* tokens per block of the KV cache */
  int64_t block_bytes;  /* bytes of such a block */
  int64_t weight_bytes; /* */
  int32_t weights;      /* QOPT_WEIGHTS_MAPPED or QOPT_WEIGHTS_HUGE_PAGES: what was chosen */
  int32_t reserved;     /* */
  /* Strings live as long as the model. */
  const char *name;         /* for people */
  const char *architecture; /* "llama" */
  const char *target;       /* whose code runs */
} qopt_model_info;

/* Fills as much of *info as info->size says. */
QOPT_API int32_t qopt_model_get_info(const qopt_model *model, qopt_model_info *info, qopt_error *error);

/* A text of the artifact: "qopt.manifest", "qopt.ledger", "qopt.generation", "tokenizer" (each JSON). Not ended by 0;
 * lives as long as the model. Usage error for another key; a text that the artifact lacks has length 0. */
QOPT_API int32_t qopt_model_get_text(const qopt_model *model, const char *key, const char **text, uint64_t *length,
                                     qopt_error *error);

/* CPUs that this process may use: affinity and cgroup quota. */
QOPT_API int32_t qopt_usable_cpus(void);

/* ---- Contexts ---- */

typedef struct qopt_context qopt_context;

/* Threads of the caller's. run must call work(argument, w) once for each w in [0, workers), all at the same time, each
 * on an operating system's thread that may block, and return when all have returned. */
typedef struct qopt_thread_pool {
  uint64_t size;
  void *user;
  int32_t workers;
  int32_t reserved;
  void (*run)(void *user, void (*work)(void *argument, int32_t worker), void *argument);
} qopt_thread_pool;

typedef struct qopt_context_options {
  uint64_t size;
  int32_t threads;              /* workers of the context's own; 0: as many as there are usable CPUs */
  int32_t reserved;             /* 0 */
  const qopt_thread_pool *pool; /* copied; NULL: the context's own */
  int64_t context_tokens;       /* most tokens of one sequence; 0: the model's context */
  int64_t cache_tokens;         /* tokens of all sequences together; 0: context_tokens */
  int64_t chunk_tokens;         /* a longer batch is cut into chunks; bounds memory, not results; 0: 512 */
  int64_t chunk_rows;           /* the same for wanted rows; 0: chunk_tokens */
  /* Called some hundred times per forward on worker 0's thread (the caller's, with the context's own threads); nonzero
   * stops the forward, which returns QOPT_ABORTED and leaves every sequence as it was. NULL: never. */
  int32_t (*abort)(void *user);
  void *abort_user;
} qopt_context_options;

/* options may be NULL. */
QOPT_API int32_t qopt_context_create(qopt_model *model, const qopt_context_options *options, qopt_context **context,
                                     qopt_error *error);
/* NULL is allowed. */
QOPT_API void qopt_context_destroy(qopt_context *context);

typedef struct qopt_context_info {
  uint64_t size;
  int64_t context_tokens; /* most tokens of one sequence */
  int64_t chunk_tokens;   /* */
  int64_t blocks;         /* of the KV cache */
  int64_t free_blocks;    /* */
  int32_t workers;        /* */
  int32_t reserved;       /* */
} qopt_context_info;

QOPT_API int32_t qopt_context_get_info(const qopt_context *context, qopt_context_info *info, qopt_error *error);

/* ---- Sequences: tokens whose keys and values a context holds ---- */

QOPT_API int32_t qopt_sequence_create(qopt_context *context, int64_t *sequence, qopt_error *error);
/* A new sequence with the same tokens. It shares memory until one of the two goes on. */
QOPT_API int32_t qopt_sequence_fork(qopt_context *context, int64_t parent, int64_t *child, qopt_error *error);
/* Forgets all tokens from position `length` on. */
QOPT_API int32_t qopt_sequence_truncate(qopt_context *context, int64_t sequence, int64_t length, qopt_error *error);
QOPT_API int32_t qopt_sequence_free(qopt_context *context, int64_t sequence, qopt_error *error);
QOPT_API int32_t qopt_sequence_length(const qopt_context *context, int64_t sequence, int64_t *length,
                                      qopt_error *error);

/* ---- Running ---- */

typedef struct qopt_batch {
  uint64_t size;
  int64_t num_tokens;
  const int32_t *tokens;    /* [num_tokens] */
  int64_t num_sequences;    /* 1, or num_tokens */
  const int64_t *sequences; /* [num_sequences] the sequence of all tokens, or of each */
  int64_t num_rows;         /* may be 0 */
  const int32_t *rows;      /* [num_rows] indices of tokens whose logits are wanted, ascending */
  float *logits;            /* out: [num_rows, vocabulary] */
  int64_t logits_capacity;  /* in floats */
  float *hidden;            /* out: [num_rows, hidden] final normed hidden states; NULL: not wanted */
  int64_t hidden_capacity;  /* in floats */
} qopt_batch;

/* Appends the tokens to their sequences and computes the rows. On any code but QOPT_OK every sequence is as it was; the
 * outputs may be partly written. */
QOPT_API int32_t qopt_forward(qopt_context *context, const qopt_batch *batch, qopt_error *error);

/* ---- Text (since version 2; in the library qopt_model_text) ----
 *
 * Functions that make ids or text are given room for `capacity` of them: they write as many as fit and set the count to
 * how many there are, so a first call with a capacity of 0 and NULL asks how much room is needed. Text is bytes with a
 * length, not ended by 0, UTF-8 where it was made from UTF-8. */

/* Of a model; keeps it. Immutable: any threads may use one. */
typedef struct qopt_tokenizer qopt_tokenizer;

/* Bad input where the model came without a tokenizer. */
QOPT_API int32_t qopt_tokenizer_create(const qopt_model *model, qopt_tokenizer **tokenizer, qopt_error *error);
/* NULL is allowed. */
QOPT_API void qopt_tokenizer_destroy(qopt_tokenizer *tokenizer);

typedef struct qopt_tokenizer_info {
  uint64_t size;
  int64_t vocabulary;        /* ids are below it */
  int32_t bos;               /* beginning of text, or -1 */
  int32_t eos;               /* end of text, or -1 */
  int32_t has_chat_template; /* 0 or 1 */
  int32_t reserved;          /* */
  int64_t num_stops;         /* */
  const int32_t *stops;      /* ids that end an answer, ascending; lives as long as the tokenizer */
} qopt_tokenizer_info;

QOPT_API int32_t qopt_tokenizer_get_info(const qopt_tokenizer *tokenizer, qopt_tokenizer_info *info, qopt_error *error);

typedef struct qopt_encode_options {
  uint64_t size;
  int32_t plain;      /* nonzero: special tokens in the text are text: for what must not steer the model */
  int32_t no_special; /* nonzero: ids of beginning and end of text are not added; for text of a chat template */
} qopt_encode_options;

/* Any bytes may be text; what is not UTF-8 is encoded byte by byte. options may be NULL. */
QOPT_API int32_t qopt_encode(const qopt_tokenizer *tokenizer, const char *text, uint64_t length,
                             const qopt_encode_options *options, int32_t *ids, int64_t capacity, int64_t *count,
                             qopt_error *error);

/* The text of `count` ids; nonzero skip_special leaves special tokens out. Usage error for an id that is none. */
QOPT_API int32_t qopt_decode(const qopt_tokenizer *tokenizer, const int32_t *ids, int64_t count, int32_t skip_special,
                             char *text, uint64_t capacity, uint64_t *length, qopt_error *error);

/* Decodes ids as they come, in whole characters: the bytes of a character that is not complete yet wait. */
typedef struct qopt_decoder qopt_decoder;

/* The tokenizer must live as long as the decoder. */
QOPT_API int32_t qopt_decoder_create(const qopt_tokenizer *tokenizer, int32_t skip_special, qopt_decoder **decoder,
                                     qopt_error *error);
/* NULL is allowed. */
QOPT_API void qopt_decoder_destroy(qopt_decoder *decoder);
/* The text that this id completes, often none. *text lives until the decoder's next call. */
QOPT_API int32_t qopt_decoder_push(qopt_decoder *decoder, int32_t id, const char **text, uint64_t *length,
                                   qopt_error *error);
/* What still waits: bytes of a character that never became whole. Likewise. */
QOPT_API int32_t qopt_decoder_flush(qopt_decoder *decoder, const char **text, uint64_t *length, qopt_error *error);

typedef struct qopt_chat_message {
  uint64_t size;       /* the same in all messages of a list */
  const char *role;    /* "system", "user", "assistant", …; ends with 0 */
  const char *content; /* ends with 0 */
} qopt_chat_message;

typedef struct qopt_chat_options {
  uint64_t size;
  int32_t no_generation_prompt; /* nonzero: does not end with what comes before an answer */
  int32_t reserved;             /* 0 */
} qopt_chat_options;

/* The prompt that the model's chat template makes of a conversation: encode it with no_special. Bad input where the
 * model has no template, or where it refuses the conversation. options may be NULL. */
QOPT_API int32_t qopt_apply_chat_template(const qopt_tokenizer *tokenizer, const qopt_chat_message *messages,
                                          int64_t num_messages, const qopt_chat_options *options, char *text,
                                          uint64_t capacity, uint64_t *length, qopt_error *error);

/* ---- Sampling ---- */

typedef struct qopt_sampling {
  uint64_t size;
  float temperature; /* 0: always the most likely token */
  int32_t top_k;     /* keep the K most likely tokens; 0: all */
  float top_p;       /* keep the fewest tokens whose probabilities add up to at least this; 0 or 1: all */
  int32_t reserved;  /* 0 */
  uint64_t seed;     /* the same logits, sampling and seed give the same tokens on every machine */
} qopt_sampling;

/* What the model itself asks for; zeros where it asks for nothing. Fills as much as sampling->size says. */
QOPT_API int32_t qopt_sampling_defaults(const qopt_tokenizer *tokenizer, qopt_sampling *sampling, qopt_error *error);

/* The state of one stream of random numbers; for one thread at a time. */
typedef struct qopt_sampler qopt_sampler;

/* sampling may be NULL: always the most likely token. */
QOPT_API int32_t qopt_sampler_create(const qopt_sampling *sampling, qopt_sampler **sampler, qopt_error *error);
/* NULL is allowed. */
QOPT_API void qopt_sampler_destroy(qopt_sampler *sampler);
/* Chooses a token; logits: [vocabulary]. Bad input where no logit is a number above -infinity. */
QOPT_API int32_t qopt_sampler_choose(qopt_sampler *sampler, const float *logits, int64_t vocabulary, int32_t *token,
                                     qopt_error *error);

#ifdef __cplusplus
}
#endif

#endif /* QOPT_LIB_RUNTIME_QOPT_H */
