// Which weights deserve more bits than others: the best mix of forms within a budget.
//
// What a form costs a weight is the sensitivity of the weight times how large its output error is in that form by the
// recipe's own method (round to nearest in place of a plugin's), relative to the error that the sensitivity was
// measured with, which is that of round to nearest. Output errors are tr(ΔW·H·ΔWᵀ) with H of calibration. The costs of
// all weights are taken to add up (lib/Algorithms/BitAllocation.h).
#ifndef QOPT_PASSES_QUANTIZE_BITSEARCH_H
#define QOPT_PASSES_QUANTIZE_BITSEARCH_H

#include "lib/Parameters/ParameterEvaluator.h"
#include "passes/Quantize/ModelStatistics.h"
#include "passes/Quantize/Selection.h"

namespace qopt {

/// A weight whose form is looked for.
struct SearchedWeight {
  QuantizationTarget target;
  std::vector<std::optional<double>> errors; ///< of each form by the recipe's method; nothing where it does not fit
  std::vector<double> nearest;               ///< of each form that fits, rounded to nearest: what a probe does
  double power = 0;                          ///< tr(W·H·Wᵀ)
  std::optional<size_t> form;                ///< that was chosen

  std::string name() { return target.parameter.getSymName().str(); }
  int64_t elements() { return target.type().getNumElements(); }
  /// All of it, with scales and zero points.
  int64_t bitsOf(const WeightScheme &form);
};

class BitSearch {
public:
  /// The linears that `recipe`, which does not keep its body, gives the body's scheme, and what each of `forms` would
  /// do to them. Errors: as selectTargets; a weight that the statistics do not know, or that no form fits; a Hessian
  /// that is not finite; an op that says a method and no scheme.
  static Result<BitSearch> begin(mlir::ModuleOp module, const Recipe &recipe, std::vector<WeightScheme> forms,
                                 const ModelStatistics &statistics, ParameterEvaluator &parameters);

  std::vector<SearchedWeight> &weights() { return searched; }
  const std::vector<WeightScheme> &forms() const { return candidates; }

  /// The form that a weight is best probed in: that with the largest error that fits it and is not the largest of all,
  /// for an effect that can be measured but is still one of rounding. Probes are rounded to nearest.
  size_t probeOf(const SearchedWeight &weight) const;

  /// Chooses forms of at most `bits` per weight on average, of all linears that are quantized: what rules and ops
  /// decide counts. `sensitivities` : KL of each weight in its probeOf(); empty: relative output errors alone. Error
  /// (bad input): a budget below what there is.
  Status choose(double bits, const std::vector<double> &sensitivities);

  /// Costs that choose() has added up, of its choice, and of form `same` for all weights; nothing where it fits not
  /// all.
  double cost() const { return total; }
  std::optional<double> costOf(size_t same) const;
  /// Of the choice, or of form `same` for all weights; with what rules and ops decide.
  double bitsPerWeight(std::optional<size_t> same = std::nullopt);

  /// The recipe with a rule for each weight that did not take the commonest form, which becomes the body's.
  Recipe result();

private:
  explicit BitSearch(Recipe recipe) : recipe(std::move(recipe)) {}
  std::optional<double> costOf(const SearchedWeight &weight, size_t form, double sensitivity) const;

  Recipe recipe;
  std::vector<WeightScheme> candidates;
  std::vector<SearchedWeight> searched;
  std::vector<double> sensitivities;
  double total = 0;
  double decidedBits = 0, decidedElements = 0; ///< of linears whose scheme rules and ops decide
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_BITSEARCH_H
