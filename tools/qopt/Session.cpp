#include "tools/qopt/Session.h"

#include "lib/Archive/MappedFile.h"
#include "lib/Parameters/Diagnostics.h"
#include "lib/Runtime/App/FileKind.h"
#include "passes/Pipelines/Registration.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/SourceMgr.h"

#include <cstdio>
#include <optional>

using namespace mlir;
using namespace qopt;

struct Session::Diagnostics : ScopedDiagnosticHandler {
  explicit Diagnostics(MLIRContext *context) : ScopedDiagnosticHandler(context) {
    setHandler([this](Diagnostic &diagnostic) {
      Error error = toError(diagnostic);
      if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
        if (!first)
          first = error.errorClass;
        if (reading && !held)
          held = std::move(error);
        else
          std::fputs(error.format().c_str(), stderr);
      } else {
        std::fprintf(stderr, "%s: %s\n", diagnostic.getSeverity() == DiagnosticSeverity::Warning ? "warning" : "note",
                     error.rule.c_str());
      }
      return success();
    });
  }
  std::optional<ErrorClass> first;
  bool reading = false;      ///< while a file is parsed, whose failure is one message
  std::optional<Error> held; ///< its first error
};

Session::Session(const CompilerArguments &arguments) : arguments(arguments) {
  DialectRegistry registry;
  registerDialects(registry);
  mlirContext = std::make_unique<MLIRContext>(registry);
  diagnostics = std::make_unique<Diagnostics>(mlirContext.get());
}

Session::~Session() = default;

ErrorClass Session::failureClass() const { return diagnostics->first.value_or(ErrorClass::BadInput); }

/// Refuses what cannot be IR, by its name.
static Status checkMayBeIr(const std::string &path) {
  Result<FileKind> kind = classifyFile(path);
  if (!kind)
    return kind.takeError().withNext("name an IR file, as 'qopt import' writes it");
  if (*kind == FileKind::Ir)
    return {};
  bool isSource = *kind == FileKind::Gguf || *kind == FileKind::Directory;
  return badInput("expected an IR file, but got " + std::string(describe(*kind)), escapeForMessage(path, 1000))
      .withNext(isSource                      ? "make IR of it: qopt import SOURCE -o model.mlir"
                : *kind == FileKind::Artifact ? "name the IR file that it was compiled from"
                                              : "name an IR file, as 'qopt import' writes it");
}

Result<OwningOpRef<ModuleOp>> Session::readModule(const std::string &path) {
  if (Status status = checkMayBeIr(path); !status)
    return status.takeError();
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (!buffer)
    return unreadableFile(path, buffer.getError().value());
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  diagnostics->reading = true;
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, ParserConfig(mlirContext.get()));
  diagnostics->reading = false;
  if (module)
    return module;
  Error error{failureClass(), "the file is not IR that can be read", {}, {}, {}};
  if (std::optional<Error> cause = std::exchange(diagnostics->held, std::nullopt)) {
    error.rule += ": " + cause->rule;
    error.where = cause->where;
  }
  if (error.where.empty())
    error.where = escapeForMessage(path, 1000);
  return std::move(error).withNext("'qopt import' makes IR from a checkpoint");
}
