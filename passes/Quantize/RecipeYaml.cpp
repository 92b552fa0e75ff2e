// Reads the YAML form of a recipe. LLVM's parser recurses without limit, so size and nesting are limited before it.
#include "passes/Quantize/MethodPass.h"
#include "passes/Quantize/RecipeReader.h"
#include "passes/Quantize/RecipeText.h"
#include "passes/Quantize/RecipeWords.h"

#include "lib/Archive/NearestName.h"

#include "llvm/ADT/StringMap.h"

using namespace qopt;
namespace yaml = llvm::yaml;

static constexpr size_t maxBytes = 1 << 20;
static constexpr int maxDepth = 64;

/// Brackets that open something, in all of a recipe: nesting of so many is no danger to the stack yet.
static constexpr int maxBrackets = 4096;

/// A bound on nesting that needs no parser: open brackets, and on each line its indentation and what opens a block.
/// Brackets inside strings count too: one that closes there hides one that is open, so that all are counted as well.
static Status checkDepth(std::string_view text, const std::string &name) {
  int open = 0, opened = 0, line = 1, column = 0;
  bool leading = true;
  int blocks = 0;
  for (char c : text) {
    ++column;
    if (c == '\n') {
      ++line, column = 0, blocks = 0, leading = true;
      continue;
    }
    if (c == '[' || c == '{')
      ++open, ++opened;
    else if (c == ']' || c == '}')
      open -= open > 0;
    if (leading && (c == ' ' || c == '-' || c == '?' || c == ':' || c == '\t'))
      ++blocks;
    else
      leading = false;
    if (opened > maxBrackets)
      return usageError("expected YAML with at most " + std::to_string(maxBrackets) + " opening brackets",
                        name + ":" + std::to_string(line) + ":" + std::to_string(column))
          .withNext("write rules as blocks: - match: PATTERN, and below it scheme: …");
    if (open > maxDepth || blocks > 4 * maxDepth)
      return usageError("expected YAML that is nested at most " + std::to_string(maxDepth) + " deep",
                        name + ":" + std::to_string(line) + ":" + std::to_string(column));
  }
  return {};
}

void RecipeReader::mapping(yaml::Node *node, std::string_view what,
                           llvm::ArrayRef<std::pair<llvm::StringRef, Field>> fields) {
  auto *map = llvm::dyn_cast_or_null<yaml::MappingNode>(node);
  if (!map)
    return fail(node,
                "expected " + std::string(what) + " to be a mapping of keys to values, but got " +
                    (node ? "another kind of value" : "nothing"),
                what == "a recipe" ? "" : "write for example {" + fields.front().first.str() + ": …}");
  llvm::StringMap<bool> seen;
  for (yaml::KeyValueNode &pair : *map) {
    if (failure)
      return;
    yaml::Node *keyNode = pair.getKey();
    std::string key = scalar(keyNode, "a key");
    if (failure)
      return;
    if (!seen.try_emplace(key).second)
      return fail(keyNode, "expected each key once, but got \"" + escapeForMessage(key) + "\" again");
    const Field *found = nullptr;
    NearestName nearest(key);
    for (const auto &[known, field] : fields) {
      nearest.consider(known);
      if (known == key)
        found = &field;
    }
    if (!found) {
      std::string list;
      for (const auto &[known, field] : fields)
        list += (list.empty() ? "" : ", ") + known.str();
      auto near = nearest.found();
      return fail(keyNode,
                  "expected a key that " + std::string(what) + " has (" + list + "), but got \"" +
                      escapeForMessage(key) + "\"",
                  near                 ? "write \"" + std::string(*near) + "\" if that is meant"
                  : what == "a recipe" ? "remove the key, or load the plugin that has it (--load-pass-plugin=FILE)"
                                       : "remove the key");
    }
    (*found)(pair.getValue());
  }
}

