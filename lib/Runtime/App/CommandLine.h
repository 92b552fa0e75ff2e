// What the commands without MLIR share: arguments of a model, and the frame around a command that CLI11 needs.
#ifndef QOPT_LIB_RUNTIME_APP_COMMANDLINE_H
#define QOPT_LIB_RUNTIME_APP_COMMANDLINE_H

#include "lib/Runtime/Model.h"
#include "lib/Support/Error.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

namespace qopt {

/// How a model is opened and run.
struct ModelArguments {
  int threads = 0; ///< 0: as many as usableCpus()
  std::string verify = "full";
  std::string target;
};

/// --threads, --verify and --target.
void addModelOptions(CLI::App &app, ModelArguments &arguments);
ModelOptions modelOptions(const ModelArguments &arguments);
/// A number that is finite and not negative.
CLI::Validator notNegative();
/// A whole number from 0 to 2^64 - 1, which CLI11 itself would wrap or cut.
CLI::Validator anySeed();
/// The number of workers that will run.
int threadsOf(const ModelArguments &arguments);

/// Parses argv[1…] and runs `command`; its error is printed, and so is that of a standard output that did not take all.
/// Returns the exit code. No exception leaves it.
/// `outcome` is what became of the user's data where an error does not say it.
int runCommand(CLI::App &app, int argc, char **argv, const std::string &program, const std::string &outcome,
               const std::function<Status()> &command);

/// Ids separated by white space or commas. Usage error for what is no number, or not below `vocabulary`; `where` names
/// the option.
Result<std::vector<int32_t>> parseTokenIds(std::string_view text, int64_t vocabulary, const std::string &where);

/// The argument, or all of the standard input where it is "-". Resource error where that cannot be read.
Result<std::string> argumentOrStandardInput(const std::string &argument);

/// `count` per second; 0 if no time was taken.
inline double rate(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

/// Writes to stdout. Resource error where that fails.
Status writeStandardOutput(std::string_view text);

/// Writes a file that appears complete or not at all (OutputFile), or, for "-", to stdout.
Status writeOutput(const std::string &path, std::string_view bytes);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_COMMANDLINE_H
