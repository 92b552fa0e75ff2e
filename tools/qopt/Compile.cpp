// qopt compile: from an IR file to an artifact, or to any stage on the way.
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/CommandLine.h"
#include "passes/Quantize/Passes.h"
#include "tools/qopt/FileUses.h"
#include "tools/qopt/Steps.h"
#include "tools/qopt/Subcommands.h"

#include <map>

using namespace qopt;

static Status setCacheFormat(const CompilerArguments &compiler, mlir::ModuleOp module, const std::string &format) {
  SetCacheFormatOptions options;
  options.format = format == "f16" ? CacheFormat::F16 : CacheFormat::F32;
  mlir::PassManager manager(module.getContext());
  if (mlir::failed(compiler.configure(manager)))
    return usageError("the pass manager's options do not fit together");
  manager.addPass(createSetCacheFormat(options));
  if (mlir::failed(manager.run(module)))
    return badInput("the cache's format could not be set; the diagnostics above say why");
  return {};
}

static Status compileFile(const CompilerArguments &compiler, const std::string &input, const std::string &output,
                          const std::string &targets, const std::string &cache, Emit emit) {
  Session session(compiler);
  CompileOptions options;
  Result<std::vector<Target>> chosen = findTargets(targets);
  if (!chosen)
    return chosen.takeError();
  if (emit != Emit::Artifact && chosen->size() > 1)
    return usageError("expected one target with --emit, which shows the stages of one, but got " +
                      std::to_string(chosen->size()))
        .withNext("say for example --target " + chosen->front().name);
  auto module = readModule(session, input);
  if (!module)
    return module.takeError();
  FileUses files;
  files.reads(input);
  files.reads(**module, directoryOf(input));
  if (emit == Emit::Artifact)
    files.writesFile(output, "the output");
  else
    files.writes(output, "the output");
  if (Status status = files.check(); !status)
    return status;
  if (!cache.empty())
    if (Status status = setCacheFormat(compiler, **module, cache); !status)
      return status;
  if (emit == Emit::Artifact)
    return compileArtifact(session, **module, directoryOf(input), targets, output);
  options.targets = std::move(*chosen);
  options.configure = [&](mlir::PassManager &manager) { return compiler.configure(manager); };
  Result<std::string> stage = compileToStage(**module, options, emit);
  return stage ? writeOutput(output, *stage) : Status(stage.takeError());
}

int qopt::compileMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app("Compiles a model to native code and writes one file that the runtime loads.", "qopt compile");
  app.footer(std::string(compiler.help()) + "\nExample:\n  qopt compile q.mlir --target native,generic -o model.qopt");
  std::string input, output, targets = "native", cache;
  std::string emit = "artifact";
  static const std::map<std::string, Emit> stages{{"mlir", Emit::Mlir},     {"llvm", Emit::Llvm},
                                                  {"asm", Emit::Assembly},  {"obj", Emit::Object},
                                                  {"shared", Emit::Shared}, {"artifact", Emit::Artifact}};
  app.add_option("FILE", input, "an IR file; - is the standard input")->required();
  app.add_option("-o,--output", output, "what to write")->required();
  app.add_option("--target", targets, "machines to generate code for, separated by commas")->capture_default_str();
  app.add_option("--cache", cache, "the type of cached keys and values (default: what the IR says)")
      ->check(CLI::IsMember({"f32", "f16"}));
  app.add_option("--emit", emit, "the stage to write: mlir, llvm, asm, obj, shared or artifact")
      ->check(CLI::IsMember({"mlir", "llvm", "asm", "obj", "shared", "artifact"}))
      ->capture_default_str();
  return runCommand(app, compiler, argc, argv, "qopt compile", "nothing was written",
                    [&] { return compileFile(compiler, input, output, targets, cache, stages.at(emit)); });
}
