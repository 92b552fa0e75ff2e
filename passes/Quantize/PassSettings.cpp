// See PassSettings.h.
#include "passes/Quantize/PassSettings.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

/// MLIR lists a pass's options only as part of a pipeline: "name{option=value option=value}".
std::vector<std::pair<std::string, std::string>> qopt::settingsOf(Pass &pass) {
  std::string pipeline;
  llvm::raw_string_ostream stream(pipeline);
  pass.printAsTextualPipeline(stream);
  StringRef options = StringRef(pipeline).split('{').second;
  options.consume_back("}");
  std::vector<std::pair<std::string, std::string>> own;
  while (!options.empty()) {
    int depth = 0;
    size_t end = 0; // of a word; a value in braces may have spaces
    for (; end < options.size() && (depth > 0 || options[end] != ' '); ++end)
      depth += (options[end] == '{') - (options[end] == '}');
    auto [name, value] = options.take_front(end).split('=');
    options = options.drop_front(end).ltrim();
    if (value.consume_front("{"))
      value.consume_back("}");
    if (!llvm::is_contained({"", "scheme", "head", "keep", "recipe", "statistics", "overlay", "directory", "absorb"},
                            name))
      own.emplace_back(name.str(), value.str());
  }
  return own;
}

Status qopt::checkRecipeSaysAll(Pass &pass, Pass &untouched, const std::string &recipe, StringRef beside) {
  auto of = [&](Pass &from) {
    auto settings = settingsOf(from);
    llvm::erase_if(settings, [&](const auto &setting) { return setting.first == beside; });
    return settings;
  };
  if (of(pass) == of(untouched))
    return {};
  return usageError("expected either a recipe or settings of " + pass.getArgument().str() + ", but got both", recipe)
      .withNext("say it all in the recipe");
}
