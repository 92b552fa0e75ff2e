// Archives that a pass has written and the IR is to name.
#ifndef QOPT_LIB_PARAMETERS_DECLAREARCHIVE_H
#define QOPT_LIB_PARAMETERS_DECLAREARCHIVE_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <string_view>

namespace qopt {

/// The metadata key of archives that passes write, which says what they are: "overlay" or "scales".
inline constexpr std::string_view archiveKindKey = "qopt.kind";

/// Refuses (usage) a file to write whose loss would hurt: an archive of the module itself, and anything that is there
/// but no archive of a pass (and not empty), such as the statistics, a checkpoint or the IR; and no name at all. The
/// module's paths are relative to `directory`.
Status checkArchiveToWrite(mlir::ModuleOp module, const std::string &file, const std::string &directory);

/// Declares an archive after the others, as @name, or @name_2 and so on where that is taken. Returns its symbol.
mlir::StringAttr declareArchive(mlir::ModuleOp module, const std::string &name, const std::string &pathInIR,
                                uint64_t size, const std::string &headerDigest);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_DECLAREARCHIVE_H
