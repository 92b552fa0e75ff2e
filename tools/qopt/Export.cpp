// qopt export: from an IR file to a directory that other tools load.
#include "lib/Export/Export.h"
#include "lib/Parameters/ArchivePaths.h"
#include "tools/qopt/Progress.h"
#include "tools/qopt/Session.h"
#include "tools/qopt/Subcommands.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

using namespace qopt;

/// Runs the command that was parsed.
static int exportModel(const std::string &input, const std::string &output) {
  Session session;
  auto module = session.readModule(input);
  if (!module)
    return report(module.error());
  Progress progress("export", "M weights", 1e-6);
  Result<ExportReport> done = exportHuggingFace(**module, directoryOf(input), output,
                                                [&](int64_t count, int64_t total) { progress.update(count, total); });
  if (!done) {
    Error error = done.takeError();
    if (error.outcome.empty())
      error.outcome = "no file was left behind";
    return report(error);
  }
  for (const std::string &note : done->notes)
    std::fprintf(stderr, "note: %s\n", note.c_str());
  return 0;
}

int qopt::exportMain(int argc, char **argv) {
  CLI::App app("Writes a model as Hugging Face transformers loads it: config.json, model.safetensors with all weights\n"
               "in f32 (quantized ones as what their codes stand for), and the tokenizer's files.",
               "qopt export");
  app.footer("Example:\n  qopt export q.mlir --to hf -o q-hf");
  std::string input, output, format;
  app.add_option("MODEL", input, "an IR file; - is the standard input")->required();
  app.add_option("--to", format, "what to write: hf")->required()->check(CLI::IsMember({"hf"}));
  app.add_option("-o,--output", output, "the directory; made if it is not there")->required();
  try {
    app.parse(argc, argv);
    return exportModel(input, output);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorClass::Usage);
  } catch (const std::bad_alloc &) {
    return report(resourceError("out of memory"));
  } catch (const std::exception &error) {
    return report(Error{ErrorClass::Bug, error.what(), "qopt export", "no file was left behind", "report this"});
  }
}
