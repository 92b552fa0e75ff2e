#include "lib/Runtime/App/ModelFile.h"

#include "lib/Runtime/App/FileKind.h"

#include <chrono>
#include <cstdio>
#include <sys/resource.h>
#include <utility>

namespace qopt {

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<ModelFile> openModelFile(const std::string &file, ModelOptions options, const CompileFile &compile) {
  ModelFile result;
  Result<FileKind> kind = classifyFile(file);
  if (!kind)
    return kind.takeError();
  std::optional<TemporaryPath> temporary;
  if (*kind != FileKind::Artifact && compile) {
    Clock::time_point start = Clock::now();
    Result<TemporaryPath> path = TemporaryPath::create(".qopt");
    if (!path)
      return path.takeError();
    temporary.emplace(std::move(*path));
    if (Status status = compile(file, std::exchange(options.target, {}), temporary->path()); !status)
      return status.takeError();
    result.compileSeconds = secondsSince(start);
  } else if (*kind != FileKind::Artifact && *kind != FileKind::Safetensors) {
    return badInput("expected a model that qopt compiled, but got " + std::string(describe(*kind)),
                    escapeForMessage(file, 1000))
        .withNext(*kind == FileKind::Ir        ? "IR is compiled first: qopt compile FILE -o model.qopt"
                  : *kind == FileKind::Unknown ? "copy or make the file again, if it was an artifact"
                                               : "compile it first: qopt build FILE --scheme w4a8 -o model.qopt");
  }
  Clock::time_point start = Clock::now();
  Result<std::shared_ptr<const Model>> model = Model::open(temporary ? temporary->path() : file, options);
  if (!model)
    return model.takeError();
  result.model = std::move(*model);
  Result<std::optional<ModelText>> text = ModelText::load(*result.model);
  if (!text)
    return text.takeError().in(escapeForMessage(file, 1000)).withNext("compile the model again");
  result.text = std::move(*text);
  result.loadSeconds = secondsSince(start);
  return result;
}

Error missingTokenizer(const std::string &file) {
  return badInput("expected a model with a tokenizer, but this one came without", escapeForMessage(file, 1000))
      .withNext(
          "put tokenizer.json beside the checkpoint and import it again, or give token ids: --prompt-ids \"1 2 3\"");
}

int64_t peakResidentBytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int reportError(const Error &error) {
  if (!error.rule.empty())
    std::fputs(error.format().c_str(), stderr);
  return static_cast<int>(error.errorClass);
}

} // namespace qopt
