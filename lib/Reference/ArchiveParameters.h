// Parameters of a real model for the reference: read from the archives that the IR names.
#ifndef QOPT_LIB_REFERENCE_ARCHIVEPARAMETERS_H
#define QOPT_LIB_REFERENCE_ARCHIVEPARAMETERS_H

#include "lib/Parameters/ParameterEvaluator.h"
#include "lib/Reference/Evaluator.h"

namespace qopt::reference {

/// The same numbers, as the reference holds them.
Tensor fromHost(const HostTensor &tensor);

/// A source that reads entries from the module's archives, looked for relative to `directory`, and makes up parameters
/// without one as randomParameters does. Errors: as ParameterEvaluator::open.
Result<ParameterSource> archiveParameters(mlir::ModuleOp module, const std::string &directory, uint64_t seed);

} // namespace qopt::reference

#endif // QOPT_LIB_REFERENCE_ARCHIVEPARAMETERS_H
