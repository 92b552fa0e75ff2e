// What the options of a quantizing pass say, as text.
#ifndef QOPT_PASSES_QUANTIZE_PASSSETTINGS_H
#define QOPT_PASSES_QUANTIZE_PASSSETTINGS_H

#include "lib/Support/Error.h"

#include "mlir/Pass/Pass.h"

#include <string>
#include <utility>
#include <vector>

namespace qopt {

/// The options that are a pass's own, with their values: all but those that quantizing passes share (scheme, head,
/// keep, recipe, statistics, overlay, directory, absorb) and max-fallback, which may stand beside a recipe.
std::vector<std::pair<std::string, std::string>> settingsOf(mlir::Pass &pass);

/// A recipe says all of a pass's settings. Error (usage): `pass` has one beside it that differs from `untouched`, a
/// pass of the same kind with its defaults.
Status checkRecipeSaysAll(mlir::Pass &pass, mlir::Pass &untouched, const std::string &recipe);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_PASSSETTINGS_H
