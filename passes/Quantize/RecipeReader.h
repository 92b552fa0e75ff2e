// Reads the YAML form of a recipe. Internal to passes/Quantize.
#ifndef QOPT_PASSES_QUANTIZE_RECIPEREADER_H
#define QOPT_PASSES_QUANTIZE_RECIPEREADER_H

#include "passes/Quantize/Recipe.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLParser.h"

#include <functional>

namespace qopt {

/// Walks one document. Parsing happens while it is walked, so the first error of either kind is kept.
class RecipeReader {
public:
  RecipeReader(std::string_view text, const std::string &name) : name(name), text(text) {
    sources.setDiagHandler([](const llvm::SMDiagnostic &diagnostic,
                              void *self) { static_cast<RecipeReader *>(self)->noteSyntax(diagnostic); },
                           this);
  }
  Result<Recipe> read();

private:
  using Field = std::function<void(llvm::yaml::Node *value)>;

  void noteSyntax(const llvm::SMDiagnostic &diagnostic) {
    if (!failure)
      failure = usageError("expected YAML: " + diagnostic.getMessage().str(),
                           place(diagnostic.getLineNo(), diagnostic.getColumnNo() + 1));
  }
  std::string place(int line, int column) {
    return escapeForMessage(name, 1000) + ":" + std::to_string(line) + ":" + std::to_string(column);
  }
  std::string place(llvm::yaml::Node *node) {
    if (!node)
      return escapeForMessage(name, 1000);
    auto [line, column] = sources.getLineAndColumn(node->getSourceRange().Start);
    return place(static_cast<int>(line), static_cast<int>(column));
  }
  void fail(llvm::yaml::Node *node, std::string rule, std::string next = {}) {
    if (!failure)
      failure = usageError(std::move(rule), place(node)).withNext(std::move(next));
  }
  /// Reads a mapping whose keys are those of `fields`, each at most once.
  void mapping(llvm::yaml::Node *node, std::string_view what, llvm::ArrayRef<std::pair<llvm::StringRef, Field>> fields);
  /// The text of a scalar. Empty after a failure.
  std::string scalar(llvm::yaml::Node *node, std::string_view what);
  void readRules(llvm::yaml::Node *node);
  void readRule(llvm::yaml::Node *node);

  /// One of some words. The first after a failure.
  template <typename Value>
  Value word(llvm::yaml::Node *node, std::string_view what, llvm::ArrayRef<std::pair<llvm::StringRef, Value>> words);
  double number(llvm::yaml::Node *node, std::string_view what);
  Method readMethod(llvm::yaml::Node *node);
  /// The settings of a registered method, each of which its pass takes.
  void readPlugin(const std::string &method, llvm::yaml::Node *node);
  /// What the sections and the uses of methods come to: settings of a method that nothing uses are refused.
  void checkMethods(bool usesGptq);
  // The sections of the algorithms: RecipeStages.cpp.
  void readActivations(llvm::yaml::Node *node);
  void readRtn(llvm::yaml::Node *node);
  void readGptq(llvm::yaml::Node *node);
  void readRotate(llvm::yaml::Node *node);
  void readAwq(llvm::yaml::Node *node);
  void readSmoothQuant(llvm::yaml::Node *node);
  void readGates(llvm::yaml::Node *node);
  void readGate(llvm::yaml::Node *node);
  void readUnfoldable(llvm::yaml::Node *node);

  /// A rule before the body's scheme is known, which may come after it in the file.
  struct RawRule {
    std::string match, scheme, reason, where;
    std::optional<Method> method;
    bool keep = false;
  };

  std::string name;
  std::string_view text;
  llvm::SourceMgr sources;
  std::optional<Error> failure;
  std::vector<RawRule> rules;
  std::vector<std::pair<PluginMethod, std::string>> plugins; ///< sections, and where they are
  std::string activationsPlace;                              ///< where the section is, if there is one
  std::string pluginPlace;                                   ///< where stages.plugin is first named
  std::string gptqPlace;                                     ///< where the section is, if there is one
  Recipe stages;                                             ///< what the sections of the algorithms say
};

template <typename Value>
Value RecipeReader::word(llvm::yaml::Node *node, std::string_view what,
                         llvm::ArrayRef<std::pair<llvm::StringRef, Value>> words) {
  std::string text = scalar(node, what), list;
  for (const auto &[name, value] : words) {
    if (name == text)
      return value;
    list += (list.empty() ? "" : ", ") + name.str();
  }
  if (!failure)
    fail(node,
         "expected " + std::string(what) + " to be one of " + list + ", but got \"" + escapeForMessage(text) + "\"");
  return words.front().second;
}

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_RECIPEREADER_H
