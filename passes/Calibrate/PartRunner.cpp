// See PartRunner.h.
#include "passes/Calibrate/PartRunner.h"

#include "lib/Runtime/UsableCpus.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace qopt;

std::string qopt::streamFolder() {
  const char *folder = std::getenv("TMPDIR");
  return folder && *folder ? folder : "/tmp";
}

Result<SampleStream> SampleStream::create(int64_t samples, int64_t tokens, int64_t channels, uint64_t memory) {
  SampleStream stream;
  stream.bytes = static_cast<uint64_t>(samples) * tokens * channels * sizeof(float);
  bool inMemory = stream.bytes <= memory;
  stream.tokens = tokens, stream.width = channels;
  auto failed = [&](const char *what) {
    return resourceError(std::string("expected ") + what + " of " + std::to_string(stream.bytes >> 20) +
                         " MiB for the samples between parts of the model: " + std::strerror(errno))
        .withNext("calibrate with fewer samples, or change --memory");
  };
  int descriptor = -1;
  if (!inMemory) {
    descriptor = ::open(streamFolder().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    // Space is taken now, so that a full disk is an error here and not a signal later.
    if (descriptor < 0 || (errno = ::posix_fallocate(descriptor, 0, static_cast<off_t>(stream.bytes))) != 0) {
      Error error = failed("a temporary file");
      if (descriptor >= 0)
        ::close(descriptor);
      return error;
    }
  }
  int flags = inMemory ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void *pages = ::mmap(nullptr, stream.bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  if (descriptor >= 0)
    ::close(descriptor);
  if (pages == MAP_FAILED)
    return failed("memory");
  stream.start = static_cast<float *>(pages);
  return stream;
}

SampleStream &SampleStream::operator=(SampleStream &&other) noexcept {
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  std::swap(tokens, other.tokens);
  std::swap(width, other.width);
  return *this;
}

SampleStream::~SampleStream() {
  if (start)
    ::munmap(start, bytes);
}

Result<std::unique_ptr<PartRunner>> PartRunner::create(std::span<const int32_t> tokens, int64_t length, int threads) {
  Result<Target> target = statisticsTarget();
  if (!target)
    return target.takeError();
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads == 0 ? usableCpus() : threads);
  if (!pool)
    return pool.takeError();
  CompileOptions compile;
  compile.targets.push_back(std::move(*target));
  return std::make_unique<PartRunner>(std::move(compile), std::move(*pool), tokens, length);
}

Result<std::shared_ptr<const Model>> PartRunner::compile(ModuleOp part, const ParameterEvaluator &parameters) {
  return compileInMemory(part, parameters, options, code);
}

Status PartRunner::run(ModuleOp part, const ParameterEvaluator &parameters, std::span<SampleStream *const> inputs,
                       const Consumer &consume) {
  Result<std::shared_ptr<const Model>> model = compile(part, parameters);
  if (!model)
    return model.takeError();
  return run(*model, inputs, consume);
}

Status PartRunner::runInto(std::optional<SampleStream> &stream, size_t kept, uint64_t memory,
                           const std::shared_ptr<const Model> &part, std::span<SampleStream *const> inputs,
                           const Consumer &consume) {
  int64_t channels = part->manifest().outputs[kept].channels;
  std::optional<SampleStream> created;
  if (!stream || stream->channels() != channels) {
    Result<SampleStream> made = SampleStream::create(samples(), length, channels, memory);
    if (!made)
      return made.takeError();
    created = std::move(*made);
  }
  SampleStream &to = created ? *created : *stream;
  Status status = run(part, inputs, [&](int64_t sample, std::span<const MatrixView> got) -> Status {
    if (consume)
      if (Status seen = consume(sample, got); !seen)
        return seen;
    std::copy_n(got[kept].data, got[kept].rows * got[kept].cols, to.sample(sample));
    return {};
  });
  if (status && created)
    stream = std::move(*created);
  return status;
}

Status PartRunner::run(const std::shared_ptr<const Model> &model, std::span<SampleStream *const> inputs,
                       const Consumer &consume) {
  ContextOptions shape;
  shape.pool = workers;
  shape.contextTokens = shape.cacheTokens = shape.chunkTokens = length;
  shape.chunkRows = 1;
  Result<std::unique_ptr<Context>> context = Context::create(model, shape);
  if (!context)
    return context.takeError();
  const Manifest &manifest = model->manifest();
  std::vector<AlignedVector<float>> buffers;
  std::vector<float *> outputs;
  std::vector<MatrixView> views;
  for (const Manifest::Stream &output : manifest.outputs) {
    buffers.emplace_back(length * output.channels);
    outputs.push_back(buffers.back().data());
    views.push_back({buffers.back().data(), length, output.channels, output.channels});
  }
  std::vector<const float *> given(inputs.size());
  for (int64_t sample = 0; sample < samples(); ++sample) {
    for (size_t i = 0; i < inputs.size(); ++i)
      given[i] = inputs[i]->sample(sample);
    Result<SequenceId> sequence = (*context)->cache().createSequence();
    if (!sequence)
      return sequence.takeError();
    Result<ForwardOutcome> outcome = (*context)->forward({.tokens = tokens.subspan(sample * length, length),
                                                          .sequences = {&*sequence, 1},
                                                          .inputs = given,
                                                          .outputs = outputs});
    if (!outcome)
      return outcome.takeError();
    if (Status status = (*context)->cache().freeSequence(*sequence); !status)
      return status;
    if (Status status = consume(sample, views); !status)
      return status;
  }
  return {};
}
