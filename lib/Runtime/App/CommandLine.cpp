#include "lib/Runtime/App/CommandLine.h"

#include "lib/Archive/OutputFile.h"
#include "lib/Runtime/App/ModelFile.h"
#include "lib/Runtime/UsableCpus.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>

namespace qopt {

static constexpr const char *kOutputFailed = "cannot write to the standard output";

void addModelOptions(CLI::App &app, ModelArguments &arguments) {
  app.add_option("-t,--threads", arguments.threads, "worker threads (default: as many as this process has CPUs)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--verify", arguments.verify, "whether the weights' checksums are compared: full or none")
      ->check(CLI::IsMember({"full", "none"}))
      ->capture_default_str();
  app.add_option("--target", arguments.target, "the target whose code to run (default: the best for this processor)");
}

ModelOptions modelOptions(const ModelArguments &arguments) {
  ModelOptions options;
  options.verify = arguments.verify == "none" ? Verify::None : Verify::Full;
  options.target = arguments.target;
  options.threads = arguments.threads;
  return options;
}

CLI::Validator notNegative() {
  return CLI::Validator(
      [](const std::string &text) -> std::string {
        double value = -1;
        auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (code == std::errc() && end == text.data() + text.size() && std::isfinite(value) && value >= 0)
          return "";
        return "expected a number that is not negative, but got \"" + escapeForMessage(text) + "\"";
      },
      "");
}

CLI::Validator anySeed() {
  return CLI::Validator(
      [](const std::string &text) -> std::string {
        uint64_t value;
        auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (code == std::errc() && end == text.data() + text.size())
          return "";
        return "expected a whole number from 0 to 2^64 - 1, but got \"" + escapeForMessage(text) + "\"";
      },
      "");
}

int threadsOf(const ModelArguments &arguments) { return arguments.threads == 0 ? usableCpus() : arguments.threads; }

/// Refuses an option whose value is nothing, which reads as if it had not been said. Texts may be empty.
static Status checkValues(const CLI::App &app) {
  for (const CLI::Option *option : app.get_options()) {
    bool isText = option->check_name("--prompt") || option->check_name("--system") || option->check_name("--decode");
    for (const std::string &value : option->results())
      if (value.empty() && option->get_expected_max() > 0 && !isText)
        return usageError("expected a value for " + option->get_name() + ", but got an empty one");
  }
  return {};
}

int runCommand(CLI::App &app, int argc, char **argv, const std::string &program, const std::string &outcome,
               const std::function<Status()> &command) {
  auto report = [&](Error error) {
    if (error.outcome.empty())
      error.outcome = outcome;
    if (error.where.empty())
      error.where = program;
    if (error.errorClass == ErrorClass::Usage)
      error = std::move(error).withNext("see " + program + " --help");
    if (error.errorClass == ErrorClass::Bug)
      error = std::move(error).withNext("report this, with the command and the message");
    return reportError(error);
  };
  try {
    app.parse(argc, argv);
    Status status = checkValues(app);
    if (status)
      status = command();
    if (status)
      status = writeStandardOutput({});
    return status ? 0 : report(status.takeError());
  } catch (const CLI::Success &help) {
    int code = app.exit(help);
    std::cout.flush();
    return std::cout ? code : report(resourceError(kOutputFailed));
  } catch (const CLI::ParseError &error) {
    return report(usageError(escapeForMessage(error.what(), 1000), program));
  } catch (const std::bad_alloc &) {
    return report(resourceError("out of memory", program).withNext("free memory, or raise this process's limit"));
  } catch (const std::exception &error) {
    return report(Error{ErrorClass::Bug, escapeForMessage(error.what(), 1000), program, {}, {}});
  }
}

Result<std::vector<int32_t>> parseTokenIds(std::string_view text, int64_t vocabulary, const std::string &where) {
  std::vector<int32_t> ids;
  size_t at = 0;
  while ((at = text.find_first_not_of(" \t\r\n,", at)) != std::string_view::npos) {
    size_t end = std::min(text.find_first_of(" \t\r\n,", at), text.size());
    std::string_view word = text.substr(at, end - at);
    int32_t id = -1;
    auto [last, code] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (code != std::errc() || last != word.data() + word.size() || id < 0 || id >= vocabulary)
      return usageError("expected token ids below " + std::to_string(vocabulary) + ", but got \"" +
                            escapeForMessage(word) + "\"",
                        where);
    ids.push_back(id);
    at = end;
  }
  if (ids.empty())
    return usageError("expected at least one token id", where);
  return ids;
}

Result<std::string> argumentOrStandardInput(const std::string &argument) {
  if (argument != "-")
    return argument;
  std::string text;
  char buffer[65536];
  while (size_t read = std::fread(buffer, 1, sizeof buffer, stdin))
    text.append(buffer, read);
  if (std::ferror(stdin))
    return resourceError("cannot read the standard input");
  return text;
}

Status writeStandardOutput(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0 ||
      std::ferror(stdout) != 0)
    return resourceError(kOutputFailed);
  return {};
}

Status writeOutput(const std::string &path, std::string_view bytes) {
  if (path == "-")
    return writeStandardOutput(bytes);
  Result<OutputFile> file = OutputFile::create(path, bytes.size());
  if (!file)
    return file.takeError();
  if (Status status = file->append(bytes); !status)
    return status;
  return file->commit();
}

} // namespace qopt
