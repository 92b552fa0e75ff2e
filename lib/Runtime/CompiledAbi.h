/*===-- CompiledAbi.h - What the runtime and the compiled model agree on -----------------------------------------===*
 *
 * A compiled model is one function, `forward`, over a flat batch of tokens that may belong to many sequences. It is
 * SPMD code: every worker calls it with the same arguments and its own number; work is claimed through `counters`, and
 * `barrier` stands between steps that depend on each other.
 *
 * The code generator reads the fields of QoptForwardArgs by index, so every field is 8 bytes, none is ever removed or
 * moved, and a new one goes to the end with a new QOPT_COMPILED_ABI. Plain C: the code generator's tests and models
 * made by hand in tests include it.
 *
 *===---------------------------------------------------------------------------------------------------------------===*/
#ifndef QOPT_LIB_RUNTIME_COMPILEDABI_H
#define QOPT_LIB_RUNTIME_COMPILEDABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QOPT_COMPILED_ABI 2

/* The KV of all tokens of a batch is written before it is read. Tokens of one sequence in a batch are in ascending
 * position. `rows` may be empty. No two tokens of a batch have the same sequence and position. */
typedef struct QoptForwardArgs {
  uint64_t size;               /*  0: sizeof(QoptForwardArgs) */
  const uint8_t *weights;      /*  1: the artifact's data section, from which parameter offsets count;
                                      64-byte aligned */
  uint8_t *arena;              /*  2: constant + per_token * num_tokens + per_row * num_rows bytes
                                      (manifest), 64-byte aligned; uninitialized */
  uint8_t *cache;              /*  3: KV blocks: block b at cache + b * block_bytes; opaque to the
                                      runtime; uninitialized */
  const int32_t *tokens;       /*  4: [num_tokens] */
  const int32_t *positions;    /*  5: [num_tokens] position of each token in its sequence */
  const int32_t *sequences;    /*  6: [num_tokens] row of block_tables */
  const int32_t *block_tables; /*  7: [*, blocks_per_sequence] block ids; entry p / block_tokens holds
                                      position p */
  int64_t blocks_per_sequence; /*  8 */
  const int32_t *rows;         /*  9: [num_rows] indices into the batch whose logits are wanted,
                                      ascending */
  int64_t num_tokens;          /* 10 */
  int64_t num_rows;            /* 11 */
  float *logits;               /* 12: [num_rows, vocabulary] */
  float *hidden;               /* 13: [num_rows, hidden] final normed hidden states, or NULL */
  int64_t *counters;           /* 14: [manifest's counters], zero when called: work claims */
  int32_t (*barrier)(void *pool, int64_t worker); /* 15: all workers wait; nonzero: stop (all get the same answer) */
  void *pool;                                     /* 16: first argument of barrier */
  const float *const *inputs; /* 17: one [num_tokens, channels] for each of the manifest's inputs; models that start
                                     from tokens have none */
  float *const *outputs;      /* 18: one [num_tokens, channels] for each of the manifest's outputs */
} QoptForwardArgs;

/* Every worker 0 .. workers-1 calls it once per forward, with the same args. 0: done; nonzero: stopped. */
typedef int32_t (*QoptForwardFn)(const QoptForwardArgs *args, int64_t worker, int64_t workers);

#ifdef __cplusplus
}
static_assert(sizeof(QoptForwardArgs) == 19 * 8, "compiled code reads fields by index: each is 8 bytes");
#else
_Static_assert(sizeof(QoptForwardArgs) == 19 * 8, "compiled code reads fields by index: each is 8 bytes");
#endif

#endif /* QOPT_LIB_RUNTIME_COMPILEDABI_H */
