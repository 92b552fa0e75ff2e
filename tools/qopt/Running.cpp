// qopt run, eval, bench and tokenize: the commands of lib/Runtime/App, with a compiler behind them.
#include "lib/Runtime/App/Commands.h"
#include "lib/Runtime/App/RunCommand.h"
#include "tools/qopt/Steps.h"
#include "tools/qopt/Subcommands.h"

using namespace qopt;

/// Takes the compiler's options and hands the others to `command`.
template <typename Command> static int withCompiler(int argc, char **argv, Command command) {
  CompilerArguments compiler;
  if (Status status = compiler.take(argc, argv); !status)
    return reportError(status.error());
  return command(argc, argv, [&](const std::string &file, const std::string &target, const std::string &output) {
    return compileForRunning(compiler, file, target.empty() ? "native" : target, output);
  });
}

int qopt::runSubcommand(int argc, char **argv) {
  return withCompiler(argc, argv, [](int count, char **arguments, const CompileFile &compile) {
    return runMain(count, arguments, "qopt run", compile);
  });
}

int qopt::evalMain(int argc, char **argv) { return withCompiler(argc, argv, evalCommand); }
int qopt::benchMain(int argc, char **argv) { return withCompiler(argc, argv, benchCommand); }
int qopt::tokenizeMain(int argc, char **argv) { return tokenizeCommand(argc, argv); }
