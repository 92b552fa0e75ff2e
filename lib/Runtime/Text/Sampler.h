// Chooses the next token from logits. The same logits, options and draws give the same token on every platform: the
// exponential, the order of sums and the random numbers are our own.
#ifndef QOPT_LIB_RUNTIME_TEXT_SAMPLER_H
#define QOPT_LIB_RUNTIME_TEXT_SAMPLER_H

#include "lib/Support/Error.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

struct SamplerOptions {
  float temperature = 0; ///< 0: the most likely token, always
  int32_t topK = 0;      ///< keep the K most likely tokens; 0: all
  float topP = 1;        ///< keep the fewest tokens whose probabilities add up to at least this; 1: all
  uint64_t seed = 0;
};

/// Filters run in the order of Hugging Face's: temperature, then top-k, then top-p over what top-k kept, with the
/// probabilities taken anew. Between equal logits the lower id comes first. NaN and -infinity are never chosen.
class Sampler {
public:
  /// Errors: Usage for a temperature that is negative or not finite, a negative topK, a topP outside of (0, 1].
  static Result<Sampler> create(const SamplerOptions &options);

  /// logits : [vocabulary]. Draws one random number, none at temperature 0. Errors: BadInput when no logit can be
  /// chosen (all NaN or -infinity, or none at all).
  Result<int32_t> sample(std::span<const float> logits);

private:
  explicit Sampler(const SamplerOptions &options);
  uint64_t nextRandom();

  struct Candidate {
    float logit;
    int32_t id;
    double weight;
  };
  SamplerOptions options;
  std::array<uint64_t, 4> state;
  std::vector<Candidate> candidates; ///< kept to spare an allocation for each token
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_SAMPLER_H
