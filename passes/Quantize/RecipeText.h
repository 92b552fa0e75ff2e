// The parts of a recipe that are text in both of its forms. Internal to passes/Quantize.
#ifndef QOPT_PASSES_QUANTIZE_RECIPETEXT_H
#define QOPT_PASSES_QUANTIZE_RECIPETEXT_H

#include "passes/Quantize/Recipe.h"

namespace qopt {

/// A scheme, or one without activations, which then are `activations`.
Result<Scheme> parseSchemeLike(std::string_view text, ActivationKind activations);

/// The scheme of embedding and head: "keep" (nothing), a scheme, or the default if `text` is empty.
Result<std::optional<Scheme>> makeHead(const std::string &text, const Scheme &body);

Result<RecipeRule> makeRule(std::string match, std::optional<Scheme> scheme, std::string reason, std::string where);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_RECIPETEXT_H
