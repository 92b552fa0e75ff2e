// See DeclareArchive.h.
#include "lib/Parameters/DeclareArchive.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Parameters/ArchivePaths.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace qopt;
using transformer::ArchiveOp;

Status qopt::checkNotAnArchive(ModuleOp module, const std::string &file, const std::string &pathInIR,
                               const std::string &directory) {
  for (ArchiveOp op : module.getOps<ArchiveOp>())
    if (qopt::pathInIR(resolvePath(op.getPath(), directory), directory) == pathInIR)
      return usageError("expected an overlay that is not an archive of the model itself", file)
          .withNext("name another file for the output");
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
