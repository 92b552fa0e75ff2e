// Pairs of random scales at every place where they can stand: whoever doubts --fold-scales, or has an importer or an op
// of their own, folds these and compares logits.
#include "passes/Fold/Passes.h"

#include "lib/Parameters/Diagnostics.h"
#include "passes/Fold/ScalePairs.h"
#include "passes/Support/Forward.h"
#include "passes/Support/PassCounts.h"

#include <cmath>
#include <random>

namespace qopt {
#define GEN_PASS_DEF_RANDOMSCALES
#include "passes/Fold/Passes.h.inc"
} // namespace qopt

using namespace mlir;
using namespace qopt;

namespace {
struct RandomScales : qopt::impl::RandomScalesBase<RandomScales>, qopt::ReportsCounts {
  using RandomScalesBase::RandomScalesBase;

  SmallVector<Count> counts() const override { return {{"pairs-inserted", inserted}}; }

  void runOnOperation() override {
    inserted = 0;
    if (failed(emitFailure(getOperation().getLoc(), insertPairs(), "nothing was written")))
      signalPassFailure();
  }

  Status insertPairs() {
    Result<func::FuncOp> forward = forwardOf(getOperation());
    if (!forward)
      return forward.takeError();
    // The generator's numbers, not a distribution of the library's: the same scales everywhere.
    std::mt19937_64 generator(seed);
    std::vector<SiteScale> scales;
    for (ScaleSite &site : findScaleSites(*forward)) {
      SiteScale scale{std::move(site), {}};
      for (int64_t i = 0; i < scale.site.factors(); ++i) {
        double uniform = static_cast<double>(generator() >> 11) * 0x1p-53; // [0, 1)
        scale.factor.push_back(static_cast<float>(std::exp2(octaves * (2 * uniform - 1))));
      }
      scales.push_back(std::move(scale));
    }
    inserted = static_cast<int64_t>(scales.size());
    return insertScalePairs(getOperation(), scales, {overlay, directory, "random", "{}"});
  }

  int64_t inserted = 0;
};
} // namespace
