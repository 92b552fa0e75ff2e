// What `quantize`, `build`, `plan` and `search` are told, as a recipe; what does not fit together is refused.
#include "tools/qopt/Steps.h"

#include <filesystem>

using namespace qopt;

Status qopt::checkArguments(const QuantizeArguments &arguments) {
  if (!arguments.recipe.empty() && arguments.saysMoreThanRecipe())
    return usageError("expected either --recipe or --scheme, --head, --method, --scales and --keep, but got both")
        .withNext("say it all in the recipe");
  return {};
}

Status qopt::checkTextOptions(const CalibrateArguments &arguments) {
  for (const std::string &option : arguments.saidOfTexts) {
    if (!arguments.hasTexts())
      return usageError("expected no " + option + " without texts to calibrate on")
          .withNext("say --text FILE, or leave it out");
    if (option == "--field" && arguments.lines.empty())
      return usageError("expected no --field without --jsonl, whose lines have fields").withNext("leave it out");
  }
  return {};
}

Status qopt::checkArgumentsFor(const Recipe &recipe, const QuantizeArguments &arguments) {
  if (arguments.maxFallback != 0 && !recipe.uses(Method::Gptq))
    return usageError("expected no --max-fallback without gptq, which alone falls back to round to nearest")
        .withNext("say --method gptq, or leave it out");
  bool has = arguments.calibrates() || !arguments.statistics.empty();
  if (!recipe.needsStatistics() && has)
    return usageError("expected no --statistics, --text or --jsonl for " +
                      (recipe.plugin ? recipe.plugin->name : std::string("round to nearest")))
        .withNext("say --method gptq or --scales awq, or leave it out");
  if (arguments.calibrates() && !arguments.statistics.empty())
    return usageError("expected either --statistics or texts to calibrate on, but got both");
  if (recipe.needsStatistics() && !has)
    return usageError("expected statistics, or text to calibrate on")
        .withNext("say --text FILE, or --statistics with what 'qopt calibrate MODEL --text FILE' wrote");
  return checkTextOptions(arguments.calibration);
}

Result<Recipe> qopt::recipeOf(const QuantizeArguments &arguments) {
  if (!arguments.recipe.empty())
    return readRecipe(arguments.recipe);
  return makeRecipe({arguments.scheme, arguments.head, arguments.keep, arguments.method, arguments.scales});
}

Result<Recipe> qopt::judgedRecipeOf(const QuantizeArguments &arguments) {
  Result<Recipe> recipe = recipeOf(arguments);
  if (!recipe)
    return recipe;
  if (arguments.noGates) {
    if (!arguments.farText.empty())
      return usageError("expected either --far-text, which a gate is on, or --no-gates, but got both");
    recipe->gates.clear();
    recipe->saysGates = true;
    return recipe;
  }
  addDefaultGates(*recipe);
  if (!arguments.farText.empty()) {
    Gate far;
    std::error_code code;
    far.text = std::filesystem::absolute(arguments.farText, code).string();
    far.where = kFarText;
    recipe->gates.push_back(std::move(far));
  }
  return recipe;
}
