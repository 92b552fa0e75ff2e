// See BuiltinRecipes.h. What stands here was chosen on development text (docs/Recipes.md): whoever changes it measures
// again.
#include "passes/Quantize/BuiltinRecipes.h"

#include "lib/Archive/NearestName.h"

using namespace qopt;

static constexpr BuiltinRecipe recipes[] = {
    {"w4-g64", "4 bits with zero points in groups of 64, bf16 activations: AWQ, then GPTQ", R"(version: 1
scheme: w4a16:g64:asym
head: keep
awq: {shrink: 0.1}
method: gptq
gptq: {inputs: statistics, range: hessian, shrink: 0.1}
gates:
  - {held_out: true}
)"},
    {"w4-g64-sym", "4 bits without zero points in groups of 64, bf16 activations: GPTQ", R"(version: 1
scheme: w4a16:g64
head: keep
method: gptq
gptq: {inputs: statistics, range: hessian, shrink: 0.1}
gates:
  - {held_out: true}
)"},
    {"w3-g64", "3 bits with zero points in groups of 64, bf16 activations: AWQ, then GPTQ", R"(version: 1
scheme: w3a16:g64:asym
head: keep
awq: {shrink: 0.1}
method: gptq
gptq: {inputs: statistics, range: hessian, shrink: 0.1}
gates:
  - {held_out: true}
)"},
    {"w4a8", "4 bits with zero points in groups of 64, 8-bit activations by token: AWQ, then GPTQ", R"(version: 1
scheme: w4a8:g64:asym
head: keep
awq: {shrink: 0.1}
method: gptq
gptq: {inputs: statistics, range: hessian, shrink: 0.1}
gates:
  - {held_out: true}
)"},
    {"w8a8", "8 bits by channel, 8-bit activations by token: SmoothQuant, then round to nearest", R"(version: 1
scheme: w8a8:channel
head: w8a16:g32
smooth_quant: {alpha: search}
gates:
  - {held_out: true}
)"},
};

std::span<const BuiltinRecipe> qopt::builtinRecipes() { return recipes; }

Result<const BuiltinRecipe *> qopt::findBuiltinRecipe(std::string_view name) {
  NearestName nearest(name);
  for (const BuiltinRecipe &recipe : recipes) {
    if (recipe.name == name)
      return &recipe;
    nearest.consider(recipe.name);
  }
  auto near = nearest.found();
  return usageError("expected the name of a recipe, but got \"" + escapeForMessage(name) + "\"", "builtin")
      .withNext(near ? "say builtin:" + std::string(*near) + " if that is meant; 'qopt recipes' lists them"
                     : "'qopt recipes' lists them");
}
