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
/// keep, recipe, statistics, overlay, directory, absorb).
std::vector<std::pair<std::string, std::string>> settingsOf(mlir::Pass &pass);

/// A recipe says all of a pass's settings. Error (usage): `pass` has one that differs from `untouched`, a pass of the
/// same kind with its defaults, and is not called `beside`, which may stand beside a recipe.
Status checkRecipeSaysAll(mlir::Pass &pass, mlir::Pass &untouched, const std::string &recipe,
                          llvm::StringRef beside = {});

/// The same of a pass that can be made without arguments. Nothing without a recipe.
template <typename PassT>
Status checkRecipeSaysAll(PassT &pass, const std::string &recipe, llvm::StringRef beside = {}) {
  if (recipe.empty())
    return {};
  PassT untouched;
  return checkRecipeSaysAll(pass, untouched, recipe, beside);
}

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_PASSSETTINGS_H
