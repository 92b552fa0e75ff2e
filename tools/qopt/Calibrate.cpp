// qopt calibrate: from an IR file and texts to an archive of statistics. qopt stats: joins such archives.
#include "lib/Calibration/StatisticsArchive.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/CommandLine.h"
#include "tools/qopt/FileUses.h"
#include "tools/qopt/Options.h"
#include "tools/qopt/Subcommands.h"

using namespace qopt;

static Status calibrate(const CompilerArguments &compiler, const CalibrateArguments &arguments,
                        const std::string &model, const std::string &output) {
  if (Status status = checkTextOptions(arguments); !status)
    return status;
  Session session(compiler);
  auto module = readModule(session, model);
  if (!module)
    return module.takeError();
  FileUses files;
  files.reads(model);
  files.reads(**module, directoryOf(model));
  files.reads(arguments);
  files.writesFile(output, "the output");
  if (Status status = files.check(); !status)
    return status;
  Status status = calibrateModule(session, **module, arguments, directoryOf(model), output);
  if (!status && status.error().where.empty() && !status.error().rule.empty())
    return status.takeError().in(escapeForMessage(model, 1000));
  return status;
}

int qopt::calibrateMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app(
      "Runs a model over text and writes statistics of what its linears read, for the algorithms that need them.\n"
      "The text is cut into samples that do not overlap; some windows of it are held out.",
      "qopt calibrate");
  app.footer(std::string(compiler.help()) +
             "\nExample:\n  qopt calibrate model.mlir --text manual.txt --text essays.txt -o stats.safetensors");
  CalibrateArguments arguments;
  std::string model, output;
  app.add_option("MODEL", model, "an IR file, not quantized")->required();
  app.add_option("-o,--output", output, "the archive of statistics")->required();
  addTextOptions(app, arguments);
  auto *match = app.add_option("--match", arguments.match, "a glob for the weights whose inputs are looked at")
                    ->capture_default_str();
  auto *histogram = app.add_flag("--histogram", arguments.histogram, "also count which magnitude occurs how often");
  auto *noGram =
      app.add_flag("--no-gram", arguments.noGram, "do not sum x·xᵀ: enough for SmoothQuant, and much smaller");
  auto *alone = app.add_flag("--samples-alone", arguments.samplesAlone,
                             "run nothing: keep the samples' tokens, which are enough for gptq with inputs: quantized")
                    ->excludes(match, histogram, noGram);
  app.add_option("--shard", arguments.shard, "I/N: the I-th of N shards; 'qopt stats merge' joins them");
  addMemoryOption(app, arguments)->excludes(alone);
  app.add_option("--threads", arguments.threads, "workers (default: the CPUs that this process may use)")
      ->check(CLI::Range(1, 1024))
      ->excludes(alone);
  return runCommand(app, compiler, argc, argv, "qopt calibrate", "nothing was written",
                    [&] { return calibrate(compiler, arguments, model, output); });
}

int qopt::statsMain(int argc, char **argv) {
  CLI::App app("Joins archives of statistics that 'qopt calibrate --shard' made.", "qopt stats");
  app.footer("Example:\n  qopt stats merge one.safetensors two.safetensors -o stats.safetensors");
  std::string what, output;
  std::vector<std::string> inputs;
  app.add_option("WHAT", what, "merge")->required()->check(CLI::IsMember({"merge"}));
  app.add_option("FILES", inputs, "archives of statistics")->required();
  app.add_option("-o,--output", output, "the archive to write")->required();
  return runCommand(app, argc, argv, "qopt stats", "nothing was written", [&]() -> Status {
    FileUses files;
    for (const std::string &input : inputs)
      files.reads(input);
    files.writesFile(output, "the output");
    Status status = files.check();
    return status ? mergeStatistics(inputs, output) : std::move(status);
  });
}
