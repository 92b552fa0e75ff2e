#include "tools/qopt/Steps.h"

#include "lib/Compile/Sources.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/FileKind.h"
#include "lib/Runtime/App/Progress.h"
#include "passes/Fold/Passes.h"

#include "mlir/Pass/PassManager.h"

using namespace qopt;

Status qopt::rotateModule(Session &session, mlir::ModuleOp module, const RotateSettings &settings) {
  mlir::PassManager passes(&session.context());
  if (mlir::failed(session.compiler().configure(passes)))
    return usageError("the pass manager's options do not fit together");
  RotateOptions options;
  options.kind = settings.kind;
  options.seed = settings.seed;
  options.valueHeads = settings.valueHeads;
  passes.addPass(createRotate(options));
  if (mlir::failed(passes.run(module)))
    return Error{session.failureClass(), {}, {}, {}, {}};
  return {};
}

Status qopt::compileArtifact(Session &session, mlir::ModuleOp module, const std::string &directory,
                             const std::string &targets, const std::string &output) {
  CompileOptions options;
  Result<std::vector<Target>> chosen = findTargets(targets);
  if (!chosen)
    return chosen.takeError();
  options.targets = std::move(*chosen);
  options.configure = [&](mlir::PassManager &manager) { return session.compiler().configure(manager); };
  std::optional<Progress> progress; // from when weights are packed, after code is generated
  options.progress = [&](int64_t done, int64_t total) {
    if (!progress)
      progress.emplace("compile: weights", "MB", 1e-6);
    progress->update(done, total);
  };
  if (Status status = describeSources(module, directory, options); !status)
    return status;
  return compileModel(module, directory, options, output);
}

Result<mlir::OwningOpRef<mlir::ModuleOp>> qopt::readModule(Session &session, const std::string &path) {
  auto module = session.readModule(path);
  if (module)
    if (Status status = session.compiler().runExtraPasses(**module); !status)
      return status.takeError();
  return module;
}

Status qopt::compileForRunning(const CompilerArguments &compiler, const std::string &file, const std::string &target,
                               const std::string &output) {
  Result<FileKind> kind = classifyFile(file);
  if (!kind)
    return kind.takeError();
  if (*kind != FileKind::Ir) {
    Error error = badInput("expected an artifact or an IR file, but got " + std::string(describe(*kind)),
                           escapeForMessage(file, 1000));
    bool source = *kind == FileKind::Gguf || *kind == FileKind::Directory;
    return std::move(error).withNext(
        source                       ? "make an artifact of it: qopt build SOURCE --scheme w4a8:g64 -o model.qopt"
        : *kind == FileKind::Unknown ? "copy or make the file again, if it was one of these"
                                     : "name the IR file or the artifact that belongs to it");
  }
  Session session(compiler);
  auto module = readModule(session, file);
  if (!module)
    return module.takeError();
  return compileArtifact(session, **module, directoryOf(file), target, output);
}
