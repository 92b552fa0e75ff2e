// See ActivationRange.h.
#include "lib/Algorithms/ActivationRange.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

using namespace qopt;

static constexpr double kGreatestCode = 127;
/// Candidates of the least error: ranges from the greatest magnitude down to a thousandth of it.
static constexpr int kCandidates = 321, kCandidatesPerOctave = 32;

struct MagnitudeHistogram::Bin {
  double low, high; ///< of what was seen: nothing lies above the greatest magnitude
  double count;
};

MagnitudeHistogram::Bin MagnitudeHistogram::bin(int64_t index) const {
  auto edge = [](int64_t at) { return double{std::bit_cast<float>(static_cast<uint32_t>(at) << 16)}; };
  double low = edge(index), greatest = greatestMagnitude;
  // After the last bin comes infinity.
  double high = index + 1 < kBins ? std::min(edge(index + 1), std::max(greatest, low)) : greatest;
  return {low, high, static_cast<double>(bins[index])};
}

void MagnitudeHistogram::add(std::span<const float> values) {
  uint32_t greatest = std::bit_cast<uint32_t>(greatestMagnitude); // magnitudes order as integers
  for (float value : values) {
    uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7FFFFFFF;
    if (magnitude >= static_cast<uint32_t>(kBins) << 16) {
      ++notFiniteCount;
      continue;
    }
    ++bins[magnitude >> 16];
    greatest = std::max(greatest, magnitude);
  }
  greatestMagnitude = std::bit_cast<float>(greatest);
}

void MagnitudeHistogram::add(const MagnitudeHistogram &other) {
  std::transform(bins.begin(), bins.end(), other.bins.begin(), bins.begin(), std::plus<>());
  greatestMagnitude = std::max(greatestMagnitude, other.greatestMagnitude);
  notFiniteCount += other.notFiniteCount;
}

uint64_t MagnitudeHistogram::count() const { return std::accumulate(bins.begin(), bins.end(), uint64_t{0}); }

double MagnitudeHistogram::percentile(double percent) const {
  if (percent >= 100)
    return greatestMagnitude;
  double left = percent / 100 * static_cast<double>(count());
  for (int64_t i = 0; i < kBins; ++i) {
    if (bins[i] == 0)
      continue;
    Bin of = bin(i);
    if (left <= of.count)
      return of.low + (of.high - of.low) * left / of.count;
    left -= of.count;
  }
  return greatestMagnitude;
}

/// ∫ from 0 to t of what rounding and clamping cost, (u - q(u))², in steps.
static double costUpTo(double t) {
  double within = std::min(t, kGreatestCode), whole = std::rint(within), rest = within - whole, beyond = t - within;
  return whole / 12 + rest * rest * rest / 3 + beyond * beyond * beyond / 3;
}

double MagnitudeHistogram::squaredError(double range) const {
  double step = range / kGreatestCode, sum = 0;
  for (int64_t i = 0; i < kBins; ++i) {
    if (bins[i] == 0)
      continue;
    Bin of = bin(i);
    double low = of.low / step, high = of.high / step;
    double mean = high > low ? (costUpTo(high) - costUpTo(low)) / (high - low)
                             : std::pow(low - std::min(std::rint(low), kGreatestCode), 2);
    sum += of.count * mean;
  }
  return sum * step * step;
}

double MagnitudeHistogram::beyond(double range) const {
  double sum = 0;
  for (int64_t i = 0; i < kBins; ++i) {
    if (bins[i] == 0)
      continue;
    Bin of = bin(i);
    if (of.high > range)
      sum += of.low >= range ? of.count : of.count * (of.high - range) / (of.high - of.low);
  }
  return sum / static_cast<double>(std::max<uint64_t>(count(), 1));
}

static double chooseRange(const MagnitudeHistogram &magnitudes, const ActivationRangeOptions &options) {
  double greatest = magnitudes.greatest();
  if (options.rule == ActivationRangeRule::Max)
    return greatest;
  if (options.rule == ActivationRangeRule::Percentile)
    return magnitudes.percentile(options.percentile);
  double best = greatest, least = greatest > 0 ? magnitudes.squaredError(greatest) : 0;
  for (int i = 1; i < kCandidates && greatest > 0; ++i) {
    double range = greatest * std::exp2(-static_cast<double>(i) / kCandidatesPerOctave);
    if (double cost = magnitudes.squaredError(range); cost < least)
      best = range, least = cost;
  }
  return best;
}

Result<float> qopt::chooseActivationScale(const MagnitudeHistogram &magnitudes, const ActivationRangeOptions &options) {
  if (uint64_t bad = magnitudes.notFinite())
    return Error{ErrorClass::Gate,
                 "expected finite activations, but " + std::to_string(bad) + " are infinite or not a number",
                 {},
                 {},
                 "look at the model: 'qopt eval' says whether its logits are finite"};
  auto scale = static_cast<float>(chooseRange(magnitudes, options)) / static_cast<float>(kGreatestCode);
  if (!(scale >= 0x1p-126F))
    return Error{ErrorClass::Gate,
                 "expected activations with a range above 0, but " +
                     std::string(magnitudes.greatest() > 0 ? "the one chosen is 0" : "all that were seen are 0"),
                 {},
                 {},
                 magnitudes.greatest() > 0 ? "take a greater percentile, or range: max"
                                           : "keep the weights that read them by a rule of the recipe"};
  return scale;
}
