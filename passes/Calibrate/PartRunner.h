// Runs parts of a model over the samples of a calibration: each is compiled by the ordinary lowering and run in this
// process, with what flows between parts kept in streams.
#ifndef QOPT_PASSES_CALIBRATE_PARTRUNNER_H
#define QOPT_PASSES_CALIBRATE_PARTRUNNER_H

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Compile/InMemory.h"
#include "lib/Runtime/Context.h"

#include "mlir/IR/BuiltinOps.h"

#include <functional>
#include <optional>

namespace qopt {

/// Bytes of a stream that stay in memory unless something else is said: more than that goes to a file.
inline constexpr uint64_t kStreamMemory = uint64_t{4} << 30;

/// Where streams go that are larger: TMPDIR, or /tmp.
std::string streamFolder();

/// What one value of a model is for every sample: [samples, tokens, channels] of f32, in memory, or in a file without a
/// name that the kernel pages in and out.
class SampleStream {
public:
  /// In memory if it takes at most `memory` bytes, else in streamFolder(). Resource error.
  static Result<SampleStream> create(int64_t samples, int64_t tokens, int64_t channels, uint64_t memory);
  SampleStream() = default;
  SampleStream(SampleStream &&other) noexcept { *this = std::move(other); }
  SampleStream &operator=(SampleStream &&other) noexcept;
  ~SampleStream();

  float *sample(int64_t index) { return start + index * tokens * width; }
  int64_t channels() const { return width; }
  uint64_t size() const { return bytes; }

private:
  float *start = nullptr;
  uint64_t bytes = 0;
  int64_t tokens = 0, width = 0;
};

class PartRunner {
public:
  /// `tokens` : [samples, length], which must outlive the runner. `options` has one target, which this processor runs.
  PartRunner(CompileOptions options, std::shared_ptr<WorkerPool> pool, std::span<const int32_t> tokens, int64_t length)
      : options(std::move(options)), workers(std::move(pool)), tokens(tokens), length(length) {}

  /// For this machine (statisticsTarget), with `threads` of its CPUs; 0: those that are usable. Errors: as findTarget,
  /// a pool that cannot be made.
  static Result<std::unique_ptr<PartRunner>> create(std::span<const int32_t> tokens, int64_t length, int threads = 0);

  int64_t samples() const { return static_cast<int64_t>(tokens.size()) / length; }
  int64_t tokensPerSample() const { return length; }
  WorkerPool &pool() { return *workers; }
  const CodeCache &codeCache() const { return code; }
  /// The name of the target that parts are compiled for.
  const std::string &target() const { return options.targets.front().name; }

  /// What a sample gave: one matrix [tokens, channels] for each output, valid during the call.
  using Consumer = std::function<Status(int64_t sample, std::span<const MatrixView> outputs)>;

  /// Compiles `part` (Segments.h), which is consumed.
  Result<std::shared_ptr<const Model>> compile(mlir::ModuleOp part, const ParameterEvaluator &parameters);

  /// Runs a part over every sample. `inputs` has a stream for each input. A consumer may write to them: the sample's
  /// inputs are not read again.
  Status run(const std::shared_ptr<const Model> &part, std::span<SampleStream *const> inputs, const Consumer &consume);

  /// Both, one after the other.
  Status run(mlir::ModuleOp part, const ParameterEvaluator &parameters, std::span<SampleStream *const> inputs,
             const Consumer &consume);

  /// Runs a part and keeps its output `kept` for every sample in `stream`, which may be one of `inputs`. It is another
  /// stream afterwards, in memory if it takes at most `memory` bytes, where it had no room; after an error it has what
  /// it had, or, if it had room, anything. `consume` sees all outputs before that.
  Status runInto(std::optional<SampleStream> &stream, size_t kept, uint64_t memory,
                 const std::shared_ptr<const Model> &part, std::span<SampleStream *const> inputs,
                 const Consumer &consume = {});

private:
  CompileOptions options;
  std::shared_ptr<WorkerPool> workers;
  std::span<const int32_t> tokens;
  int64_t length;
  CodeCache code;
};

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_PARTRUNNER_H
