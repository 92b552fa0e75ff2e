// qopt recipes: what comes with the compiler, and one of them as text to start one's own from.
#include "lib/Runtime/App/CommandLine.h"
#include "passes/Quantize/BuiltinRecipes.h"
#include "tools/qopt/Subcommands.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

using namespace qopt;

static Status showRecipes(const std::string &name, bool json) {
  if (!name.empty()) {
    std::string_view wanted = name;
    if (wanted.starts_with(builtinPrefix))
      wanted.remove_prefix(builtinPrefix.size());
    Result<const BuiltinRecipe *> recipe = findBuiltinRecipe(wanted);
    if (!recipe)
      return recipe.takeError();
    std::fputs(std::string((*recipe)->yaml).c_str(), stdout);
    return {};
  }
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const BuiltinRecipe &recipe : builtinRecipes()) {
    list.push_back({{"name", "builtin:" + std::string(recipe.name)},
                    {"summary", std::string(recipe.summary)},
                    {"yaml", std::string(recipe.yaml)}});
    if (!json)
      std::printf("%-20s %s\n", ("builtin:" + std::string(recipe.name)).c_str(), std::string(recipe.summary).c_str());
  }
  if (json)
    std::printf("%s\n", list.dump(1).c_str());
  return {};
}

int qopt::recipesMain(int argc, char **argv) {
  CLI::App app("Lists the recipes that come with the compiler, or prints one.", "qopt recipes");
  app.footer("Example:\n  qopt recipes builtin:w4-g64 > my.yaml");
  std::string name;
  bool json = false;
  app.add_option("NAME", name, "a recipe to print, with or without builtin:");
  app.add_flag("--json", json, "print JSON: a list of name, summary and yaml")->excludes("NAME");
  return runCommand(app, argc, argv, "qopt recipes", "nothing was printed", [&] { return showRecipes(name, json); });
}
