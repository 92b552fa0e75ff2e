#include "lib/Import/Sources.h"
using namespace mlir;
using namespace qopt;
Result<OwningOpRef<ModuleOp>> qopt::importHuggingFaceLlama(MLIRContext &context, const std::string &path,
                                                           const ImportOptions &options) {
  return badInput("not yet", path);
}
