// Round to nearest within a quantization: what --quantize-rtn does to every weight, and --quantize-gptq to those that
// it is told to, or has to.
#ifndef QOPT_PASSES_QUANTIZE_NEARESTROUNDING_H
#define QOPT_PASSES_QUANTIZE_NEARESTROUNDING_H

#include "lib/Algorithms/RangeSearch.h"
#include "passes/Quantize/ModelStatistics.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/QuantizationRun.h"

namespace qopt {

/// The rule for one weight where `rule` is the recipe's, whatever method rounds it: the embedding and the head keep all
/// of their range, and so do query and key projections where the rule is Clip.
RangeRule rangeOf(QuantizationTarget &target, RangeRule rule);

/// Rounds a weight of `run`, with the range of rangeOf(target, rule). `statistics`: may be null for rules that need no
/// H. `keep`: as QuantizationRun::quantize has it. Errors (bad input): the rule needs H, and there is none for this
/// weight; as QuantizationRun::quantize.
Status roundToNearest(QuantizationRun &run, QuantizationTarget &target, RangeRule rule,
                      const ModelStatistics *statistics, bool keep = false);

/// Rounds all weights of `run` and writes them: its overlay is begun and finished. Errors: as roundToNearest and
/// QuantizationRun.
Result<QuantizationRun::Finished> roundAllToNearest(QuantizationRun &run, RangeRule rule,
                                                    const ModelStatistics *statistics,
                                                    const QuantizeContext &context = {});

/// Rounds all that `recipe` selects to nearest, whatever method it names, with all of its ranges: what a calibrated
/// recipe is compared with. `module` is not rotated: rules for what rotation adds are passed over. Errors: as
/// QuantizationRun.
Status quantizeToNearest(mlir::ModuleOp module, Recipe recipe, const QuantizationRun::Options &options);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_NEARESTROUNDING_H
