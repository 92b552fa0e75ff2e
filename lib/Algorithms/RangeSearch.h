// Which range a group of weights is rounded in: all of it, or the part of it that costs least.
//
// A grid that covers less than the weights' range has smaller steps, and clamps a few weights. Candidates are the range
// times p = 1 - i·step, i = 0, 1, …; the first of the least cost wins. The cost of the rounding errors δ of a group is
//   squared   Σ δ²
//   diagonal  Σ H_kk·δ_k²: squared, each input by how much it carries; what an importance matrix gives
//   power     Σ |δ|^2.4, as in GPTQ's published code
//   hessian   δᵀ·H_gg·δ, with the group's own block of H: what the errors do to the linear's output
//   signed    the same over twice as many candidates: of a symmetric scheme, whose codes reach one step further below 0
//             than above it, each with the scale's sign turned as well, after it
//   clip      the same over ten coarse candidates that bound magnitudes, ±p·max|w|, and not both ends of the range
//   alike:
//             AWQ's clipping (Lin et al., arXiv:2306.00978, as its authors' code has it)
#ifndef QOPT_LIB_ALGORITHMS_RANGESEARCH_H
#define QOPT_LIB_ALGORITHMS_RANGESEARCH_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Algorithms/PackedSymmetric.h"
#include "lib/Numerics/RoundToNearest.h"

#include <optional>
#include <span>
#include <vector>

namespace qopt {

/// ClipAll is for who chooses rules weight by weight (rangeOf in passes/Quantize): Clip, and of those weights too that
/// Clip leaves out. To a search both are one.
enum class RangeRule : uint8_t { MinMax, Squared, Diagonal, Power, Hessian, Signed, Clip, ClipAll };

/// Whether the rule looks at H.
inline bool needsHessian(RangeRule rule) {
  return rule == RangeRule::Diagonal || rule == RangeRule::Hessian || rule == RangeRule::Signed ||
         rule == RangeRule::Clip || rule == RangeRule::ClipAll;
}

struct RangeOptions {
  RangeRule rule = RangeRule::MinMax;
  int candidates = 80;
  double step = 0.01;

  /// The candidates that a rule has unless it is told otherwise.
  static RangeOptions of(RangeRule rule) {
    bool clips = rule == RangeRule::Clip || rule == RangeRule::ClipAll;
    return clips ? RangeOptions{rule, 10, 0.05} : RangeOptions{rule};
  }
};

/// The grids of one group in several rows at once.
class RangeSearch {
public:
  RangeSearch(const WeightScheme &scheme, const RangeOptions &options, int64_t rows, int64_t groupSize);

  /// weights[k·rows + r] : [group, rows]; h : the group's block of H, [group, group], where the rule needs it.
  /// grids : [rows].
  /// Returns the first row whose weights are not finite, or whose scale its format cannot hold; nothing if all is well.
  std::optional<int64_t> search(const float *weights, int64_t cols, MatrixView h, std::span<GroupGrid> grids);

private:
  void costs(const float *weights, int64_t cols, MatrixView h);

  WeightScheme scheme;
  RangeOptions options;
  int64_t rows;
  int signs = 1;                                       ///< that each candidate's scale is tried with
  AlignedVector<float> low, high;                      ///< [rows]: of the weights
  AlignedVector<float> strange;                        ///< [rows]: not 0 where a weight is not finite
  AlignedVector<float> scale, lowestStep, highestStep; ///< [rows]: of the candidate
  AlignedVector<float> delta;                          ///< [group, rows]
  PackedSymmetric form;                                ///< of the group's h, where errors go through all of it
  AlignedVector<float> cost, best;                     ///< [rows]
  std::vector<GroupGrid> candidate;                    ///< [rows]
};

/// Round to nearest with ranges chosen by `options`: quantizes weights : [rows, cols] into `out`. h : [cols, cols],
/// where the rule needs it. With RangeRule::MinMax it is quantizeRoundToNearest. `firstRow` is added to row numbers in
/// messages. Errors (bad input): as that function.
Status quantizeWithRanges(const WeightScheme &scheme, const RangeOptions &options, int64_t rows, int64_t cols,
                          std::span<const float> weights, MatrixView h, QuantizedRows out, int64_t firstRow = 0);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_RANGESEARCH_H
