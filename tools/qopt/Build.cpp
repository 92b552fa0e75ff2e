// qopt build: from a checkpoint to an artifact. What lies between, IR and overlay, is gone when it ends.
#include "lib/Archive/TemporaryPath.h"
#include "lib/Import/Import.h"
#include "tools/qopt/FileUses.h"
#include "tools/qopt/Options.h"
#include "tools/qopt/Subcommands.h"

using namespace qopt;

static Status build(const CompilerArguments &compiler, QuantizeArguments arguments, const std::string &source,
                    const std::string &output, const std::string &targets, bool halfCache) {
  if (arguments.scheme == "keep" && arguments.head.empty() && arguments.recipe.empty() && arguments.keep.empty() &&
      arguments.method.empty() && arguments.scales.empty())
    arguments.scheme.clear(); // nothing is left to quantize
  bool isForQuantizing = arguments.calibrates() || !arguments.statistics.empty() || !arguments.farText.empty() ||
                         !arguments.resume.empty() || arguments.maxFallback != 0 || arguments.noGates;
  if (arguments.empty() && isForQuantizing)
    return usageError("expected no --statistics, --text, --jsonl, --far-text, --no-gates, --max-fallback or --resume "
                      "where nothing is quantized")
        .withNext("say what shall be done: --scheme w4a16:g64 --method gptq, or --recipe");
  if (Status status = checkArguments(arguments); !status)
    return status;
  if (arguments.empty())
    if (Status status = checkTextOptions(arguments.calibration); !status)
      return status;
  Session session(compiler);
  ImportOptions options;
  options.halfCache = halfCache;
  auto module = importModel(session.context(), source, options);
  if (!module)
    return module.takeError();
  FileUses files;
  files.reads(source);
  files.reads(**module, ".");
  files.reads(arguments);
  files.writesFile(output, "the output");
  files.writesFile(arguments.report, "--report");
  files.writesFolder(arguments.resume, "--resume");
  if (Status status = files.check(); !status)
    return status;
  if (Status status = compiler.runExtraPasses(**module); !status)
    return status;
  Result<std::unique_ptr<ResumeFolder>> resume = openResumeFolder(session, **module, arguments, ".");
  if (!resume)
    return resume.takeError();
  Result<RunReport> report = RunReport::begin(arguments.report, "build");
  if (!report)
    return report.takeError();
  std::optional<TemporaryPath> overlay;
  if (!arguments.empty()) {
    Result<TemporaryPath> path = TemporaryPath::create(".safetensors");
    if (!path)
      return path.takeError();
    overlay.emplace(std::move(*path));
    Status status =
        quantizeModule(session, **module, arguments, ".", overlay->path(), /*outputs=*/nullptr, resume->get(), *report);
    if (!status)
      return status;
  }
  if (Status status = report->time("compile", [&] { return compileArtifact(session, **module, ".", targets, output); });
      !status)
    return status;
  if (Status status = report->write(); !status) {
    Error error = status.takeError();
    error.outcome = "the artifact is complete; there is no report";
    return error;
  }
  return *resume ? (*resume)->remove() : Status();
}

int qopt::buildMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app("Imports a checkpoint, quantizes it and compiles it: one file that the runtime loads.", "qopt build");
  app.footer(std::string(schemeHelp()) + compiler.help() +
             "\nExample:\n  qopt build SmolLM2-135M-Instruct.Q4_1.gguf --scheme w4a8:g64 -o model.qopt");
  QuantizeArguments arguments;
  std::string source, output, targets = "native", cache = "f32";
  app.add_option("SOURCE", source, "a .gguf file, or a directory that Hugging Face transformers saved")->required();
  app.add_option("-o,--output", output, "the artifact to write")->required();
  addQuantizeOptions(app, arguments);
  app.get_option("--scheme")
      ->description("scheme of all linears, such as w4a8:g64:asym; keep (the default) leaves them as they are");
  app.add_option("--target", targets, "machines to generate code for, separated by commas")->capture_default_str();
  app.add_option("--cache", cache, "the type of cached keys and values")
      ->check(CLI::IsMember({"f32", "f16"}))
      ->capture_default_str();
  return runCommand(app, compiler, argc, argv, "qopt build", "nothing was written",
                    [&] { return build(compiler, arguments, source, output, targets, cache == "f16"); });
}
