// What the subcommands share: a context with our dialects, diagnostics in five parts, IR in and out, exit codes.
#ifndef QOPT_TOOLS_QOPT_SESSION_H
#define QOPT_TOOLS_QOPT_SESSION_H

#include "lib/Support/Error.h"

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
  Session();
  ~Session();

  mlir::MLIRContext &context() { return *mlirContext; }

  /// Parses an IR file ("-": standard input). Errors: it cannot be read or parsed; what MLIR said has been printed.
  Result<mlir::OwningOpRef<mlir::ModuleOp>> readModule(const std::string &path);

  /// The class of the first error that was printed, or BadInput.
  ErrorClass failureClass() const;

private:
  struct Diagnostics;
  std::unique_ptr<mlir::MLIRContext> mlirContext;
  std::unique_ptr<Diagnostics> diagnostics;
};

/// Prints the error to stderr and returns its exit code.
int report(const Error &error);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_SESSION_H
