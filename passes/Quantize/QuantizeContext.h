// What a pass that quantizes is given beside its options.
#ifndef QOPT_PASSES_QUANTIZE_QUANTIZECONTEXT_H
#define QOPT_PASSES_QUANTIZE_QUANTIZECONTEXT_H

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace qopt {

class OutputSet;
struct Recipe;
class ResumeFolder;

/// Called after each weight (or site, for scales) with the elements (or sites) that are done and those that there are,
/// and with what was just done: its name, and what it has cost. From one thread at a time.
using QuantizeProgress = std::function<void(int64_t done, int64_t total, const std::string &what)>;

/// From a program that runs the pass; in a pipeline there is none of it.
struct QuantizeContext {
  QuantizeProgress progress = {};
  OutputSet *outputs = nullptr;          ///< the overlay is added there, and gets its name with the others
  ResumeFolder *resume = nullptr;        ///< finished weights and scales are kept there, and taken from there
  const Recipe *parsed = nullptr;        ///< in place of what the pass's options say; null: these say it
  std::string recipe = {};               ///< all that is done, for the provenance, where the pass is one stage of it
  nlohmann::ordered_json gateTexts = {}; ///< which texts it is judged on, for the provenance; null: none
  /// Called with the samples that are done, of those in all, while static ranges of activations are found.
  std::function<void(int64_t done, int64_t total)> rangeProgress = {};

  /// Whether the pass's own options say what to do: there is no recipe, neither here nor in its option `recipe`.
  bool leavesToOptions(const std::string &file) const { return !parsed && file.empty(); }
};

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_QUANTIZECONTEXT_H
