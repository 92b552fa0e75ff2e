// See CalibrateModel.h.
#include "passes/Calibrate/CalibrateModel.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "passes/Calibrate/WatchValues.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;

static Site siteOf(lowbit::ObserveOp observe) {
  Site site;
  site.name = observe.getSite().str();
  site.channels = cast<RankedTensorType>(observe.getInput().getType()).getDimSize(1);
  site.wanted = {observe.getGram(), observe.getHistogram()};
  for (Operation *user : observe.getInput().getUsers())
    if (auto linear = dyn_cast<transformer::LinearOp>(user); linear && linear.getInput() == observe.getInput())
      if (auto get = linear.getWeight().getDefiningOp<transformer::GetOp>())
        site.parameters.push_back(get.getParameter().str());
  // Users come in no particular order.
  std::sort(site.parameters.begin(), site.parameters.end());
  return site;
}

std::vector<Site> qopt::findSites(ModuleOp module) {
  std::vector<Site> sites;
  module.walk([&](lowbit::ObserveOp observe) { sites.push_back(siteOf(observe)); });
  return sites;
}

/// The observers of a value, of which there may be several.
static SmallVector<lowbit::ObserveOp> observersOf(Value value) {
  SmallVector<lowbit::ObserveOp> observers;
  for (Operation *user : value.getUsers())
    if (auto observe = dyn_cast<lowbit::ObserveOp>(user))
      observers.push_back(observe);
  return observers;
}

static void describeSite(const Site &site, const SiteStatistics &statistics, CalibrationReport &report) {
  auto silent = std::count(statistics.greatest.begin(), statistics.greatest.end(), 0.0F);
  if (silent > 0)
    report.silent.push_back({site.name, silent});
  if (statistics.tokens() < site.channels)
    report.fewTokens.push_back(site.name);
}

Result<CalibrationReport> qopt::calibrateModel(ModuleOp module, const ParameterEvaluator &parameters,
                                               PartRunner &runner, StatisticsWriter &writer,
                                               const CalibrateOptions &options) {
  CalibrationReport report;
  llvm::DenseSet<Value> observed;
  module.walk([&](lowbit::ObserveOp observe) { observed.insert(observe.getInput()); });
  // Of the segment that is being run.
  std::vector<SiteStatistics> statistics;
  std::vector<Site> sites;
  SmallVector<size_t> valueOf; // of each site
  int64_t done = 0, total = 0;
  ValueWatcher watcher;
  watcher.begin = [&](ArrayRef<Value> values, int64_t segments) {
    total = runner.samples() * segments;
    statistics.clear(), sites.clear(), valueOf.clear();
    for (auto [index, value] : llvm::enumerate(values))
      for (lowbit::ObserveOp observe : observersOf(value)) {
        sites.push_back(siteOf(observe));
        statistics.emplace_back(sites.back().channels, sites.back().wanted);
        valueOf.push_back(index);
      }
  };
  watcher.see = [&](int64_t sample, ArrayRef<MatrixView> values) -> Status {
    for (size_t i = 0; i < sites.size(); ++i)
      statistics[i].add(runner.pool(), options.firstSample + sample, values[valueOf[i]]);
    if (options.progress)
      options.progress(++done, total);
    return {};
  };
  watcher.finish = [&]() -> Status {
    for (size_t i = 0; i < sites.size(); ++i) {
      statistics[i].finish();
      if (Status finite = statistics[i].checkFinite(); !finite)
        return finite.takeError().in("site " + escapeForMessage(sites[i].name));
      describeSite(sites[i], statistics[i], report);
      if (Status written = writer.write(sites[i], statistics[i]); !written)
        return written;
    }
    return {};
  };
  Result<int64_t> segments = watchValues(module, parameters, runner, options.memory, observed, watcher);
  if (!segments)
    return segments.takeError();
  if (*segments == 0)
    return badInput("expected observers before the output head, but found none")
        .withNext("run --insert-observers first");
  report.segments = *segments;
  report.compiled = runner.codeCache().compiled();
  return report;
}
