// Random numbers that are the same on every platform: for resampling and for made-up prompts. Not for secrets.
#ifndef QOPT_LIB_RUNTIME_APP_RANDOM_H
#define QOPT_LIB_RUNTIME_APP_RANDOM_H

#include <cstdint>

namespace qopt {

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  /// A number in [0, bound), bound below 2^32. The bias of taking the high bits of a product is below 2^-32.
  uint64_t below(uint64_t bound) { return ((next() >> 32) * bound) >> 32; }

private:
  uint64_t state;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_RANDOM_H
