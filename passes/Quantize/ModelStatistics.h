// Statistics that belong to a module.
#ifndef QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H
#define QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H

#include "lib/Calibration/StatisticsArchive.h"

#include "mlir/IR/BuiltinOps.h"

namespace qopt {

/// Opens the archive at `path`. Errors: no path (usage); an archive that cannot be read, or is of another model (bad
/// input).
Result<StatisticsArchive> openStatistics(mlir::ModuleOp module, const std::string &path);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H
