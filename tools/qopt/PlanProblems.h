// All that a recipe cannot do with a model, found before anything runs.
#ifndef QOPT_TOOLS_QOPT_PLANPROBLEMS_H
#define QOPT_TOOLS_QOPT_PLANPROBLEMS_H

#include "lib/Archive/TemporaryPath.h"
#include "passes/Quantize/Selection.h"
#include "tools/qopt/Steps.h"

namespace qopt {

struct Foreseen {
  std::optional<TemporaryPath> factors;     ///< that `module` names
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< rotated, with scales that were folded: shapes as they will be
  Survey survey;
  std::vector<Error> problems;           ///< of all kinds; those that are alike stand next to each other
  std::vector<CancelledScale> cancelled; ///< pairs that the recipe lets go
  int64_t samples = 0, length = 0;       ///< of calibration, or of the statistics that were given
  std::optional<int64_t> heldOut;        ///< windows of all its sources, where they are known
};

/// Tries what costs nothing: rotation and folding on a copy of `module` (whose archives are named relative to
/// `directory`) with factors that mean nothing, the choice of weights and their schemes, statistics or texts, gates.
Foreseen foresee(Session &session, mlir::ModuleOp module, const Recipe &recipe, const QuantizeArguments &arguments,
                 const std::string &directory);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_PLANPROBLEMS_H
