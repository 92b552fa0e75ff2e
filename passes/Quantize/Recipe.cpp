// Recipes without YAML: schemes and globs as text. The YAML form is read in RecipeYaml.cpp.
#include "passes/Quantize/BuiltinRecipes.h"
#include "passes/Quantize/MethodPass.h"
#include "passes/Quantize/RecipeText.h"

#include "lib/Archive/MappedFile.h"
#include "lib/Archive/NearestName.h"

#include "llvm/Support/GlobPattern.h"

#include <algorithm>

using namespace qopt;

/// {a,b}{c,d} is 4 patterns; more of them than this are refused.
static constexpr size_t maxBracePatterns = 1024;

bool RecipeRule::matches(std::string_view name) const {
  // Compiled here, because a GlobPattern refers to the text that it was made from.
  llvm::GlobPattern glob = llvm::cantFail(llvm::GlobPattern::create(match, maxBracePatterns));
  llvm::StringRef text(name);
  if (glob.match(text))
    return true;
  for (size_t dot = text.find('.'); dot != llvm::StringRef::npos; dot = text.find('.', dot + 1))
    if (glob.match(text.take_front(dot)))
      return true;
  return false;
}

Result<Scheme> qopt::parseSchemeLike(std::string_view text, const std::optional<Scheme> &body) {
  llvm::StringRef rest(text);
  // "w8:g32": a weight's width and no activations.
  if (body && rest.consume_front("w")) {
    llvm::StringRef bits = rest.take_while([](char c) { return c >= '0' && c <= '9'; });
    llvm::StringRef after = rest.drop_front(bits.size());
    if (!bits.empty() && (after.empty() || after.starts_with(":"))) {
      std::string whole = "w" + bits.str() + std::string(activationName(body->activations)) + after.str();
      return parseScheme(whole);
    }
  }
  return parseScheme(text);
}

Result<RecipeRule> qopt::makeRule(std::string match, std::optional<Scheme> scheme, std::string reason,
                                  std::string where) {
  llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(match, maxBracePatterns);
  if (!glob)
    return usageError("expected a glob, but got \"" + escapeForMessage(match) +
                          "\": " + llvm::toString(glob.takeError()),
                      where)
        .withNext("write a pattern such as *.mlp.down_proj.weight, or model.layers.0");
  return RecipeRule{std::move(match), scheme, std::move(reason), std::move(where)};
}

Result<std::optional<Scheme>> qopt::makeBody(const std::string &text) {
  if (text == "keep")
    return std::optional<Scheme>();
  Result<Scheme> body = parseScheme(text);
  if (!body)
    return body.takeError();
  return std::optional<Scheme>(*body);
}

Result<Method> qopt::parseMethod(const std::string &text) {
  if (text == "rtn")
    return Method::RoundToNearest;
  if (text == "gptq")
    return Method::Gptq;
  std::vector<std::string> names = registeredMethods();
  if (llvm::is_contained(names, text))
    return Method::Plugin;
  std::string list = "rtn, gptq";
  NearestName nearest(text);
  nearest.consider("rtn");
  nearest.consider("gptq");
  for (const std::string &name : names) {
    nearest.consider(name);
    list += ", " + name;
  }
  auto near = nearest.found();
  return usageError("expected method to be one of " + list + ", but got \"" + escapeForMessage(text) + "\"")
      .withNext((near ? "write \"" + std::string(*near) + "\" if that is meant; " : "") +
                "the methods of a plugin are known once --load-pass-plugin=FILE has loaded it");
}

PluginMethod qopt::makePluginMethod(const std::string &name) {
  return {name, {}, createMethodPass(name)->needsStatistics()};
}

GptqOptions qopt::defaultGptqOptions() {
  GptqOptions options;
  options.range = RangeOptions::of(RangeRule::Hessian);
  options.shrink = 0.1;
  return options;
}

std::optional<double> SmoothQuantSettings::alphaOf(SiteKind kind) const {
  return alphas.empty() ? alpha : alphas[std::ranges::find(sites, kind) - sites.begin()];
}

bool SmoothQuantSettings::searches() const {
  return alphas.empty() ? !alpha : std::ranges::any_of(alphas, [](const auto &each) { return !each; });
}

bool Recipe::uses(Method which) const {
  return method == which ||
         std::any_of(rules.begin(), rules.end(), [&](const RecipeRule &rule) { return rule.method == which; });
}

