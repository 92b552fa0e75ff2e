// qopt import: from a checkpoint to an IR file.
#include "lib/Import/Import.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/CommandLine.h"
#include "tools/qopt/FileUses.h"
#include "tools/qopt/Session.h"
#include "tools/qopt/Subcommands.h"

using namespace qopt;

static Status importCheckpoint(const CompilerArguments &compiler, const std::string &source, const std::string &output,
                               const std::string &cache) {
  Session session(compiler);
  ImportOptions options;
  options.outputDirectory = directoryOf(output);
  options.halfCache = cache == "f16";
  auto module = importModel(session.context(), source, options);
  if (!module)
    return module.takeError();
  FileUses files;
  files.reads(source);
  files.reads(**module, options.outputDirectory);
  files.writes(output, "the output");
  if (Status status = files.check(); !status)
    return status;
  if (Status status = compiler.runExtraPasses(**module); !status)
    return status;
  return writeModule(**module, output);
}

int qopt::importMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app("Reads a checkpoint's configuration and tensor list, and writes the IR of its model.\n"
               "The weights stay where they are: the IR names them by file and digest.",
               "qopt import");
  app.footer(std::string(compiler.help()) + "\nExample:\n  qopt import SmolLM2-135M-Instruct.Q4_1.gguf -o model.mlir");
  std::string source, output, cache = "f32";
  app.add_option("SOURCE", source, "a .gguf file, or a directory that Hugging Face transformers saved")->required();
  app.add_option("-o,--output", output, "the IR file; - is the standard output")->required();
  app.add_option("--cache", cache, "the type of cached keys and values")
      ->check(CLI::IsMember({"f32", "f16"}))
      ->capture_default_str();
  return runCommand(app, compiler, argc, argv, "qopt import", "nothing was written",
                    [&] { return importCheckpoint(compiler, source, output, cache); });
}
