// See DeclareArchive.h.
#include "lib/Parameters/DeclareArchive.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/Archive.h"
#include "lib/Parameters/ArchivePaths.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"

#include <filesystem>

using namespace mlir;
using namespace qopt;
using transformer::ArchiveOp;
namespace fs = std::filesystem;

/// Whether a pass has written this file, or nobody has anything in it.
static bool mayBeReplaced(const std::string &file) {
  std::error_code code;
  if (!fs::is_regular_file(file, code)) // what is no file is refused by who opens it
    return true;
  if (fs::file_size(file, code) == 0 && !code)
    return true;
  Result<std::shared_ptr<const Archive>> archive = Archive::open(file);
  return archive && llvm::any_of((*archive)->metadata(), [](const auto &entry) {
           return entry.first == archiveKindKey && (entry.second == "overlay" || entry.second == "scales");
         });
}

Status qopt::checkArchiveToWrite(ModuleOp module, const std::string &file, const std::string &directory) {
  if (file.empty())
    return usageError("expected overlay=FILE, the archive to write");
  std::string named = pathInIR(file, directory);
  for (ArchiveOp op : module.getOps<ArchiveOp>())
    if (pathInIR(resolvePath(op.getPath(), directory), directory) == named)
      return usageError("expected an overlay that is not an archive of the model itself", escapeForMessage(file, 1000))
          .withNext("name another file for the output");
  if (!mayBeReplaced(file))
    return usageError("expected an overlay that takes the place of an earlier one or of nothing, but the file that is "
                      "there was not written by a pass",
                      escapeForMessage(file, 1000))
        .withNext("name another file for the overlay, or move this one away");
  return {};
}

StringAttr qopt::declareArchive(ModuleOp module, const std::string &name, const std::string &pathInIR, uint64_t size,
                                const std::string &headerDigest) {
  OpBuilder builder(module.getContext());
  Operation *last = nullptr;
  for (ArchiveOp op : module.getOps<ArchiveOp>())
    last = op;
  if (last)
    builder.setInsertionPointAfter(last);
  else
    builder.setInsertionPointToStart(module.getBody());
  std::string symbol = name;
  for (int suffix = 2; SymbolTable::lookupSymbolIn(module, symbol); ++suffix)
    symbol = name + "_" + std::to_string(suffix);
  return ArchiveOp::create(builder, builder.getUnknownLoc(), symbol, pathInIR, size, headerDigest).getSymNameAttr();
}
