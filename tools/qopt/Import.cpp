// qopt import: from a checkpoint to an IR file.
#include "lib/Import/Import.h"
#include "lib/Parameters/ArchivePaths.h"
#include "tools/qopt/Session.h"
#include "tools/qopt/Subcommands.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

using namespace qopt;

/// Runs the command that was parsed.
static int importCheckpoint(const std::string &source, const std::string &output, const std::string &cache) {
  Session session;
  ImportOptions options;
  options.outputDirectory = directoryOf(output);
  options.halfCache = cache == "f16";
  auto module = importModel(session.context(), source, options);
  if (!module)
    return report(module.error());
  if (Status status = writeModule(**module, output); !status)
    return report(status.error());
  return 0;
}

int qopt::importMain(int argc, char **argv) {
  CLI::App app("Reads a checkpoint's configuration and tensor list, and writes the IR of its model.\n"
               "The weights stay where they are: the IR names them by file and digest.",
               "qopt import");
  app.footer("Example:\n  qopt import SmolLM2-135M-Instruct.Q4_1.gguf -o model.mlir");
  std::string source, output, cache = "f32";
  app.add_option("SOURCE", source, "a .gguf file, or a directory that Hugging Face transformers saved")->required();
  app.add_option("-o,--output", output, "the IR file; - is the standard output")->required();
  app.add_option("--cache", cache, "the type of cached keys and values")
      ->check(CLI::IsMember({"f32", "f16"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    return importCheckpoint(source, output, cache);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorClass::Usage);
  } catch (const std::bad_alloc &) {
    return report(resourceError("out of memory"));
  } catch (const std::exception &error) {
    return report(Error{ErrorClass::Bug, error.what(), "qopt import", "nothing was written", "report this"});
  }
}
