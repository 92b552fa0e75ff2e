// What the subcommands share: a context with our dialects, diagnostics in five parts, IR in and out, exit codes.
#ifndef QOPT_TOOLS_QOPT_SESSION_H
#define QOPT_TOOLS_QOPT_SESSION_H

#include "lib/Support/Error.h"
#include "tools/qopt/CompilerArguments.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <memory>
#include <string>

namespace qopt {

/// One run of a subcommand. Diagnostics that MLIR emits while it lives go to stderr in five parts.
class Session {
public:
  explicit Session(const CompilerArguments &arguments);
  ~Session();

  const CompilerArguments &compiler() const { return arguments; }

  mlir::MLIRContext &context() { return *mlirContext; }

  /// Parses an IR file ("-": standard input). Errors: it cannot be read or parsed; what MLIR said has been printed.
  Result<mlir::OwningOpRef<mlir::ModuleOp>> readModule(const std::string &path);

  /// The class of the first error that was printed, or BadInput.
  ErrorClass failureClass() const;

private:
  struct Diagnostics;
  CompilerArguments arguments;
  std::unique_ptr<mlir::MLIRContext> mlirContext;
  std::unique_ptr<Diagnostics> diagnostics;
};

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_SESSION_H
