#include "tools/qopt/Session.h"

#include "lib/Parameters/Diagnostics.h"
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

Result<OwningOpRef<ModuleOp>> Session::readModule(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (!buffer) {
    // As lib/Archive sees it: a wrong name is the user's input, anything else the machine's answer.
    bool missing = buffer.getError() == std::errc::no_such_file_or_directory;
    return Error{missing ? ErrorClass::BadInput : ErrorClass::Resource,
                 "cannot read the file: " + buffer.getError().message(), escapeForMessage(path, 1000),
                 "nothing was written", "name an IR file, as 'qopt import' writes it"};
  }
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
