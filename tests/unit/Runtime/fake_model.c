/* A compiled model made by hand: exact integers in the place of a transformer, so that a test may compare bits.
 *
 * Two layers. Layer 0 keeps for each position a mix of token and position; layer 1 keeps a hash of layer 0's whole
 * history up to that position; the logits hash layer 1's whole history. So each logit depends on every earlier token,
 * on their order and positions, and on two layers being written before they are read. Work is claimed item by item.
 *
 * Measures, to which FakeModel.h's manifest must agree: vocabulary 101, hidden 8, block of 4 tokens and 64 bytes (layer
 * 0's four words, then layer 1's), arena 64 + 8 a token + 8 a row, counters 5. Weights: words[101] at 0, bytes[101] at
 * 448.
 *
 * A batch whose first token is 100 is a probe: logits [0] of row 0 is then the number of workers that came, [1] the
 * number that the runtime spoke of. */
#include "lib/Runtime/CompiledAbi.h"

enum {
  kVocabulary = 101,
  kHidden = 8,
  kBlockTokens = 4,
  kBlockBytes = 64,
  kBiasOffset = 448,
  kTile = 16,
  kProbe = 100
};

static uint32_t mix(uint32_t hash, uint32_t value) {
  hash = (hash ^ value) * 0x9E3779B1u;
  return hash ^ (hash >> 15);
}

static uint32_t *cell(const QoptForwardArgs *args, int64_t sequence, int64_t position, int layer) {
  int32_t block = args->block_tables[sequence * args->blocks_per_sequence + position / kBlockTokens];
  uint32_t *words = (uint32_t *)(args->cache + (int64_t)block * kBlockBytes);
  return &words[layer * kBlockTokens + position % kBlockTokens];
}

static uint32_t history(const QoptForwardArgs *args, int64_t token, int layer) {
  uint32_t hash = 17;
  for (int64_t p = 0; p <= args->positions[token]; ++p)
    hash = mix(hash, *cell(args, args->sequences[token], p, layer));
  return hash;
}

static int64_t claim(const QoptForwardArgs *args, int counter) {
  return __atomic_fetch_add(&args->counters[counter], 1, __ATOMIC_RELAXED);
}

__attribute__((visibility("default"))) int32_t qopt_forward(const QoptForwardArgs *args, int64_t worker,
                                                            int64_t workers) {
  if (args->size != sizeof *args || ((uintptr_t)args->arena | (uintptr_t)args->weights) % 64 != 0)
    return 2;
  const uint32_t *words = (const uint32_t *)args->weights;
  const uint8_t *bias = args->weights + kBiasOffset;
  uint64_t *tokenScratch = (uint64_t *)(args->arena + 64);
  uint64_t *rowScratch = tokenScratch + args->num_tokens;

  claim(args, 0);
  for (int64_t t; (t = claim(args, 1)) < args->num_tokens;)
    *cell(args, args->sequences[t], args->positions[t], 0) = mix(words[args->tokens[t]], (uint32_t)args->positions[t]);
  if (args->barrier(args->pool, worker))
    return 1;
  for (int64_t t; (t = claim(args, 2)) < args->num_tokens;)
    tokenScratch[t] = history(args, t, 0);
  if (args->barrier(args->pool, worker))
    return 1;
  for (int64_t t = worker; t < args->num_tokens; t += workers) /* another worker's result, mostly */
    *cell(args, args->sequences[t], args->positions[t], 1) = (uint32_t)tokenScratch[t];
  if (args->barrier(args->pool, worker))
    return 1;
  for (int64_t r; (r = claim(args, 3)) < args->num_rows;)
    rowScratch[r] = history(args, args->rows[r], 1);
  if (args->barrier(args->pool, worker))
    return 1;
  const int64_t tiles = (kVocabulary + kTile - 1) / kTile;
  for (int64_t i; (i = claim(args, 4)) < args->num_rows * tiles;) {
    int64_t row = i / tiles, first = i % tiles * kTile;
    for (int64_t v = first; v < first + kTile && v < kVocabulary; ++v)
      args->logits[row * kVocabulary + v] = (float)(mix((uint32_t)rowScratch[row], (uint32_t)v + bias[v]) >> 8);
    if (args->hidden && first == 0)
      for (int64_t j = 0; j < kHidden; ++j)
        args->hidden[row * kHidden + j] = (float)(mix((uint32_t)rowScratch[row] + 1, (uint32_t)j) >> 8);
  }
  if (args->num_tokens > 0 && args->tokens[0] == kProbe && args->num_rows > 0) {
    if (args->barrier(args->pool, worker))
      return 1;
    if (worker == 0) {
      args->logits[0] = (float)args->counters[0];
      args->logits[1] = (float)workers;
    }
  }
  return 0;
}

/* A second entry, whose logits are all the last byte of this number, negated: a test changes that byte in the image,
 * and so has two shared objects that answer differently. */
const volatile uint64_t qopt_fake_marker = 0x51F0A7C3D2E41B01u;

__attribute__((visibility("default"))) int32_t qopt_forward_constant(const QoptForwardArgs *args, int64_t worker,
                                                                     int64_t workers) {
  (void)workers;
  if (worker == 0)
    for (int64_t i = 0; i < args->num_rows * kVocabulary; ++i)
      args->logits[i] = -(float)(qopt_fake_marker & 0xFF);
  return 0;
}
