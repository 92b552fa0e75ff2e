// See SmoothQuant.h.
#include "lib/Algorithms/SmoothQuant.h"

#include <algorithm>
#include <cmath>

/// Below this a maximum, or a scale, says nothing; the authors' code has the same.
static constexpr double kFloor = 1e-5;

std::vector<float> qopt::smoothQuantScale(std::span<const float> inputs, std::span<const float> weights, double alpha) {
  std::vector<float> scale(inputs.size());
  for (size_t j = 0; j < scale.size(); ++j) {
    double x = std::max<double>(inputs[j], kFloor), w = std::max<double>(weights[j], kFloor);
    scale[j] = static_cast<float>(std::max(std::pow(x, alpha) / std::pow(w, 1 - alpha), kFloor));
  }
  return scale;
}
