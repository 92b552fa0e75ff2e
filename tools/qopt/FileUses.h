// What a command reads and what it writes, so that no output takes the place of an input or of another output.
#ifndef QOPT_TOOLS_QOPT_FILEUSES_H
#define QOPT_TOOLS_QOPT_FILEUSES_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <utility>
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

  /// `what` is for the message: "--report", "the output". "-" and nothing are no file.
  void writes(const std::string &path, const std::string &what);

  /// Error (usage): an output that is read, or is another output too.
  Status check() const;

private:
  std::vector<std::string> inputs;
  std::vector<std::pair<std::string, std::string>> outputs; ///< path and what
};

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_FILEUSES_H
