// Which model a module is, for what is kept beside it.
#ifndef QOPT_PASSES_CALIBRATE_MODELDIGEST_H
#define QOPT_PASSES_CALIBRATE_MODELDIGEST_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace qopt {

/// "sha256:…" of the module's text without paths, and of all bytes of its archives, which are named relative to
/// `directory`. Errors: an archive that cannot be read.
Result<std::string> moduleDigest(mlir::ModuleOp module, const std::string &directory);

/// The same of the model that a module is, without what changes nothing that it computes: names of files, locations,
/// observers, what ops ask of quantization, and pairs of scales with their archives, folded or not: the same for the
/// same graph over the same weights, wherever its files lie. Errors: an archive that cannot be read.
Result<std::string> modelDigest(mlir::ModuleOp module, const std::string &directory);

/// Refuses a module with scales, in functions or taken into weights: what is gathered from it would pass, by its
/// digest, for what the model without them gives.
Status checkUnscaled(mlir::ModuleOp module);

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_MODELDIGEST_H
