#include "HalfQuadratic.h"

#include <algorithm>
#include <cmath>

/// The generalized soft threshold.
static double shrink(double x, double p, double beta) {
  double magnitude = std::abs(x);
  return magnitude == 0 ? 0 : std::copysign(std::max(0.0, magnitude - std::pow(magnitude, p - 1) / beta), x);
}

uint8_t hqq::fitZero(const qopt::WeightScheme &scheme, const Options &options, float scale,
                     std::span<const float> weights) {
  double s = scale, last = scheme.maxCode();
  double zero = -std::min(0.0F, *std::min_element(weights.begin(), weights.end())) / s; // the range begins at code 0
  double best = zero, least = HUGE_VAL, beta = options.beta;
  for (int64_t iteration = 0; iteration < options.iterations; ++iteration, beta *= options.kappa) {
    double error = 0, sum = 0;
    for (double w : weights) {
      double code = std::clamp(std::rint(w / s + zero), 0.0, last);
      double x = w - s * (code - zero);
      error += std::pow(std::abs(x), options.p);
      sum += code - (w - shrink(x, options.p, beta)) / s;
    }
    if (!(error < least))
      break;
    least = error, best = zero;
    zero = sum / static_cast<double>(weights.size());
  }
  return static_cast<uint8_t>(std::clamp(std::rint(best), 0.0, last));
}
