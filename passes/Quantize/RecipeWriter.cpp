// Writes a recipe as YAML, every setting said: what parseRecipe reads back to the same.
#include "passes/Quantize/MethodPass.h"
#include "passes/Quantize/RecipeWords.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

using namespace qopt;

/// A YAML scalar in double quotes; bytes that are not UTF-8 are replaced.
static std::string quoted(const std::string &text) {
  return nlohmann::ordered_json(text).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// The shortest digits that are read back to the same number.
static std::string digits(double value) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, end};
}

static std::string schemeText(const std::optional<Scheme> &scheme) { return scheme ? printScheme(*scheme) : "keep"; }

static std::string methodText(const Recipe &recipe, Method method) {
  return method == Method::Plugin ? recipe.plugin->name : method == Method::Gptq ? "gptq" : "rtn";
}

static std::string pluginText(const PluginMethod &plugin) {
  // Digits as the recipe has them; MLIR prints a double's first seven.
  std::map<std::string, std::string> settings(plugin.settings.begin(), plugin.settings.end());
  for (auto &[option, value] : createMethodPass(plugin.name)->settings())
    settings.try_emplace(option, value);
  std::string text;
  for (const auto &[option, value] : settings)
    text += (text.empty() ? "" : ", ") + option + ": " + quoted(value);
  return plugin.name + ": {" + text + "}\n";
}

static std::string gptqText(const Recipe &recipe) {
  std::string damping;
  for (double lambda : recipe.gptq.damping)
    damping += (damping.empty() ? "" : ", ") + digits(lambda);
  return "gptq: {inputs: " + wordFor(inputWords, recipe.inputs) +
         ", order: " + wordFor(orderWords, recipe.gptq.activationOrder) +
         ", scales: " + wordFor(scaleWords, recipe.gptq.scales) +
         ", range: " + wordFor(rangeWords, recipe.gptq.range.rule) + ", shrink: " + digits(recipe.gptq.shrink) +
         ", damping: [" + damping + "], max_fallback: " + std::to_string(recipe.maxFallback) + "}\n";
}

static std::string rotateText(const RotateSettings &rotate) {
  return "rotate: {kind: " + wordFor(rotationWords, rotate.kind) + ", seed: " + std::to_string(rotate.seed) +
         ", value_heads: " + wordFor(booleanWords, rotate.valueHeads) + "}\n";
}

static std::string awqText(const AwqSettings &awq) {
  std::string sites;
  for (SiteKind kind : awq.sites)
    sites += (sites.empty() ? "" : ", ") + wordFor(siteKindWords, kind);
  return "awq: {shrink: " + digits(awq.shrink) + ", objective: " + wordFor(objectiveWords, awq.objective) +
         (sites.empty() ? "" : ", sites: [" + sites + "]") + "}\n";
}

static std::string alphaText(std::optional<double> alpha) { return alpha ? digits(*alpha) : std::string(kSearch); }

static std::string activationsText(const ActivationRangeOptions &range) {
  std::string text = "activations: {range: " + wordFor(activationRangeWords, range.rule);
  if (range.rule == ActivationRangeRule::Percentile)
    text += ", percentile: " + digits(range.percentile);
  return text + "}\n";
}

static std::string smoothQuantText(const SmoothQuantSettings &smooth) {
  std::string sites;
  for (auto [kind, alpha] : llvm::zip_equal(smooth.sites, smooth.alphas))
    sites += (sites.empty() ? "" : ", ") + wordFor(siteKindWords, kind) + ": " + alphaText(alpha);
  return "smooth_quant: {" + (sites.empty() ? "alpha: " + alphaText(smooth.alpha) : "sites: {" + sites + "}") + "}\n";
}

static std::string gateText(const Gate &gate) {
  std::string text;
  auto add = [&](const std::string &key, const std::string &value) {
    text += (text.empty() ? "  - {" : ", ") + key + ": " + value;
  };
  auto addLimit = [&](const std::string &key, const std::optional<double> &limit) {
    if (limit)
      add(key, digits(*limit));
  };
  if (!gate.text.empty())
    add("text", quoted(gate.text));
  if (gate.heldOut)
    add("held_out", "true");
  addLimit("worst_error", gate.worstError);
  addLimit("kl", gate.divergence);
  addLimit("perplexity_ratio", gate.perplexityRatio);
  addLimit("top1", gate.agreement);
  if (gate.windows)
    add("windows", std::to_string(*gate.windows));
  if (gate.length)
    add("length", std::to_string(*gate.length));
  if (gate.isOnText())
    add("better_than_nearest", wordFor(booleanWords, gate.betterThanNearest));
  return text + "}\n";
}

static std::string ruleText(const Recipe &recipe, const RecipeRule &rule) {
  std::string text = "  - {match: " + quoted(rule.match);
  text += rule.scheme ? ", scheme: " + printScheme(*rule.scheme) : ", keep: true";
  if (rule.method)
    text += ", method: " + methodText(recipe, *rule.method);
  if (!rule.reason.empty())
    text += ", reason: " + quoted(rule.reason);
  return text + "}\n";
}

std::string qopt::printRecipe(const Recipe &recipe) {
  std::string text = "version: 1\nscheme: " + schemeText(recipe.body) + "\nhead: " + schemeText(recipe.head) +
                     "\nmethod: " + methodText(recipe, recipe.method) + "\n";
  if (recipe.rotate)
    text += rotateText(*recipe.rotate);
  if (recipe.awq)
    text += awqText(*recipe.awq);
  if (recipe.smoothQuant)
    text += smoothQuantText(*recipe.smoothQuant);
  if (recipe.scales())
    text += "unfoldable: " + wordFor(unfoldableWords, recipe.unfoldable) + "\n";
  if (recipe.hasStaticActivations())
    text += activationsText(recipe.activationRange);
  if (recipe.uses(Method::Gptq))
    text += gptqText(recipe);
  if (recipe.plugin)
    text += pluginText(*recipe.plugin);
  text += "rtn: {range: " + wordFor(rangeWords, recipe.nearestRange) + "}\n";
  if (!recipe.gates.empty() || recipe.saysGates)
    text += recipe.gates.empty() ? "gates: []\n" : "gates:\n";
  for (const Gate &gate : recipe.gates)
    text += gateText(gate);
  if (!recipe.rules.empty())
    text += "rules:\n";
  for (const RecipeRule &rule : recipe.rules)
    text += ruleText(recipe, rule);
  return text;
}
