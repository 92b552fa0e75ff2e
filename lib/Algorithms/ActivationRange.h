// The static range of a tensor of activations, from the magnitudes that calibration has seen.
//
// Codes lie in [-127, 127], so a range r has steps of s = r / 127 (lib/Numerics/Activations.h); what lies beyond ±r is
// clamped. Three ways to choose r:
//   max         the greatest magnitude: nothing that was seen is clamped
//   percentile  the magnitude that so many of 100 do not exceed, between neighbours in proportion
//   error       least Σ (x - s·q(x))², over r = max·2^(-i/32), i = 0 … 320
//
// Magnitudes are counted in bins of the float's 8 exponent and 7 upper mantissa bits, at most 0.8% wide, and taken to
// be spread evenly within a bin: percentile and error are right to about that.
#ifndef QOPT_LIB_ALGORITHMS_ACTIVATIONRANGE_H
#define QOPT_LIB_ALGORITHMS_ACTIVATIONRANGE_H

#include "lib/Support/Error.h"

#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

enum class ActivationRangeRule : uint8_t { Max, Percentile, Error };

struct ActivationRangeOptions {
  ActivationRangeRule rule = ActivationRangeRule::Max;
  double percentile = 99.99; ///< in (0, 100]; of ActivationRangeRule::Percentile

  bool operator==(const ActivationRangeOptions &) const = default;
};

class MagnitudeHistogram {
public:
  MagnitudeHistogram() : bins(kBins) {}

  void add(std::span<const float> values);
  /// The order does not matter: counts are whole numbers.
  void add(const MagnitudeHistogram &other);

  /// Values that were NaN or infinite. They are in no bin.
  uint64_t notFinite() const { return notFiniteCount; }
  /// Values in bins.
  uint64_t count() const;
  float greatest() const { return greatestMagnitude; }
  /// The magnitude at a percentile. 0 if there are no values.
  double percentile(double percent) const;
  /// Σ (x - s·q(x))² of a range.
  double squaredError(double range) const;
  /// The fraction of values beyond a range.
  double beyond(double range) const;

private:
  static constexpr int64_t kBins = 0x7F80; ///< of finite magnitudes
  struct Bin;
  Bin bin(int64_t index) const;

  std::vector<uint64_t> bins;
  float greatestMagnitude = 0;
  uint64_t notFiniteCount = 0;
};

/// The scale r / 127. Errors (gate): values that are not finite; a scale below 2^-126, as of values that are all 0.
Result<float> chooseActivationScale(const MagnitudeHistogram &magnitudes, const ActivationRangeOptions &options);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_ACTIVATIONRANGE_H
