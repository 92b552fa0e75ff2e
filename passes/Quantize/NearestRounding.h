// Round to nearest within a quantization: what --quantize-rtn does to every weight, and --quantize-gptq to those that
// it is told to, or has to.
#ifndef QOPT_PASSES_QUANTIZE_NEARESTROUNDING_H
#define QOPT_PASSES_QUANTIZE_NEARESTROUNDING_H

#include "lib/Algorithms/RangeSearch.h"
#include "lib/Calibration/StatisticsArchive.h"
#include "passes/Quantize/QuantizationRun.h"

namespace qopt {

/// Rounds a weight of `run`. Ranges of a linear are chosen by `rule`; the embedding and the head keep all of theirs.
/// `archive`: for RangeRule::Diagonal; may be null for the others. `keep`: as QuantizationRun::quantize has it.
/// Errors (bad input): the rule needs H, and the archive has none for this weight; as QuantizationRun::quantize.
Status roundToNearest(QuantizationRun &run, QuantizationTarget &target, RangeRule rule,
                      const StatisticsArchive *archive, bool keep = false);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_NEARESTROUNDING_H
