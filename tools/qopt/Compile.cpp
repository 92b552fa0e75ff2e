// qopt compile: from an IR file to an artifact, or to any stage on the way.
#include "lib/Compile/Compile.h"
#include "lib/Compile/Sources.h"
#include "lib/Parameters/ArchivePaths.h"
#include "tools/qopt/Session.h"
#include "tools/qopt/Subcommands.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <map>

using namespace qopt;

/// Writes a stage's text or bytes; "-" is the standard output.
static Status writeStage(const std::string &path, const std::string &bytes) {
  std::FILE *file = path == "-" ? stdout : std::fopen(path.c_str(), "wb");
  if (!file)
    return resourceError("cannot open the output for writing", path);
  bool good = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  good &= (path == "-" ? std::fflush(file) : std::fclose(file)) == 0;
  if (!good)
    return resourceError("cannot write the output", path);
  return {};
}

static int compileFile(const std::string &input, const std::string &output, const std::string &targets, Emit emit) {
  Session session;
  CompileOptions options;
  Result<std::vector<Target>> chosen = findTargets(targets);
  if (!chosen)
    return report(chosen.error());
  options.targets = std::move(*chosen);
  auto module = session.readModule(input);
  if (!module)
    return report(module.error());
  if (emit != Emit::Artifact) {
    Result<std::string> stage = compileToStage(**module, options, emit);
    if (!stage)
      return report(stage.error());
    Status status = writeStage(output, *stage);
    return status ? 0 : report(status.error());
  }
  Status status = describeSources(**module, directoryOf(input), options);
  if (status)
    status = compileModel(**module, directoryOf(input), options, output);
  return status ? 0 : report(status.error());
}

int qopt::compileMain(int argc, char **argv) {
  CLI::App app("Compiles a model to native code and writes one file that the runtime loads.", "qopt compile");
  app.footer("Example:\n  qopt compile q.mlir --target native,generic -o model.qopt");
  std::string input, output, targets = "native";
  Emit emit = Emit::Artifact;
  static const std::map<std::string, Emit> stages{{"mlir", Emit::Mlir},     {"llvm", Emit::Llvm},
                                                  {"asm", Emit::Assembly},  {"obj", Emit::Object},
                                                  {"shared", Emit::Shared}, {"artifact", Emit::Artifact}};
  app.add_option("FILE", input, "an IR file; - is the standard input")->required();
  app.add_option("-o,--output", output, "what to write")->required();
  app.add_option("--target", targets, "machines to generate code for, separated by commas")->capture_default_str();
  app.add_option("--emit", emit, "the stage to write: mlir, llvm, asm, obj, shared or artifact")
      ->transform(CLI::CheckedTransformer(stages));
  try {
    app.parse(argc, argv);
    return compileFile(input, output, targets, emit);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorClass::Usage);
  } catch (const std::bad_alloc &) {
    return report(resourceError("out of memory"));
  } catch (const std::exception &error) {
    return report(Error{ErrorClass::Bug, error.what(), "qopt compile", "nothing was written", "report this"});
  }
}
