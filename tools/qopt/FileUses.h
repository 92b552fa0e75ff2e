// What a command reads and what it writes, so that no output takes the place of an input or of another output.
#ifndef QOPT_TOOLS_QOPT_FILEUSES_H
#define QOPT_TOOLS_QOPT_FILEUSES_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace qopt {

struct CalibrateArguments;
struct QuantizeArguments;

class FileUses {
public:
  /// A file; the files of a checkpoint directly within a folder. "-" and nothing are neither.
  void reads(const std::string &path);
  /// The archives and the tokenizer of a module, which are named relative to `directory`.
  void reads(mlir::ModuleOp module, const std::string &directory);
  /// Texts.
  void reads(const CalibrateArguments &arguments);
  /// Recipe, statistics and texts, those of the recipe's gates among them.
  void reads(const QuantizeArguments &arguments);

  /// `what` is for the message: "--report", "the output". Nothing is no file; "-" is the standard output.
  void writes(const std::string &path, const std::string &what);
  /// The same for what is not written in order, or not as text: "-" is refused.
  void writesFile(const std::string &path, const std::string &what);
  /// A folder that is made, or found again.
  void writesFolder(const std::string &path, const std::string &what);

  /// What would go wrong with the outputs after all of the work. Errors (usage): an output that is read, or is another
  /// output too; "-" for a file; no place for it. Resource: a place that cannot be written.
  Status check() const;

private:
  enum class Form { File, FileOrStream, Folder };
  struct Output {
    std::string path, what;
    Form form;
  };
  Status check(const Output &output) const;

  std::vector<std::string> inputs;
  std::vector<Output> outputs;
};

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_FILEUSES_H
