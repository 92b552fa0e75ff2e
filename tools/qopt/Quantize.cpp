// qopt quantize: from an IR file to one whose linears have low-bit weights, and the archive that holds these.
#include "lib/Import/Import.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/DeclareArchive.h"
#include "tools/qopt/FileUses.h"
#include "tools/qopt/Options.h"
#include "tools/qopt/Subcommands.h"

#include <filesystem>

using namespace qopt;

/// "q.safetensors" for "q.mlir".
static std::string defaultOverlay(const std::string &output) {
  return std::filesystem::path(output).replace_extension(".safetensors").string();
}

static Status quantize(const CompilerArguments &compiler, const QuantizeArguments &arguments, const std::string &input,
                       const std::string &output, std::string overlay) {
  if (overlay.empty()) {
    if (output == "-")
      return usageError("expected --overlay, because the IR goes to the standard output")
          .withNext("say --overlay q.safetensors, or -o q.mlir");
    overlay = defaultOverlay(output);
  }
  if (Status status = checkArguments(arguments); !status)
    return status;
  Session session(compiler);
  auto module = readModule(session, input);
  if (!module)
    return module.takeError();
  // Names relative to the output's directory from here on.
  std::string directory = directoryOf(output);
  rebasePaths(**module, directoryOf(input), directory);
  FileUses files;
  files.reads(input);
  files.reads(**module, directory);
  files.reads(arguments);
  files.writes(output, "the output");
  files.writesFile(overlay, "the overlay");
  files.writesFile(arguments.report, "--report");
  files.writesFolder(arguments.resume, "--resume");
  if (Status status = files.check(); !status)
    return status;
  if (Status status = checkArchiveToWrite(**module, overlay, directory); !status)
    return status;
  Result<std::unique_ptr<ResumeFolder>> resume = openResumeFolder(session, **module, arguments, directory);
  if (!resume)
    return resume.takeError();
  // IR and overlay are of no use without each other, and a command that fails leaves no report either.
  OutputSet outputs;
  Result<RunReport> report = RunReport::begin(arguments.report, "quantize");
  if (!report)
    return report.takeError();
  if (Status status =
          quantizeModule(session, **module, arguments, directory, overlay, &outputs, resume->get(), *report);
      !status)
    return status;
  bool printed = output == "-";
  if (!printed)
    if (Status status = writeModule(**module, output, &outputs); !status)
      return status;
  if (Status status = report->write(&outputs); !status)
    return status;
  if (Status status = outputs.publish(); !status)
    return status;
  if (printed) // after the overlay is there: who reads the IR may open it at once
    if (Status status = writeModule(**module, output); !status)
      return status;
  if (Status status = outputs.keep(); !status)
    return status;
  return *resume ? (*resume)->remove() : Status();
}

int qopt::quantizeMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app("Rounds the weights of a model's linears and embeddings to few bits, as schemes or a recipe say.\n"
               "Writes the IR that uses them, and beside it the archive that holds them with the ledger.",
               "qopt quantize");
  app.footer(std::string(schemeHelp()) + compiler.help() +
             "\nExamples:\n  qopt quantize model.mlir --scheme w4a8:g64 -o q.mlir\n"
             "  qopt quantize model.mlir --recipe builtin:w4-g64 --text manual.txt -o q.mlir");
  QuantizeArguments arguments;
  std::string input, output, overlay;
  app.add_option("MODEL", input, "an IR file; - is the standard input")->required();
  app.add_option("-o,--output", output, "the IR file to write; - is the standard output")->required();
  addQuantizeOptions(app, arguments);
  app.add_option("--overlay", overlay, "the archive to write (default: the output's name, .safetensors)");
  return runCommand(app, compiler, argc, argv, "qopt quantize", "nothing was written",
                    [&] { return quantize(compiler, arguments, input, output, overlay); });
}
