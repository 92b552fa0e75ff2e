// See SiteSamples.h.
#include "passes/Quantize/SiteSamples.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Runtime/UsableCpus.h"
#include "passes/Support/Forward.h"

#include "llvm/ADT/SetVector.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;

Result<SiteSamples> SiteSamples::create(ModuleOp module, const std::string &directory, std::span<const int32_t> tokens,
                                        int64_t length, int64_t wanted) {
  SiteSamples result(module);
  Result<func::FuncOp> forward = forwardOf(module);
  if (!forward)
    return forward.takeError();
  result.segments = findSegments(*forward);
  auto evaluator = ParameterEvaluator::open(module, directory);
  if (!evaluator)
    return evaluator.takeError();
  result.parameters = std::move(*evaluator);
  Result<Target> native = findTarget("native");
  if (!native)
    return native.takeError();
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(usableCpus());
  if (!pool)
    return pool.takeError();
  CompileOptions compile;
  compile.targets.push_back(std::move(*native));
  int64_t samples = std::min<int64_t>(static_cast<int64_t>(tokens.size()) / length, kSamples);
  if (samples < 1)
    return badInput("expected statistics with the samples that they were taken from, but there are none")
        .withNext("calibrate again");
  result.runner =
      std::make_unique<PartRunner>(std::move(compile), std::move(*pool), tokens.first(samples * length), length);
  result.perSample = std::clamp<int64_t>(wanted / samples, 1, length);
  return result;
}

Result<MatrixView> SiteSamples::of(Value site) {
  while (!kept.contains(site)) {
    if (next + 1 >= segments.size()) // the last has no values over tokens
      return badInput("expected a value over tokens that linears read, in the order of the model");
    if (Status status = runSegment(); !status)
      return status.takeError();
  }
  const AlignedVector<float> &rows = kept[site];
  int64_t channels = cast<RankedTensorType>(site.getType()).getDimSize(1);
  return MatrixView{rows.data(), static_cast<int64_t>(rows.size()) / channels, channels, channels};
}

Status SiteSamples::runSegment() {
  const Segment &segment = segments[next++];
  kept.clear();
  llvm::SmallSetVector<Value, 4> outputs;
  for (Operation *op : segment.ops)
    if (auto linear = dyn_cast<transformer::LinearOp>(op); linear && linear.getInput() != segment.input)
      outputs.insert(linear.getInput());
  bool readsInput = llvm::any_of(segment.ops, [&](Operation *op) {
    auto linear = dyn_cast<transformer::LinearOp>(op);
    return linear && linear.getInput() == segment.input;
  });
  size_t sites = outputs.size();
  outputs.insert(segment.output);
  auto channelsOf = [](Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(1); };
  auto keep = [&](Value value, int64_t sample, const float *rows) {
    AlignedVector<float> &to = kept[value];
    int64_t channels = channelsOf(value), length = runner->tokensPerSample();
    to.resize(runner->samples() * perSample * channels);
    for (int64_t i = 0; i < perSample; ++i)
      std::copy_n(rows + i * length / perSample * channels, channels, to.data() + (sample * perSample + i) * channels);
  };
  Result<std::optional<SampleStream>> beside =
      runner->streamBeside(stream, channelsOf(segment.output), uint64_t{4} << 30);
  if (!beside)
    return beside.takeError();
  SmallVector<Value> inputs;
  SmallVector<SampleStream *> given;
  if (segment.input)
    inputs.push_back(segment.input), given.push_back(&*stream);
  OwningOpRef<ModuleOp> part = extractPart(module, inputs, outputs.getArrayRef());
  SampleStream &to = *beside ? **beside : *stream;
  Status status = runner->run(*part, *parameters->forModule(*part), {given.data(), given.size()},
                              [&](int64_t sample, std::span<const MatrixView> got) -> Status {
                                if (readsInput)
                                  keep(segment.input, sample, stream->sample(sample));
                                for (size_t i = 0; i < sites; ++i)
                                  keep(outputs[i], sample, got[i].data);
                                const MatrixView &last = got.back();
                                std::copy_n(last.data, last.rows * last.cols, to.sample(sample));
                                return {};
                              });
  if (status && *beside)
    stream = std::move(**beside);
  return status;
}
