// The options for compiler engineers that every subcommand takes: MLIR's own debugging options, plugins, and passes to
// run before the subcommand's own.
#ifndef QOPT_TOOLS_QOPT_COMPILERARGUMENTS_H
#define QOPT_TOOLS_QOPT_COMPILERARGUMENTS_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace qopt {

/// What was said about the compiler itself. Made before a Session, whose context reads MLIR's options.
class CompilerArguments {
public:
  /// Takes its options out of argv, which shrinks: --mlir-*, --load-pass-plugin, --pass-pipeline and --pass-counts.
  /// Errors: an option that MLIR does not have; a plugin that cannot be loaded.
  Status take(int &argc, char **argv);

  /// Applies them to a pass manager of the subcommand's.
  mlir::LogicalResult configure(mlir::PassManager &manager) const;
  /// Runs --pass-pipeline, if there is one, on a module that was read. Usage error for a pipeline that does not parse;
  /// an Error without a rule where a pass failed and has said so.
  Status runExtraPasses(mlir::ModuleOp module) const;

  /// The files of the plugins that were loaded.
  const std::vector<std::string> &plugins() const { return pluginFiles; }

  /// For the help of a subcommand.
  static const char *help();

private:
  std::string pipeline;
  std::vector<std::string> pluginFiles;
  bool counts = false, mlirOptions = false;
};

/// The runCommand of lib/Runtime/App/CommandLine.h for a subcommand that takes the compiler's options as well.
int runCommand(CLI::App &app, CompilerArguments &compiler, int argc, char **argv, const std::string &program,
               const std::string &outcome, const std::function<Status()> &command);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_COMPILERARGUMENTS_H
