// See BuiltinRecipes.h. What stands here was chosen on development text (docs/Recipes.md): whoever changes it measures
// again.
#include "passes/Quantize/BuiltinRecipes.h"

#include "lib/Archive/NearestName.h"

using namespace qopt;

// What several of the texts below have; literals, which the compiler joins.
#define QOPT_AWQ "awq: {shrink: 0.1}\n"
#define QOPT_GPTQ "method: gptq\ngptq: {inputs: statistics, range: hessian, shrink: 0.1}\n"
// Codes without zero points reach one step further on one side: the scale's sign says on which.
#define QOPT_GPTQ_SIGNED "method: gptq\ngptq: {inputs: statistics, range: signed, shrink: 0.1}\n"
// Hessians of inputs as they are rounded.
#define QOPT_GPTQ_OF_ROUNDED "method: gptq\ngptq: {inputs: quantized, range: hessian, shrink: 0.1}\n"
#define QOPT_GATES "gates:\n  - {held_out: true}\n"

static constexpr BuiltinRecipe recipes[] = {
    {"w4-g64", "4 bits with zero points in groups of 64, bf16 activations: AWQ, then GPTQ",
     "version: 1\nscheme: w4a16:g64:asym\nhead: keep\n" QOPT_AWQ QOPT_GPTQ QOPT_GATES},
    {"w4-g64-sym", "4 bits without zero points in groups of 64, bf16 activations: GPTQ",
     "version: 1\nscheme: w4a16:g64\nhead: keep\n" QOPT_GPTQ_SIGNED QOPT_GATES},
    {"w3-g64", "3 bits with zero points in groups of 64, bf16 activations: GPTQ",
     "version: 1\nscheme: w3a16:g64:asym\nhead: keep\n" QOPT_GPTQ QOPT_GATES},
    {"w4a8", "4 bits with zero points in groups of 64, 8-bit activations by token: AWQ, then GPTQ",
     "version: 1\nscheme: w4a8:g64:asym\nhead: keep\n" QOPT_AWQ QOPT_GPTQ_OF_ROUNDED QOPT_GATES},
    {"w8a8", "8 bits by channel, 8-bit activations by token: SmoothQuant, then GPTQ",
     "version: 1\nscheme: w8a8:channel\nhead: w8a16:g32\nsmooth_quant: {alpha: search}\n" QOPT_GPTQ_OF_ROUNDED
         QOPT_GATES},
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
