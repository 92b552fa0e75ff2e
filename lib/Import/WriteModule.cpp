// Writes IR files.
#include "lib/Import/Import.h"

#include "mlir/IR/AsmState.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

Status qopt::writeModule(ModuleOp module, const std::string &path) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  if (error)
    return resourceError("cannot write the file: " + error.message(), path);
  module->print(stream, OpPrintingFlags().enableDebugInfo(true, false).useLocalScope());
  stream << "\n";
  return {};
}
