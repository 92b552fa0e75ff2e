// Half-quadratic quantization (Badri and Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023). No
// MLIR.
//
// With u the codes of a group, s its scale and z its zero point, z lessens Σ |w − s·(u − z)|^p, p < 1, which forgives a
// few large errors for many small ones. An auxiliary variable e splits that into steps with closed forms:
//
//   u = clamp(rint(w/s + z), 0, 2^bits − 1)
//   e = sign(x)·max(0, |x| − |x|^(p−1)/β),  x = w − s·(u − z)        the generalized soft threshold
//   z = mean(u − (w − e)/s),  β = κ·β
//
// until the error no longer falls. While it runs, z is a real number, as in the paper. Zero points are stored as
// integers from 0 to 2^bits − 1: z is rounded to that before the first code that is written is chosen, and those are
// the nearest on the grid that is stored.
#ifndef HQQ_HALFQUADRATIC_H
#define HQQ_HALFQUADRATIC_H

#include "lib/Numerics/RoundToNearest.h"

#include <span>

namespace hqq {

struct Options {
  int64_t iterations = 20; ///< at most
  double p = 0.7, beta = 10, kappa = 1.01;
};

/// The zero point of a group as it can be stored. weights : [group]; scale > 0: the group's, as it is stored.
uint8_t fitZero(const qopt::WeightScheme &scheme, const Options &options, float scale, std::span<const float> weights);

} // namespace hqq

#endif // HQQ_HALFQUADRATIC_H
