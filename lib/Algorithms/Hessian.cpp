// See Hessian.h.
#include "lib/Algorithms/Hessian.h"

#include <algorithm>
#include <cmath>

using namespace qopt;

Status qopt::checkHessian(std::span<const float> hessian, int64_t inputs) {
  for (int64_t i = 0; i < inputs; ++i) {
    std::span<const float> row = hessian.subspan(i * inputs, inputs);
    if (!std::ranges::all_of(row, [](float value) { return std::isfinite(value); }) || row[i] < 0)
      return Error{ErrorClass::Gate,
                   "expected a Hessian of finite numbers with a diagonal that is not negative, but row " +
                       std::to_string(i) + " breaks that",
                   {},
                   {},
                   "make the statistics again with 'qopt calibrate', which refuses activations that overflow"};
  }
  return {};
}
