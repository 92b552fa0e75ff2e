// Choosing one form for each of many weights, so that what it costs in accuracy is least and all of it fits a budget of
// bits: the multiple-choice knapsack problem.
//
// Costs are taken to add up. The answer is the Lagrangian's (for a price of a bit, each item's cheapest choice; the
// price by bisection), with what is left of the budget spent on the upgrades that save most per bit. It is at most one
// item's upgrade away from the best there is, and never worse than giving all items one and the same choice.
#ifndef QOPT_LIB_ALGORITHMS_BITALLOCATION_H
#define QOPT_LIB_ALGORITHMS_BITALLOCATION_H

#include "lib/Support/Error.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qopt {

/// A form that an item may take.
struct BitChoice {
  int64_t bits = 0; ///< all of the item's, with scales and zero points
  double cost = 0;  ///< not negative
};

/// The fewest bits that all items together can take; each has a choice.
int64_t leastBits(std::span<const std::vector<std::optional<BitChoice>>> choices);

/// choices[i] : the forms of item i; nothing where form j does not fit it. All items have as many.
/// Returns the index of a choice for each item. Error (bad input): an item without choices; a budget below the least
/// that there is (with both numbers).
Result<std::vector<size_t>> allocateBits(std::span<const std::vector<std::optional<BitChoice>>> choices,
                                         int64_t budget);

} // namespace qopt

#endif // QOPT_LIB_ALGORITHMS_BITALLOCATION_H
