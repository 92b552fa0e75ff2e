// An Error (lib/Support/Error.h) as a diagnostic of MLIR, and back.
#ifndef QOPT_LIB_PARAMETERS_DIAGNOSTICS_H
#define QOPT_LIB_PARAMETERS_DIAGNOSTICS_H

#include "lib/Support/Error.h"

#include "mlir/IR/Diagnostics.h"

namespace qopt {

/// Emits `error` at `loc`: its rule as the message, its other parts as notes that begin with "in: ", "result: " and
/// "next: ". The error's class travels in the diagnostic's metadata.
mlir::InFlightDiagnostic emitError(mlir::Location loc, const Error &error);

/// Emits the error of a status that has one, which is a failure. `outcome`: what became of the data, if it does not
/// say.
mlir::LogicalResult emitFailure(mlir::Location loc, Status status, const std::string &outcome);

/// The Error that a diagnostic stands for. One that MLIR made itself is of class BadInput, in its location.
Error toError(mlir::Diagnostic &diagnostic);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_DIAGNOSTICS_H
