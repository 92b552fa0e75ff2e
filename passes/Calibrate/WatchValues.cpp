// See WatchValues.h.
#include "passes/Calibrate/WatchValues.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;

static SmallVector<Value> watchedOf(const Segment &segment, const llvm::DenseSet<Value> &watched) {
  SmallVector<Value> values;
  for (Operation *op : segment.ops)
    llvm::copy_if(op->getResults(), std::back_inserter(values), [&](Value value) { return watched.contains(value); });
  return values;
}

/// Runs one segment: `watched` go to the watcher, and the segment's output to `to`, if there is one.
static Status runSegment(ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner,
                         const Segment &segment, ArrayRef<Value> watched, std::optional<SampleStream> &from,
                         SampleStream *to, const ValueWatcher &watcher) {
  SmallVector<Value> inputs, outputs(watched);
  SmallVector<SampleStream *> given;
  if (segment.input)
    inputs.push_back(segment.input), given.push_back(&*from);
  size_t next = llvm::find(outputs, segment.output) - outputs.begin();
  if (to && next == outputs.size())
    outputs.push_back(segment.output);
  OwningOpRef<ModuleOp> part = extractPart(module, inputs, outputs);
  return runner.run(*part, parameters, {given.data(), given.size()},
                    [&](int64_t sample, std::span<const MatrixView> got) -> Status {
                      if (Status status = watcher.see(sample, {got.data(), watched.size()}); !status)
                        return status;
                      if (to)
                        std::copy_n(got[next].data, got[next].rows * got[next].cols, to->sample(sample));
                      return {};
                    });
}

Result<int64_t> qopt::watchValues(ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner,
                                  uint64_t memory, const llvm::DenseSet<Value> &watched, const ValueWatcher &watcher) {
  SmallVector<Segment> segments = findSegments(module.lookupSymbol<func::FuncOp>("forward"));
  // Segments after the last that is watched are not needed; nor is the one that ends in logits.
  while (!segments.empty() && (!segments.back().output || watchedOf(segments.back(), watched).empty()))
    segments.pop_back();
  std::optional<SampleStream> stream; // what the last segment gave
  for (const Segment &segment : segments) {
    // The last segment's own output is of no use to anyone.
    bool isLast = &segment == &segments.back();
    Result<std::optional<SampleStream>> beside{std::nullopt};
    if (!isLast)
      beside = runner.streamBeside(stream, cast<RankedTensorType>(segment.output.getType()).getDimSize(1), memory);
    if (!beside)
      return beside.takeError();
    SampleStream *to = isLast ? nullptr : *beside ? &**beside : &*stream;
    SmallVector<Value> values = watchedOf(segment, watched);
    watcher.begin(values, static_cast<int64_t>(segments.size()));
    Status status = runSegment(module, parameters, runner, segment, values, stream, to, watcher);
    if (!status)
      return status.takeError();
    if (*beside)
      stream = std::move(**beside);
    if (Status finished = watcher.finish(); !finished)
      return finished.takeError();
  }
  return static_cast<int64_t>(segments.size());
}
