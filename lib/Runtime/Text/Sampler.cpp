// See Sampler.h. Floating point is double with one rounding for each operation: no fused multiply-add, no libm.
#include "lib/Runtime/Text/Sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#pragma STDC FP_CONTRACT OFF

namespace qopt {

/// e^x for x <= 0, below 1e-14 relative error; 0 below -700. Cody and Waite's reduction by ln 2, then Taylor's series
/// to x^13 on [-ln 2 / 2, ln 2 / 2].
static double exponential(double x) {
  if (x < -700)
    return 0;
  constexpr double log2e = 1.4426950408889634, ln2High = 0x1.62e42fee00000p-1, ln2Low = 0x1.a39ef35793c76p-33;
  const double k = std::floor(x * log2e + 0.5);
  const double high = k * ln2High; // exact: ln2High has 32 significant bits
  const double low = k * ln2Low;
  const double r = (x - high) - low;
  constexpr double inverse[] = {1.0 / 13, 1.0 / 12, 1.0 / 11, 1.0 / 10, 1.0 / 9, 1.0 / 8, 1.0 / 7,
                                1.0 / 6,  1.0 / 5,  1.0 / 4,  1.0 / 3,  1.0 / 2, 1.0};
  double sum = 1;
  for (double factor : inverse) {
    const double product = sum * r;
    const double term = product * factor;
    sum = 1 + term;
  }
  // 2^k by its bits: k is at least -1010, so this is a normal number.
  return sum * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(k) + 1023) << 52);
}

/// The next of a sequence that spreads a seed over 64 bits (SplitMix64: Steele, Lea, Flood, 2014).
static uint64_t spread(uint64_t &seed) {
  seed += 0x9E3779B97F4A7C15u;
  uint64_t mixed = seed;
  mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
  return mixed ^ mixed >> 31;
}

Sampler::Sampler(const SamplerOptions &options) : options(options) {
  uint64_t seed = options.seed;
  for (uint64_t &word : state)
    word = spread(seed);
}

Result<Sampler> Sampler::create(const SamplerOptions &options) {
  if (!std::isfinite(options.temperature) || options.temperature < 0)
    return usageError("expected a temperature of 0 or more, but got " + std::to_string(options.temperature));
  if (options.topK < 0)
    return usageError("expected top-k of 0 (all) or more, but got " + std::to_string(options.topK));
  if (!(options.topP > 0 && options.topP <= 1))
    return usageError("expected top-p above 0 and at most 1, but got " + std::to_string(options.topP));
  return Sampler(options);
}

/// xoshiro256** (Blackman and Vigna, 2018).
uint64_t Sampler::nextRandom() {
  const uint64_t result = std::rotl(state[1] * 5, 7) * 9;
  const uint64_t shifted = state[1] << 17;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = std::rotl(state[3], 45);
  return result;
}

Result<int32_t> Sampler::sample(std::span<const float> logits) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > (best < 0 ? lowest : logits[best])) // false for NaN
      best = static_cast<int32_t>(i);
  if (best < 0)
    return badInput("expected a logit that is a number above -infinity, but there is none", "sampling");
  // +infinity leaves no probability for anything finite.
  if (options.temperature == 0 || logits[best] == std::numeric_limits<float>::infinity())
    return best;

  candidates.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > lowest)
      candidates.push_back({logits[i], static_cast<int32_t>(i), 0});
  const auto before = [](const Candidate &left, const Candidate &right) {
    return left.logit != right.logit ? left.logit > right.logit : left.id < right.id;
  };
  if (options.topK > 0 && static_cast<size_t>(options.topK) < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + options.topK, candidates.end(), before);
    candidates.resize(static_cast<size_t>(options.topK));
    // Whatever order the library's selection left behind: the order of sums is part of the result.
    std::sort(candidates.begin(), candidates.end(), before);
  }
  double total = 0;
  for (Candidate &candidate : candidates) {
    candidate.weight = exponential((static_cast<double>(candidate.logit) - static_cast<double>(logits[best])) /
                                   static_cast<double>(options.temperature));
    total += candidate.weight;
  }
  // With top-p the most likely are taken off a heap, to the array's end, because sorting a vocabulary takes
  // milliseconds.
  size_t kept = candidates.size();
  if (options.topP < 1) {
    const auto after = [&](const Candidate &left, const Candidate &right) { return before(right, left); };
    const double wanted = total * static_cast<double>(options.topP);
    std::make_heap(candidates.begin(), candidates.end(), after);
    total = 0;
    for (kept = 0; kept < candidates.size() && (kept == 0 || total < wanted); ++kept) {
      std::pop_heap(candidates.begin(), candidates.end() - static_cast<std::ptrdiff_t>(kept), after);
      total += candidates[candidates.size() - kept - 1].weight;
    }
  }
  const double drawn = static_cast<double>(nextRandom() >> 11) * 0x1p-53 * total; // [0, total)
  double sum = 0;
  const Candidate *last = nullptr;
  for (size_t i = 0; i < kept && !(last && drawn < sum); ++i) { // most likely first, or by id without top-p and top-k
    last = &candidates[options.topP < 1 ? candidates.size() - i - 1 : i];
    sum += last->weight;
  }
  return last->id; // the last one also if rounding put the draw at the very end
}

} // namespace qopt