std::string RecipeReader::scalar(yaml::Node *node, std::string_view what) {
  llvm::SmallString<64> storage;
  if (auto *value = llvm::dyn_cast_or_null<yaml::ScalarNode>(node))
    return value->getValue(storage).trim().str();
  if (auto *value = llvm::dyn_cast_or_null<yaml::BlockScalarNode>(node))
    return value->getValue().trim().str();
  fail(node, "expected " + std::string(what) + " to be text" +
                 (llvm::isa_and_nonnull<yaml::AliasNode>(node) ? ", but got an alias" : ""));
  return {};
}

double RecipeReader::number(yaml::Node *node, std::string_view what) {
  std::string text = scalar(node, what);
  double value = 0;
  if (!failure && llvm::StringRef(text).getAsDouble(value))
    fail(node, "expected " + std::string(what) + " to be a number, but got \"" + escapeForMessage(text) + "\"");
  return value;
}

void RecipeReader::readRule(yaml::Node *node) {
  RawRule rule;
  rule.where = place(node);
  bool hasScheme = false, hasKeep = false;
  mapping(node, "a rule",
          {{"match", [&](yaml::Node *value) { rule.match = scalar(value, "match"); }},
           {"scheme",
            [&](yaml::Node *value) {
              rule.scheme = scalar(value, "scheme");
              hasScheme = true;
            }},
           {"keep",
            [&](yaml::Node *value) {
              std::string flag = scalar(value, "keep");
              if (!failure && flag != "true")
                fail(value, "expected keep to be true, but got \"" + escapeForMessage(flag) + "\"",
                     "leave the key out, or remove the rule");
              rule.keep = hasKeep = true;
            }},
           {"method", [&](yaml::Node *value) { rule.method = readMethod(value); }},
           {"reason", [&](yaml::Node *value) { rule.reason = scalar(value, "reason"); }}});
  if (failure)
    return;
  if (rule.match.empty())
    return fail(node, "expected a rule with a key \"match\"", "add for example match: model.layers.0");
  if (hasKeep ? hasScheme || rule.method.has_value() : !hasScheme && !rule.method)
    return fail(node, "expected a rule with \"scheme\", \"method\" or both, or with \"keep: true\"", "add one of them");
  rules.push_back(std::move(rule));
}

void RecipeReader::readRules(yaml::Node *node) {
  auto *sequence = llvm::dyn_cast_or_null<yaml::SequenceNode>(node);
  if (!sequence)
    return fail(node, "expected rules to be a list, but got another kind of value",
                "write one rule below the other, each after a dash");
  for (yaml::Node &rule : *sequence) {
    if (failure)
      return;
    readRule(&rule);
  }
}