StatisticsNeed Recipe::statisticsNeed() const {
  bool readsGram = uses(Method::Gptq) && inputs == HessianInputs::Statistics;
  if (awq || readsGram || needsHessian(nearestRange) || (plugin && plugin->needsStatistics))
    return StatisticsNeed::Gram;
  if (smoothQuant)
    return StatisticsNeed::Magnitudes;
  return uses(Method::Gptq) || hasStaticActivations() ? StatisticsNeed::Samples : StatisticsNeed::Nothing;
}

bool Recipe::hasStaticActivations() const {
  auto isStatic = [](const std::optional<Scheme> &scheme) {
    return scheme && scheme->activations == ActivationKind::I8Static;
  };
  return isStatic(body) || isStatic(head) ||
         std::any_of(rules.begin(), rules.end(), [&](const RecipeRule &rule) { return isStatic(rule.scheme); });
}

Result<std::optional<Scheme>> qopt::makeHead(const std::string &text, const std::optional<Scheme> &body,
                                             Method method) {
  if (text == "keep" || (text.empty() && method != Method::RoundToNearest))
    return std::optional<Scheme>();
  // Calibration never sees the wanted rows, which the head reads.
  std::optional<Scheme> like = body;
  if (like && like->activations == ActivationKind::I8Static)
    like->activations = ActivationKind::I8PerToken;
  if (!text.empty()) {
    Result<Scheme> head = parseSchemeLike(text, like);
    if (!head)
      return head.takeError();
    return std::optional<Scheme>(*head);
  }
  std::optional<Scheme> head = like;
  if (head && head->weights.bits < 8)
    head->weights = WeightScheme{8, /*symmetric=*/true, /*group=*/32, ElementFormat::F16};
  return head;
}

Result<Recipe> qopt::makeRecipe(const RecipeOptions &options) {
  if (options.scheme.empty())
    return usageError("expected a scheme or a recipe, but got neither", "scheme")
        .withNext("say for example --scheme w4a8:g64, or --recipe R.yaml");
  Result<std::optional<Scheme>> body = makeBody(options.scheme);
  if (!body)
    return body.takeError().in("scheme");
  Result<Method> method = parseMethod(options.method.empty() ? "rtn" : options.method);
  if (!method)
    return method.takeError();
  Result<std::optional<Scheme>> head = makeHead(options.head, *body, *method);
  if (!head)
    return head.takeError().in("head");
  Recipe recipe;
  recipe.body = *body, recipe.head = *head, recipe.method = *method;
  if (*method == Method::Plugin)
    recipe.plugin = makePluginMethod(options.method);
  if (options.scales == "awq")
    recipe.awq.emplace();
  else if (options.scales == "smooth-quant")
    recipe.smoothQuant.emplace();
  else if (!options.scales.empty())
    return usageError("expected scales by awq or smooth-quant, but got \"" + escapeForMessage(options.scales) + "\"");
  for (const std::string &pattern : options.keep) {
    Result<RecipeRule> rule = makeRule(pattern, std::nullopt, "", "--keep");
    if (!rule)
      return rule.takeError();
    recipe.rules.push_back(std::move(*rule));
  }
  return recipe;
}

void qopt::addDefaultGates(Recipe &recipe) {
  if (recipe.saysGates || !recipe.needsStatistics())
    return;
  Gate gate;
  gate.heldOut = gate.isDefault = true;
  gate.where = "every calibrated recipe";
  recipe.gates.push_back(std::move(gate));
}

Result<Recipe> qopt::readRecipe(const std::string &path) {
  if (std::string_view(path).starts_with(builtinPrefix)) {
    Result<const BuiltinRecipe *> builtin = findBuiltinRecipe(std::string_view(path).substr(builtinPrefix.size()));
    if (!builtin)
      return builtin.takeError();
    return parseRecipe((*builtin)->yaml, path);
  }
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  std::span<const std::byte> bytes = file->bytes();
  return parseRecipe({reinterpret_cast<const char *>(bytes.data()), bytes.size()}, path);
}

Result<Recipe> qopt::chooseRecipe(const RecipeOptions &options, const std::string &path, const Recipe *parsed) {
  if (path.empty())
    return parsed ? Result<Recipe>(*parsed) : makeRecipe(options);
  if (!options.scheme.empty() || !options.head.empty() || !options.keep.empty() || !options.scales.empty())
    return usageError("expected either a recipe or scheme, head, keep and scales, but got both")
        .withNext("say it all in the recipe");
  return parsed ? Result<Recipe>(*parsed) : readRecipe(path);
}
