// See NearestRounding.h.
#include "passes/Quantize/NearestRounding.h"

#include "passes/Quantize/ModelStatistics.h"

using namespace mlir;
using namespace qopt;

/// H's diagonal : [inputs], as the archive has it for the input of a weight.
static Result<std::vector<float>> diagonalFor(QuantizationTarget &target, const StatisticsArchive &archive) {
  Result<const Site *> site = gramSiteOf(archive, target.parameter);
  if (!site)
    return site.takeError();
  std::span<const float> gram = archive.gram(**site);
  std::vector<float> diagonal((*site)->channels);
  for (size_t i = 0; i < diagonal.size(); ++i)
    diagonal[i] = gram[i * diagonal.size() + i];
  return diagonal;
}

Status qopt::roundToNearest(QuantizationRun &run, QuantizationTarget &target, RangeRule rule,
                            const StatisticsArchive *archive, bool keep) {
  int64_t inputs = target.type().getDimSize(1);
  RangeOptions ranges;
  ranges.rule = target.isHead ? RangeRule::MinMax : rule;
  std::vector<float> diagonal;
  if (ranges.rule == RangeRule::Diagonal) {
    Result<std::vector<float>> found = diagonalFor(target, *archive);
    if (!found)
      return found.takeError();
    diagonal = std::move(*found);
  }
  return run.quantize(
      target,
      [&](int64_t first, int64_t rows, std::span<const float> weights, QuantizedRows out) {
        return quantizeWithRanges(target.scheme.weights, ranges, rows, inputs, weights, diagonal, out, first);
      },
      1, keep);
}