Result<Recipe> RecipeReader::read() {
  yaml::Stream stream(llvm::StringRef(text), sources);
  std::string version, scheme, head;
  Method method = Method::RoundToNearest;
  std::string schemePlace = place(nullptr), headPlace = schemePlace;
  yaml::Node *unfoldablePlace = nullptr;
  auto document = stream.begin();
  yaml::Node *root = document == stream.end() ? nullptr : document->getRoot();
  std::vector<std::pair<llvm::StringRef, Field>> fields = {
      {"version",
       [&](yaml::Node *value) {
         version = scalar(value, "version");
         if (!failure && version != "1")
           fail(value, "expected version 1, but got \"" + escapeForMessage(version) + "\"",
                "use a qopt that knows that version");
       }},
      {"scheme", [&](yaml::Node *value) { scheme = scalar(value, "scheme"), schemePlace = place(value); }},
      {"head", [&](yaml::Node *value) { head = scalar(value, "head"), headPlace = place(value); }},
      {"method", [&](yaml::Node *value) { method = readMethod(value); }},
      {"activations", [&](yaml::Node *value) { readActivations(value); }},
      {"rtn", [&](yaml::Node *value) { readRtn(value); }},
      {"gptq", [&](yaml::Node *value) { readGptq(value); }},
      {"rotate", [&](yaml::Node *value) { readRotate(value); }},
      {"awq", [&](yaml::Node *value) { readAwq(value); }},
      {"smooth_quant", [&](yaml::Node *value) { readSmoothQuant(value); }},
      {"gates", [&](yaml::Node *value) { readGates(value); }},
      {"unfoldable", [&](yaml::Node *value) { readUnfoldable(value), unfoldablePlace = value; }},
      {"rules", [&](yaml::Node *value) { readRules(value); }}};
  std::vector<std::string> registered = registeredMethods();
  for (const std::string &name : registered)
    fields.push_back({name, [&](yaml::Node *value) { readPlugin(name, value); }});
  if (!failure)
    mapping(root, "a recipe", fields);
  if (!failure)
    checkMethods(method == Method::Gptq ||
                 llvm::any_of(rules, [](const RawRule &rule) { return rule.method == Method::Gptq; }));
  if (!failure && stages.awq && stages.smoothQuant)
    fail(root, "expected either awq or smooth_quant, because both scale the same values, but got both",
         "leave one of them out");
  if (!failure && unfoldablePlace && !stages.scales())
    fail(unfoldablePlace, "expected awq or smooth_quant, because the recipe says what becomes of their scales",
         "add one of them, or leave unfoldable out");
  if (!failure && !stream.failed() && ++document != stream.end())
    fail(document->getRoot(), "expected one document, but got another");
  if (failure)
    return std::move(*failure);
  if (version.empty())
    return usageError("expected a key \"version\"", place(nullptr)).withNext("begin the recipe with version: 1");
  if (scheme.empty())
    return usageError("expected a key \"scheme\"", place(nullptr)).withNext("add for example scheme: w4a8:g64");

  Result<std::optional<Scheme>> body = makeBody(scheme);
  if (!body)
    return body.takeError().in(schemePlace);
  Result<std::optional<Scheme>> headScheme = makeHead(head, *body, method);
  if (!headScheme)
    return headScheme.takeError().in(headPlace);
  Recipe recipe = std::move(stages);
  recipe.body = *body, recipe.head = *headScheme, recipe.method = method;
  for (RawRule &raw : rules) {
    std::optional<Scheme> ruleScheme;
    if (!raw.keep && raw.scheme.empty()) { // a method alone, for the body's scheme
      if (!recipe.body)
        return usageError("expected a rule with a scheme, because the recipe's is keep", raw.where);
      ruleScheme = recipe.body;
    } else if (!raw.keep) {
      Result<Scheme> parsed = parseSchemeLike(raw.scheme, *body);
      if (!parsed)
        return parsed.takeError().in(raw.where);
      ruleScheme = *parsed;
    }
    Result<RecipeRule> rule = makeRule(std::move(raw.match), ruleScheme, std::move(raw.reason), std::move(raw.where));
    if (!rule)
      return rule.takeError();
    rule->method = raw.method;
    recipe.rules.push_back(std::move(*rule));
  }
  if (!activationsPlace.empty() && !recipe.hasStaticActivations())
    return usageError("expected a scheme with static activations, because the recipe says how their ranges are chosen",
                      activationsPlace)
        .withNext("write for example scheme: w8a8s:channel, or remove the section");
  return recipe;
}

Result<Recipe> qopt::parseRecipe(std::string_view yaml, const std::string &name) {
  auto finish = [](Error error) {
    error.outcome = "nothing was written";
    return std::move(error).withNext("compare it with one that works: qopt recipes builtin:w4-g64");
  };
  if (yaml.size() > maxBytes)
    return finish(usageError("expected a recipe of at most 1 MiB, but got " + std::to_string(yaml.size()) + " bytes",
                             escapeForMessage(name, 1000)));
  if (Status status = checkDepth(yaml, escapeForMessage(name, 1000)); !status)
    return finish(status.takeError());
  Result<Recipe> recipe = RecipeReader(yaml, name).read();
  if (!recipe)
    return finish(recipe.takeError());
  return recipe;
}
