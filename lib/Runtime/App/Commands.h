// Commands over a model that runs, without MLIR: `qopt eval`, `qopt bench` and `qopt tokenize`. argv[0] is ignored;
// each returns the exit code. `compile` makes an artifact of what is none (lib/Runtime/App/ModelFile.h).
#ifndef QOPT_LIB_RUNTIME_APP_COMMANDS_H
#define QOPT_LIB_RUNTIME_APP_COMMANDS_H

#include "lib/Runtime/App/ModelFile.h"

namespace qopt {

int evalCommand(int argc, char **argv, const CompileFile &compile);
int benchCommand(int argc, char **argv, const CompileFile &compile);
int tokenizeCommand(int argc, char **argv);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_COMMANDS_H
