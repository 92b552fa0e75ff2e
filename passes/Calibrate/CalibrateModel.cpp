// See CalibrateModel.h.
#include "passes/Calibrate/CalibrateModel.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "passes/Calibrate/Segments.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

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

/// The observers of values that a segment makes, in order.
static SmallVector<lowbit::ObserveOp> observersOf(const Segment &segment) {
  SmallVector<lowbit::ObserveOp> observers;
  for (Operation *op : segment.ops)
    for (Value result : op->getResults())
      for (Operation *user : result.getUsers())
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
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  SmallVector<Segment> segments = findSegments(forward);
  // Segments after the last observer are not needed; nor is the last, which ends in logits.
  while (!segments.empty() && (!segments.back().output || observersOf(segments.back()).empty()))
    segments.pop_back();
  if (segments.empty())
    return badInput("expected observers before the output head, but found none")
        .withNext("run --insert-observers first");
  CalibrationReport report;
  report.segments = static_cast<int64_t>(segments.size());
  int64_t samples = runner.samples(), done = 0, total = samples * report.segments;
  std::optional<SampleStream> stream; // what the last segment gave
  for (const Segment &segment : segments) {
    SmallVector<lowbit::ObserveOp> observers = observersOf(segment);
    SmallVector<Value> inputs, outputs;
    if (segment.input)
      inputs.push_back(segment.input);
    std::vector<SiteStatistics> statistics;
    std::vector<Site> sites;
    SmallVector<size_t> outputOf; // of each observer
    for (lowbit::ObserveOp observe : observers) {
      sites.push_back(siteOf(observe));
      statistics.emplace_back(sites.back().channels, sites.back().wanted);
      auto found = llvm::find(outputs, observe.getInput());
      outputOf.push_back(found - outputs.begin());
      if (found == outputs.end())
        outputs.push_back(observe.getInput());
    }
    // The last segment's own output is of no use to anyone.
    bool isLast = &segment == &segments.back();
    auto found = llvm::find(outputs, segment.output);
    size_t next = found - outputs.begin();
    if (!isLast && found == outputs.end())
      outputs.push_back(segment.output);

    int64_t channels = cast<RankedTensorType>(segment.output.getType()).getDimSize(1);
    Result<std::optional<SampleStream>> beside{std::nullopt};
    if (!isLast)
      beside = runner.streamBeside(stream, channels, options.memory);
    if (!beside)
      return beside.takeError();
    SmallVector<SampleStream *> given;
    if (segment.input)
      given.push_back(&*stream);
    OwningOpRef<ModuleOp> part = extractPart(module, inputs, outputs);
    Status status = runner.run(*part, parameters, {given.data(), given.size()},
                               [&](int64_t sample, std::span<const MatrixView> got) -> Status {
                                 for (size_t i = 0; i < sites.size(); ++i)
                                   statistics[i].add(runner.pool(), options.firstSample + sample, got[outputOf[i]]);
                                 if (!isLast) {
                                   SampleStream &to = *beside ? **beside : *stream;
                                   std::copy_n(got[next].data, got[next].rows * got[next].cols, to.sample(sample));
                                 }
                                 if (options.progress)
                                   options.progress(++done, total);
                                 return {};
                               });
    if (!status)
      return status.takeError();
    if (*beside)
      stream = std::move(**beside);
    for (size_t i = 0; i < sites.size(); ++i) {
      statistics[i].finish();
      if (Status finite = statistics[i].checkFinite(); !finite)
        return finite.takeError().in("site " + escapeForMessage(sites[i].name));
      describeSite(sites[i], statistics[i], report);
      if (Status written = writer.write(sites[i], statistics[i]); !written)
        return written.takeError();
    }
  }
  report.compiled = runner.codeCache().compiled();
  return report;
}
