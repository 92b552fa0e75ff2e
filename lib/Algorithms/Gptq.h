// GPTQ (Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2023):
// rounds the columns of W one after the other and lets the columns that are left make up for the error of each.
//
// With H = Σ x·xᵀ over the tokens that the linear has seen (not normalized), H' = H with all but its diagonal times
// 1 - shrink, and U upper triangular with (H' + λ·mean(diag H')·I)⁻¹ = Uᵀ·U (the paper's Cholesky form, step 3):
//
//   for each column i, in order:  q_i = the nearest value on the grid of i's group
//                                 e_i = (w_i - q_i) / U_ii
//                                 w_j -= e_i · U_ij   for all j after i
//
// Where this differs from common implementations, on purpose:
//   - Groups lie in the stored order of the columns also when columns are taken by activation order, so that nothing is
//     permuted at run time. Their grids come from W before any update (Scales::Static), or, without activation order,
//     from W with all feedback up to the group's first column (Scales::Live).
//   - Scales and zero points are rounded to their storage before the first code, and codes are those of that grid.
//   - A column that no token has ever touched (H_ii = 0) takes part in nothing: it is rounded to nearest, and named.
//   - Damping climbs a ladder, each rung from the pristine H, and the rung is reported. The end of it is an error.
//   - The factor is computed in f64; feedback is f32.
#ifndef QOPT_LIB_ALGORITHMS_GPTQ_H
#define QOPT_LIB_ALGORITHMS_GPTQ_H

#include "lib/Algorithms/PackedSymmetric.h"
#include "lib/Algorithms/RangeSearch.h"

#include <memory>
#include <vector>

namespace qopt {

struct GptqOptions {
  enum class Scales : uint8_t { Static, Live };

  bool activationOrder = true; ///< columns by falling H_ii, equal ones in stored order; else in stored order
  Scales scales = Scales::Static;
  RangeOptions range;
  double shrink = 0;                                    ///< in [0, 1): of H toward its diagonal
  std::vector<double> damping{0.01, 0.03, 0.1, 0.3, 1}; ///< λ, ascending

  /// Errors (usage): shrink or a λ out of range, an empty ladder, live scales with activation order.
  Status validate() const;
};

/// What rounding some rows has cost: tr(ΔW·H·ΔWᵀ) with H as it was given, summed in f64.
struct GptqErrors {
  double trace = 0;
  double power = 0; ///< tr(W·H·Wᵀ): what the trace is relative to
};

/// Whether so many tokens are enough for a Hessian of so many inputs. Error (gate): they are fewer.
Status checkGptqTokens(int64_t inputs, int64_t tokens);

/// A Hessian made ready, shared by all linears that read the same input.
class Gptq {
public:
  /// hessian : [inputs, inputs], symmetric, aligned to 64 bytes, which must outlive the object; `tokens` were summed.
  /// Errors (gate): fewer tokens than inputs, a sum that is not finite or a negative diagonal, the end of the ladder;
  /// (usage): options that are not valid.
  static Result<Gptq> create(std::span<const float> hessian, int64_t inputs, int64_t tokens,
                             const GptqOptions &options);

  /// The λ that was used.
  double damping() const { return options.damping[rung]; }
  /// Inputs that no token has touched, ascending.
  std::span<const int32_t> deadInputs() const { return dead; }

  /// Quantizes weights : [rows, inputs] into `out`, in ranges by `range` in place of the options'. Rows do not depend
  /// on each other: any split into multiples of rowsPerChunk gives the same bytes. `firstRow` is added to row numbers
  /// in messages. Errors (bad input): as quantizeRoundToNearest.
  Status quantizeRows(const WeightScheme &scheme, const RangeOptions &range, int64_t rows,
                      std::span<const float> weights, QuantizedRows out, GptqErrors &errors,
                      int64_t firstRow = 0) const;
  Status quantizeRows(const WeightScheme &scheme, int64_t rows, std::span<const float> weights, QuantizedRows out,
                      GptqErrors &errors, int64_t firstRow = 0) const {
    return quantizeRows(scheme, options.range, rows, weights, out, errors, firstRow);
  }

  /// Rows that a thread takes at a time: what a tile of vectors has lanes, so that small weights are shared out too.
  static constexpr int64_t rowsPerChunk = 48;

private:
  Gptq(std::span<const float> hessian, int64_t inputs, GptqOptions options)
      : hessian(hessian), inputs(inputs), options(std::move(options)) {}

  struct Chunk;
  void chooseOrder();
  /// Returns a row of the chunk that has no grid, if there is one; the chunk is then worthless.
  std::optional<int64_t> quantizeChunk(const WeightScheme &scheme, const RangeOptions &range, Chunk &chunk) const;
  MatrixView block(int64_t first, int64_t size, AlignedVector<float> &storage) const;

  std::span<const float> hessian;
  int64_t inputs;
  GptqOptions options;
  std::vector<int32_t> order; ///< the inputs that take part, in the order in which they are rounded
  std::vector<int32_t> dead;
  AlignedVector<float> factor; ///< U : [order.size(), order.size()]
  PackedSymmetric form;        ///< of the Hessian
  size_t rung = 0;
};

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_GPTQ_H
