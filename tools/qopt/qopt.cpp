// The qopt tool: a first argument that names a subcommand goes to that subcommand, all else to the mlir-opt driver.
// A file with the name of a subcommand is reached as ./NAME.
#include "lib/Archive/OutputFile.h"
#include "tools/qopt/Subcommands.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"

namespace {
struct Subcommand {
  llvm::StringRef name, summary;
  int (*main)(int argc, char **argv);
};
} // namespace

static constexpr Subcommand subcommands[] = {
    {"import", "from a checkpoint to IR", qopt::importMain},
    {"quantize", "weights of few bits, as schemes or a recipe say", qopt::quantizeMain},
    {"plan", "what that would give and take, before anything runs", qopt::planMain},
    {"recipes", "the recipes that come with the compiler", qopt::recipesMain},
    {"search", "the best mix of bits, as a recipe", qopt::searchMain},
    {"calibrate", "statistics of what linears read", qopt::calibrateMain},
    {"stats", "joins shards of statistics", qopt::statsMain},
    {"compile", "from IR to an artifact", qopt::compileMain},
    {"build", "from a checkpoint to an artifact", qopt::buildMain},
    {"run", "answers a prompt", qopt::runSubcommand},
    {"eval", "perplexity, divergence and agreement on text", qopt::evalMain},
    {"bench", "tokens per second", qopt::benchMain},
    {"inspect", "what is in a file", qopt::inspectMain},
    {"tokenize", "from text to tokens and back", qopt::tokenizeMain},
    {"export", "from IR to a Hugging Face directory", qopt::exportMain},
};

/// For the driver's help.
static std::string overview() {
  std::string text = "qopt: a quantizing compiler for transformers\n\n"
                     "Subcommands (qopt NAME --help); all else is mlir-opt with qopt's dialects and passes:\n";
  for (const Subcommand &subcommand : subcommands)
    text += ("  " + llvm::Twine(subcommand.name) + std::string(11 - subcommand.name.size(), ' ') + subcommand.summary +
             "\n")
                .str();
  return text;
}

int main(int argc, char **argv) {
  qopt::installInterruptCleanup();
  if (argc > 1)
    for (const Subcommand &subcommand : subcommands)
      if (subcommand.name == argv[1])
        return subcommand.main(argc - 1, argv + 1);
  return qopt::optMain(argc, argv, overview());
}
