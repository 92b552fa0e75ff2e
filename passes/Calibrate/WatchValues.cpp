// See WatchValues.h.
#include "passes/Calibrate/WatchValues.h"

using namespace mlir;
using namespace qopt;

static SmallVector<Value> watchedOf(const Segment &segment, const llvm::DenseSet<Value> &watched) {
  SmallVector<Value> values;
  for (Operation *op : segment.ops)
    llvm::copy_if(op->getResults(), std::back_inserter(values), [&](Value value) { return watched.contains(value); });
  return values;
}

/// Runs one segment: `watched` go to the watcher, and the segment's output takes the place of what is in `stream`
/// unless the segment is the last.
static Status runSegment(ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner, uint64_t memory,
                         const Segment &segment, bool isLast, ArrayRef<Value> watched,
                         std::optional<SampleStream> &stream, const ValueWatcher &watcher) {
  SmallVector<Value> inputs, outputs(watched);
  SmallVector<SampleStream *> given;
  if (segment.input)
    inputs.push_back(segment.input), given.push_back(&*stream);
  size_t next = llvm::find(outputs, segment.output) - outputs.begin();
  if (!isLast && next == outputs.size())
    outputs.push_back(segment.output);
  OwningOpRef<ModuleOp> part = extractPart(module, inputs, outputs);
  Result<std::shared_ptr<const Model>> model = runner.compile(*part, parameters);
  if (!model)
    return model.takeError();
  auto see = [&](int64_t sample, std::span<const MatrixView> got) {
    return watcher.see(sample, {got.data(), watched.size()});
  };
  std::span<SampleStream *const> streams{given.data(), given.size()};
  return isLast ? runner.run(*model, streams, see) : runner.runInto(stream, next, memory, *model, streams, see);
}

Result<int64_t> qopt::watchValues(ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner,
                                  uint64_t memory, const llvm::DenseSet<Value> &watched, const ValueWatcher &watcher) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (Status status = checkCuts(forward); !status)
    return status.takeError();
  SmallVector<Segment> segments = findSegments(forward);
  // Segments after the last that is watched are not needed; nor is the one that ends in logits.
  while (!segments.empty() && (!segments.back().output || watchedOf(segments.back(), watched).empty()))
    segments.pop_back();
  size_t seen = 0;
  for (const Segment &segment : segments)
    seen += watchedOf(segment, watched).size();
  if (seen != watched.size())
    return badInput("expected all values that are looked at to be computed before rows are chosen "
                    "(transformer.select_rows), but " +
                    std::to_string(watched.size() - seen) + " of " + std::to_string(watched.size()) +
                    " stand behind the first of these ops")
        .withNext("move them before it, or leave their linears out with --match");
  std::optional<SampleStream> stream; // what the last segment gave
  for (const Segment &segment : segments) {
    // The last segment's own output is of no use to anyone.
    bool isLast = &segment == &segments.back();
    SmallVector<Value> values = watchedOf(segment, watched);
    watcher.begin(values, static_cast<int64_t>(segments.size()));
    Status status = runSegment(module, parameters, runner, memory, segment, isLast, values, stream, watcher);
    if (!status)
      return status.takeError();
    if (Status finished = watcher.finish(); !finished)
      return finished.takeError();
  }
  return static_cast<int64_t>(segments.size());
}
