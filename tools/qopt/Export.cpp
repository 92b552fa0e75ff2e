// qopt export: from an IR file to a directory that other tools load.
#include "lib/Export/Export.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/Progress.h"
#include "tools/qopt/Steps.h"
#include "tools/qopt/Subcommands.h"

#include <cstdio>
#include <filesystem>

using namespace qopt;

/// Runs the command that was parsed.
static Status exportModel(const CompilerArguments &compiler, const std::string &input, const std::string &output) {
  Session session(compiler);
  auto module = readModule(session, input);
  if (!module)
    return module.takeError();
  // The names of its files are the export's own: the IR is none of them where it lies elsewhere.
  std::error_code code;
  if (input != "-" && std::filesystem::equivalent(directoryOf(input), output, code) && !code)
    return usageError("expected a directory that the model does not lie in, because files of it may get the IR's name",
                      escapeForMessage(output, 1000))
        .withNext("name another directory");
  Progress progress("export", "M weights", 1e-6);
  Result<ExportReport> done = exportHuggingFace(**module, directoryOf(input), output,
                                                [&](int64_t count, int64_t total) { progress.update(count, total); });
  if (!done)
    return done.takeError();
  for (const std::string &note : done->notes)
    std::fprintf(stderr, "note: %s\n", note.c_str());
  return {};
}

int qopt::exportMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app("Writes a model as Hugging Face transformers loads it: config.json, model.safetensors with all weights\n"
               "in f32 (quantized ones as what their codes stand for), and the tokenizer's files.",
               "qopt export");
  app.footer(std::string(compiler.help()) + "\nExample:\n  qopt export q.mlir --to hf -o q-hf");
  std::string input, output, format;
  app.add_option("MODEL", input, "an IR file; - is the standard input")->required();
  app.add_option("--to", format, "what to write: hf")->required()->check(CLI::IsMember({"hf"}));
  app.add_option("-o,--output", output, "the directory; made if it is not there")->required();
  return runCommand(app, compiler, argc, argv, "qopt export", "no file was left behind",
                    [&] { return exportModel(compiler, input, output); });
}
