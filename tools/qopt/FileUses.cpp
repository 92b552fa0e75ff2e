// See FileUses.h.
#include "tools/qopt/FileUses.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/OutputFile.h"
#include "lib/Calibration/Samples.h"
#include "lib/Parameters/ArchivePaths.h"
#include "tools/qopt/GateTexts.h"

#include <filesystem>

using namespace qopt;
namespace fs = std::filesystem;

/// Whether both are one file, or would be once they are written.
static bool isSame(const std::string &left, const std::string &right) {
  std::error_code code;
  if (fs::equivalent(left, right, code) && !code)
    return true;
  fs::path a = fs::weakly_canonical(left, code), b = fs::weakly_canonical(right, code);
  return !code && a == b;
}

void FileUses::reads(const std::string &path) {
  std::error_code code;
  if (path.empty() || path == "-")
    return;
  if (!fs::is_directory(path, code)) {
    inputs.push_back(path);
    return;
  }
  for (const fs::directory_entry &entry : fs::directory_iterator(path, code))
    if (entry.is_regular_file(code))
      inputs.push_back(entry.path().string());
}

void FileUses::reads(mlir::ModuleOp module, const std::string &directory) {
  for (auto archive : module.getOps<transformer::ArchiveOp>())
    reads(resolvePath(archive.getPath(), directory));
  for (auto tokenizer : module.getOps<transformer::TokenizerOp>())
    reads(resolvePath(tokenizer.getPath(), directory));
}

void FileUses::reads(const CalibrateArguments &arguments) {
  for (const std::vector<std::string> *texts : {&arguments.texts, &arguments.lines})
    for (const std::string &text : *texts)
      if (Result<TextSource> source = TextSource::parse(text, ""))
        reads(source->path);
}

void FileUses::reads(const QuantizeArguments &arguments) {
  reads(arguments.recipe);
  reads(arguments.statistics);
  reads(arguments.farText);
  reads(arguments.calibration);
  if (Result<Recipe> recipe = recipeOf(arguments)) // one that cannot be read is refused by who needs it
    for (const Gate &gate : recipe->gates)
      if (!gate.text.empty())
        reads(gateTextPath(gate, arguments.recipe));
}

void FileUses::writes(const std::string &path, const std::string &what) {
  if (!path.empty())
    outputs.push_back({path, what, Form::FileOrStream});
}

void FileUses::writesFile(const std::string &path, const std::string &what) {
  if (!path.empty())
    outputs.push_back({path, what, Form::File});
}

void FileUses::writesFolder(const std::string &path, const std::string &what) {
  if (!path.empty())
    outputs.push_back({path, what, Form::Folder});
}

Status FileUses::check(const Output &output) const {
  const auto &[path, what, form] = output;
  if (path == "-" && form == Form::File)
    return usageError("expected " + what + " to be a file, but got -, the standard output")
        .withNext("name a file; ./- is one that is called so");
  std::error_code code;
  if (fs::exists(path, code) && !fs::is_regular_file(path, code) && !fs::is_directory(path, code))
    return {}; // a pipe or a device keeps nothing
  for (const std::string &input : inputs)
    if (isSame(path, input))
      return usageError("expected " + what + " to be a file that this command does not read, but it reads it",
                        escapeForMessage(path, 1000))
          .withNext("name another file");
  for (const Output *other = outputs.data(); other != &output; ++other)
    if (isSame(path, other->path))
      return usageError("expected " + what + " and " + other->what + " to be two files, but got one",
                        escapeForMessage(path, 1000))
          .withNext("name another file");
  if (form == Form::Folder || path == "-")
    return {};
  Result<OutputFile> trial = OutputFile::create(path);
  return trial ? Status() : trial.takeError();
}

Status FileUses::check() const {
  for (const Output &output : outputs)
    if (Status status = check(output); !status)
      return status;
  return {};
}
