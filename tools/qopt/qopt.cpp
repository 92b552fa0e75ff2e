// The qopt tool: a first argument that names a subcommand goes to that subcommand, all else to the mlir-opt driver.
// A file with the name of a subcommand is reached as ./NAME.
#include "lib/Archive/OutputFile.h"
#include "tools/qopt/Subcommands.h"

#include "llvm/ADT/StringRef.h"

namespace {
struct Subcommand {
  llvm::StringRef name;
  int (*main)(int argc, char **argv);
};
} // namespace

static constexpr Subcommand subcommands[] = {
    {"bench", qopt::benchMain},       {"build", qopt::buildMain},     {"calibrate", qopt::calibrateMain},
    {"compile", qopt::compileMain},   {"eval", qopt::evalMain},       {"export", qopt::exportMain},
    {"import", qopt::importMain},     {"inspect", qopt::inspectMain}, {"plan", qopt::planMain},
    {"quantize", qopt::quantizeMain}, {"recipes", qopt::recipesMain}, {"run", qopt::runSubcommand},
    {"search", qopt::searchMain},     {"stats", qopt::statsMain},     {"tokenize", qopt::tokenizeMain},
};

int main(int argc, char **argv) {
  qopt::installInterruptCleanup();
  if (argc > 1)
    for (const Subcommand &subcommand : subcommands)
      if (subcommand.name == argv[1])
        return subcommand.main(argc - 1, argv + 1);
  return qopt::optMain(argc, argv);
}
