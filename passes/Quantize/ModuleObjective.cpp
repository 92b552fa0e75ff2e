// See ModuleObjective.h.
#include "passes/Quantize/ModuleObjective.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Algorithms/Columns.h"
#include "lib/Numerics/RoundToNearest.h"

#include <algorithm>
#include <atomic>
#include <limits>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// Rows of a weight that are rounded at a time.
static constexpr int64_t kChunkRows = 64;

Value qopt::moduleEnd(const ScaleSite &site, ArrayRef<Segment> segments) {
  for (const Segment &segment : segments) {
    if (!llvm::is_contained(segment.ops, static_cast<Operation *>(LinearOp(site.readers.front()))))
      continue;
    auto residual = segment.output ? segment.output.getDefiningOp<ResidualOp>() : ResidualOp();
    if (!residual)
      return {};
    Value end = residual.getUpdate();
    bool isOwn = llvm::any_of(site.readers, [&](LinearOp reader) { return reader.getResult() == end; });
    return isOwn ? Value() : end;
  }
  return {};
}

Result<ModuleObjective> ModuleObjective::create(ModuleOp module, const ParameterEvaluator &parameters,
                                                PartRunner &runner, const Site &of) {
  ModuleObjective objective(runner);
  int64_t samples = runner.samples(), length = runner.tokensPerSample(), channels = of.rows.cols;
  Result<SampleStream> read = SampleStream::create(samples, length, channels, kStreamMemory);
  if (!read)
    return read.takeError();
  for (int64_t sample = 0; sample < samples; ++sample) {
    MatrixView rows{of.rows.data + sample * length * of.rows.stride, length, channels, of.rows.stride};
    for (int64_t t = 0; t < length; ++t)
      std::copy_n(rows.data + t * rows.stride, channels, read->sample(sample) + t * channels);
    objective.columns.push_back(columnsOf(rows));
  }
  SmallVector<Value> results;
  SampleStream *from = &*read;
  for (LinearOp reader : of.site.readers) {
    results.push_back(reader.getResult());
    // One by one: the lowering would make one linear of those that stand together, and slices are no outputs.
    OwningOpRef<ModuleOp> linear = extractPart(module, of.site.value, reader.getResult());
    Result<std::shared_ptr<const Model>> compiled = runner.compile(*linear, parameters);
    if (!compiled)
      return compiled.takeError();
    std::optional<SampleStream> given;
    if (Status status = runner.runInto(given, 0, kStreamMemory, *compiled, {&from, 1}); !status)
      return status.takeError();
    Result<SampleStream> room = SampleStream::create(samples, length, given->channels(), kStreamMemory);
    if (!room)
      return room.takeError();
    objective.exact.push_back(std::move(*given));
    objective.changed.push_back(std::move(*room));
  }
  OwningOpRef<ModuleOp> rest = extractPart(module, results, of.end);
  Result<std::shared_ptr<const Model>> compiled = runner.compile(*rest, parameters);
  if (!compiled)
    return compiled.takeError();
  objective.rest = std::move(*compiled);
  SmallVector<SampleStream *> given;
  for (SampleStream &stream : objective.exact)
    given.push_back(&stream);
  if (Status ran = runner.runInto(objective.wanted, 0, kStreamMemory, objective.rest, {given.data(), given.size()});
      !ran)
    return ran.takeError();
  return objective;
}

/// (W - W')ᵀ : [inputs, rows]; nothing where a group has no grid.
static std::optional<AlignedVector<float>> changeOf(const AwqLinear &linear, std::span<const float> scale,
                                                    const ParallelFor &parallel) {
  auto inputs = static_cast<int64_t>(scale.size());
  AlignedVector<float> change(inputs * linear.rows);
  std::atomic<bool> refused = false;
  parallel((linear.rows + kChunkRows - 1) / kChunkRows, [&](int64_t chunk) {
    int64_t first = chunk * kChunkRows, rows = std::min(kChunkRows, linear.rows - first);
    std::vector<float> scaled(rows * inputs), rounded(rows * inputs);
    const float *weights = linear.weights.data() + first * inputs;
    for (int64_t i = 0; i < rows * inputs; ++i)
      scaled[i] = weights[i] * scale[i % inputs];
    if (!roundRowsToNearest(linear.scheme, rows, inputs, scaled, rounded, first)) {
      refused = true;
      return;
    }
    for (int64_t i = 0; i < rows * inputs; ++i)
      rounded[i] = weights[i] - rounded[i] / scale[i % inputs];
    copyColumns({rounded.data(), rows, inputs, inputs}, change.data() + first, linear.rows);
  });
  if (refused)
    return std::nullopt;
  return change;
}

Result<double> ModuleObjective::errorOf(ArrayRef<const AwqLinear *> linears, std::span<const float> scale,
                                        const ParallelFor &parallel) {
  int64_t samples = runner->samples(), length = runner->tokensPerSample();
  SmallVector<SampleStream *> given;
  for (auto [linear, stream, result] : llvm::zip_equal(linears, exact, changed)) {
    given.push_back(linear ? &result : &stream);
    if (!linear)
      continue;
    std::optional<AlignedVector<float>> change = changeOf(*linear, scale, parallel);
    if (!change)
      return std::numeric_limits<double>::infinity();
    int64_t rows = linear->rows, inputs = static_cast<int64_t>(scale.size());
    parallel(samples, [&](int64_t sample) {
      AlignedVector<float> values(stream.sample(sample), stream.sample(sample) + length * rows);
      dense().subtractFeedback(values.data(), rows, length, change->data(), inputs, columns[sample].data(), length);
      std::copy(values.begin(), values.end(), result.sample(sample));
    });
  }
  double sum = 0;
  Status status =
      runner->run(rest, {given.data(), given.size()}, [&](int64_t sample, std::span<const MatrixView> got) -> Status {
        const float *as = wanted->sample(sample);
        for (int64_t i = 0; i < got[0].rows * got[0].cols; ++i) {
          double off = static_cast<double>(got[0].data[i]) - as[i];
          sum += off * off;
        }
        return {};
      });
  return status ? Result<double>(sum) : status.takeError();
}
