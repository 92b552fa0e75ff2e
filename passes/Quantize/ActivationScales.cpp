// See ActivationScales.h.
#include "passes/Quantize/ActivationScales.h"

#include "passes/Calibrate/WatchValues.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// Counts a matrix on all workers, each into its own of `parts`.
static void count(WorkerPool &pool, MatrixView x, std::vector<MagnitudeHistogram> &parts) {
  pool.runEach([&](int worker) {
    int64_t begin = x.rows * worker / pool.workers(), end = x.rows * (worker + 1) / pool.workers();
    for (int64_t row = begin; row < end; ++row)
      parts[worker].add({x.data + row * x.stride, static_cast<size_t>(x.cols)});
  });
}

static std::string nameOf(LinearOp linear) {
  auto get = linear.getWeight().getDefiningOp<GetOp>();
  return get ? get.getParameter().str() : "input";
}

Result<ActivationScales> ActivationScales::find(ModuleOp module, const ParameterEvaluator &parameters,
                                                ArrayRef<LinearOp> linears, std::span<const int32_t> tokens,
                                                int64_t length, const ActivationRangeOptions &options,
                                                const std::function<void(int64_t done, int64_t total)> &progress) {
  ActivationScales scales;
  llvm::MapVector<Value, size_t> sites;
  llvm::DenseSet<Value> watched;
  for (LinearOp linear : linears) {
    auto [site, isNew] = sites.insert({linear.getInput(), scales.found.size()});
    if (isNew) {
      scales.found.push_back({nameOf(linear)});
      watched.insert(linear.getInput());
    }
    scales.places[linear] = site->second;
  }
  Result<std::unique_ptr<PartRunner>> runner = PartRunner::create(tokens, length);
  if (!runner)
    return runner.takeError();
  WorkerPool &pool = (*runner)->pool();
  // Of the segment that is being run: for each value a histogram of each worker.
  SmallVector<Value> values;
  std::vector<std::vector<MagnitudeHistogram>> histograms;
  ValueWatcher watcher;
  int64_t done = 0, total = 0;
  watcher.begin = [&](ArrayRef<Value> next, int64_t segments) {
    total = (*runner)->samples() * segments;
    values.assign(next.begin(), next.end());
    histograms.assign(values.size(), std::vector<MagnitudeHistogram>(pool.workers()));
  };
  watcher.see = [&](int64_t, ArrayRef<MatrixView> seen) -> Status {
    for (auto [view, parts] : llvm::zip_equal(seen, histograms))
      count(pool, view, parts);
    if (progress)
      progress(++done, total);
    return {};
  };
  watcher.finish = [&]() -> Status {
    for (auto [value, parts] : llvm::zip_equal(values, histograms)) {
      for (const MagnitudeHistogram &part : ArrayRef(parts).drop_front())
        parts.front().add(part);
      Site &site = scales.found[sites.lookup(value)];
      Result<float> scale = chooseActivationScale(parts.front(), options);
      if (!scale)
        return scale.takeError().in("inputs of @" + site.name);
      site.scale = *scale, site.greatest = parts.front().greatest();
      site.clamped = parts.front().beyond(127.0 * *scale);
    }
    return {};
  };
  Result<int64_t> segments = watchValues(module, parameters, **runner, kStreamMemory, watched, watcher);
  if (!segments)
    return segments.takeError();
  for (const Site &site : scales.found)
    if (site.scale == 0)
      return badInput("expected linears over tokens to have static ranges of activations, but this one is over the "
                      "wanted rows",
                      "parameter @" + site.name)
          .withNext("give it activations per token, as in head: w8a8:channel, or keep it");
  return scales;
}
