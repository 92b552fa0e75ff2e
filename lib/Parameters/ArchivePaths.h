// Paths of archives and tokenizers, as the IR writes them.
//
// A file that lies in the IR file's directory or below it is named relative to that directory, so that the folder can
// be moved as a whole; any other file is named by its absolute path, so that the IR alone can be moved.
#ifndef QOPT_LIB_PARAMETERS_ARCHIVEPATHS_H
#define QOPT_LIB_PARAMETERS_ARCHIVEPATHS_H

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <string_view>

namespace qopt {

/// The directory of an IR file: "." for a bare name, and for "-", the standard streams.
std::string directoryOf(std::string_view irPath);

/// The path by which an IR file in `irDirectory` names `file`. Both may be relative to the working directory.
std::string pathInIR(const std::string &file, const std::string &irDirectory);

/// The way back: a path that can be opened.
std::string resolvePath(std::string_view pathInIR, const std::string &irDirectory);

/// Rewrites the paths of all archives and tokenizers of a module that was read from `from`, so that it can be written
/// to `to`.
void rebasePaths(mlir::ModuleOp module, const std::string &from, const std::string &to);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_ARCHIVEPATHS_H
