// Statistics that belong to a module.
#ifndef QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H
#define QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Calibration/StatisticsArchive.h"

#include "mlir/IR/BuiltinOps.h"

namespace qopt {

/// Opens the archive at `path`. Errors: no path (usage); an archive that cannot be read, or is of another model (bad
/// input).
Result<StatisticsArchive> openStatistics(mlir::ModuleOp module, const std::string &path);

/// The site that the linear of a weight reads, with its Gram matrix. Error (bad input): the archive has none.
Result<const Site *> gramSiteOf(const StatisticsArchive &archive, transformer::ParameterOp weight);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_MODELSTATISTICS_H
