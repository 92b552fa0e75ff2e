// Which model a module is, for what is kept beside it.
#ifndef QOPT_PASSES_CALIBRATE_MODELDIGEST_H
#define QOPT_PASSES_CALIBRATE_MODELDIGEST_H

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace qopt {

/// "sha256:…" of the module's text with the digests of its archives, and without paths, names of files, locations,
/// observers, and pairs of scales, folded or not: the same for the same graph over the same weights, wherever its files
/// lie.
std::string modelDigest(mlir::ModuleOp module);

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_MODELDIGEST_H
