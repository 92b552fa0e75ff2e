// The parts of a recipe that are text in both of its forms. Internal to passes/Quantize.
#ifndef QOPT_PASSES_QUANTIZE_RECIPETEXT_H
#define QOPT_PASSES_QUANTIZE_RECIPETEXT_H

#include "passes/Quantize/Recipe.h"

namespace qopt {

/// A scheme, or one without activations, which then are those of `body`.
Result<Scheme> parseSchemeLike(std::string_view text, const std::optional<Scheme> &body);

/// The scheme of the body: "keep" (nothing), or a scheme.
Result<std::optional<Scheme>> makeBody(const std::string &text);

/// The scheme of embedding and head: "keep" (nothing), a scheme, or the default if `text` is empty.
Result<std::optional<Scheme>> makeHead(const std::string &text, const std::optional<Scheme> &body, Method method);

/// "rtn", "gptq", or a method that is registered. Error (usage): another, with the nearest.
Result<Method> parseMethod(const std::string &text);

/// A registered method without settings.
PluginMethod makePluginMethod(const std::string &name);

Result<RecipeRule> makeRule(std::string match, std::optional<Scheme> scheme, std::string reason, std::string where);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_RECIPETEXT_H
