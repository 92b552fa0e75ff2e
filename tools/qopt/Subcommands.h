// The subcommands of the qopt tool. Each takes argv with its own name as argv[0] and returns the exit code
// (lib/Support/Error.h).
#ifndef QOPT_TOOLS_QOPT_SUBCOMMANDS_H
#define QOPT_TOOLS_QOPT_SUBCOMMANDS_H

#include <string>

namespace qopt {

int benchMain(int argc, char **argv);
int buildMain(int argc, char **argv);
int calibrateMain(int argc, char **argv);
int compileMain(int argc, char **argv);
int evalMain(int argc, char **argv);
int exportMain(int argc, char **argv);
int importMain(int argc, char **argv);
int inspectMain(int argc, char **argv);
int planMain(int argc, char **argv);
int quantizeMain(int argc, char **argv);
int recipesMain(int argc, char **argv);
int runSubcommand(int argc, char **argv);
int searchMain(int argc, char **argv);
int statsMain(int argc, char **argv);
int tokenizeMain(int argc, char **argv);

/// Everything else: the mlir-opt driver over our dialects and passes. `overview`: the beginning of its help.
int optMain(int argc, char **argv, const std::string &overview);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_SUBCOMMANDS_H
