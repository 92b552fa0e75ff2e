// Recipes that come with the compiler, each the best that we have measured for its bits: docs/Recipes.md has the
// figures.
#ifndef QOPT_PASSES_QUANTIZE_BUILTINRECIPES_H
#define QOPT_PASSES_QUANTIZE_BUILTINRECIPES_H

#include "lib/Support/Error.h"

#include <span>
#include <string_view>

namespace qopt {

struct BuiltinRecipe {
  std::string_view name;    ///< after "builtin:"
  std::string_view summary; ///< one line
  std::string_view yaml;
};

/// In the order in which they are listed.
std::span<const BuiltinRecipe> builtinRecipes();

/// What a recipe's path begins with if it names one of these.
inline constexpr std::string_view builtinPrefix = "builtin:";

/// The recipe of that name, without the prefix. Error (usage): there is none; the message has the nearest name.
Result<const BuiltinRecipe *> findBuiltinRecipe(std::string_view name);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_BUILTINRECIPES_H
