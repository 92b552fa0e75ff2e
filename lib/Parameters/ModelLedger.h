// The ledger that goes with a module of the IR.
#ifndef QOPT_LIB_PARAMETERS_MODELLEDGER_H
#define QOPT_LIB_PARAMETERS_MODELLEDGER_H

#include "lib/Parameters/Ledger.h"
#include "lib/Parameters/ParameterEvaluator.h"

#include <optional>

namespace qopt {

/// A row for a parameter that is not quantized: its bits and bytes are those of its type.
LedgerRow keptRow(transformer::ParameterOp parameter, LedgerStatus status, std::string rule);

/// The factors that have been folded into a parameter, by their own parameters' names: inputs, then outputs, as in its
/// initializer.
std::vector<std::string> foldedScales(transformer::ParameterOp parameter);

/// The module's attribute, a list of pairs of strings, that carries the scales that --fold-scales has cancelled.
inline constexpr llvm::StringLiteral cancelledScalesAttribute = "lowbit.cancelled_scales";
std::vector<CancelledScale> cancelledScales(mlir::ModuleOp module);
void noteCancelledScale(mlir::ModuleOp module, const CancelledScale &scale);

/// The ledger of the archive that was added last; each carries over the rows of those before. Nothing if no archive has
/// one. Errors: a ledger that cannot be read.
Result<std::optional<Ledger>> findLedger(mlir::ModuleOp module, const ParameterEvaluator &evaluator);

/// That ledger, or for a model that was never quantized one row "kept" for each parameter that @forward reads. For
/// modules as 'qopt import' and 'qopt quantize' write them, before passes that join or pack parameters.
/// Errors: as above, and those of ParameterEvaluator::open.
Result<Ledger> readModelLedger(mlir::ModuleOp module, const std::string &directory);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_MODELLEDGER_H
