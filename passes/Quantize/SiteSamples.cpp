// See SiteSamples.h.
#include "passes/Quantize/SiteSamples.h"

#include "passes/Calibrate/WatchValues.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;

/// The first `most` samples, or all.
static Result<SearchedTokens> firstSamples(std::span<const int32_t> tokens, int64_t length, int64_t most) {
  int64_t samples = std::min<int64_t>(static_cast<int64_t>(tokens.size()) / length, most);
  if (samples < 1)
    return badInput("expected statistics with the samples that they were taken from, but there are none")
        .withNext("calibrate again");
  return SearchedTokens{tokens.first(samples * length), length, length};
}

Result<SearchedTokens> SearchedTokens::some(std::span<const int32_t> tokens, int64_t length) {
  Result<SearchedTokens> chosen = firstSamples(tokens, length, kSearchedSamples);
  if (chosen)
    chosen->perSample = std::clamp<int64_t>(kSearchedTokens / chosen->count(), 1, length);
  return chosen;
}

Result<SearchedTokens> SearchedTokens::whole(std::span<const int32_t> tokens, int64_t length) {
  return firstSamples(tokens, length, std::max<int64_t>(kSearchedWhole / length, 1));
}

Status qopt::forEachSite(ModuleOp module, const std::string &directory, const SearchedTokens &tokens,
                         const llvm::DenseSet<Value> &watched,
                         const std::function<Status(Value site, MatrixView rows)> &body) {
  int64_t samples = tokens.count(), length = tokens.length, perSample = tokens.perSample;
  auto parameters = ParameterEvaluator::open(module, directory);
  if (!parameters)
    return parameters.takeError();
  Result<std::unique_ptr<PartRunner>> runner = PartRunner::create(tokens.samples, length);
  if (!runner)
    return runner.takeError();
  // Of the segment that is being run.
  SmallVector<Value> values;
  std::vector<AlignedVector<float>> kept;
  ValueWatcher watcher;
  watcher.begin = [&](ArrayRef<Value> next, int64_t) {
    values.assign(next.begin(), next.end());
    kept.clear();
    for (Value value : next)
      kept.emplace_back(samples * perSample * cast<RankedTensorType>(value.getType()).getDimSize(1));
  };
  watcher.see = [&](int64_t sample, ArrayRef<MatrixView> seen) -> Status {
    for (auto [view, rows] : llvm::zip_equal(seen, kept))
      for (int64_t i = 0; i < perSample; ++i)
        std::copy_n(view.data + i * length / perSample * view.stride, view.cols,
                    rows.data() + (sample * perSample + i) * view.cols);
    return {};
  };
  watcher.finish = [&]() -> Status {
    for (auto [value, rows] : llvm::zip_equal(values, kept)) {
      int64_t channels = cast<RankedTensorType>(value.getType()).getDimSize(1);
      if (Status status = body(value, {rows.data(), samples * perSample, channels, channels}); !status)
        return status;
    }
    return {};
  };
  Result<int64_t> segments = watchValues(module, **parameters, **runner, kStreamMemory, watched, watcher);
  return segments ? Status() : Status(segments.takeError());
}
