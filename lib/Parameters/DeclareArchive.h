// Archives that a pass has written and the IR is to name.
#ifndef QOPT_LIB_PARAMETERS_DECLAREARCHIVE_H
#define QOPT_LIB_PARAMETERS_DECLAREARCHIVE_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace qopt {

/// Refuses (usage) a file to write that is an archive of the module itself. `pathInIR`: as the IR will name it.
Status checkNotAnArchive(mlir::ModuleOp module, const std::string &file, const std::string &pathInIR,
                         const std::string &directory);

/// Declares an archive after the others, as @name, or @name_2 and so on where that is taken. Returns its symbol.
mlir::StringAttr declareArchive(mlir::ModuleOp module, const std::string &name, const std::string &pathInIR,
                                uint64_t size, const std::string &headerDigest);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_DECLAREARCHIVE_H
