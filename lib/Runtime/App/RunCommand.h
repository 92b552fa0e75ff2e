// `qopt run` and `qopt-run`: the same options, the same code. They differ in what FILE may be.
#ifndef QOPT_LIB_RUNTIME_APP_RUNCOMMAND_H
#define QOPT_LIB_RUNTIME_APP_RUNCOMMAND_H

#include "lib/Runtime/App/ModelFile.h"

namespace qopt {

/// Parses the arguments (argv[0] is ignored), answers the prompt, returns the exit code. `program` is shown in the
/// help: "qopt run". The answer goes to stdout as it is made, or all of it as JSON at the end (docs/schemas/run.json).
int runMain(int argc, char **argv, const std::string &program, const CompileFile &compile);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_RUNCOMMAND_H
