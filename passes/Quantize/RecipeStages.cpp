// The sections of a recipe that say how an algorithm works.
#include "lib/Algorithms/Shrinkage.h"
#include "passes/Quantize/MethodPass.h"
#include "passes/Quantize/RecipeReader.h"
#include "passes/Quantize/RecipeText.h"
#include "passes/Quantize/RecipeWords.h"

#include <cmath>

using namespace qopt;
namespace yaml = llvm::yaml;

void RecipeReader::readActivations(yaml::Node *node) {
  ActivationRangeOptions &range = stages.activationRange;
  bool hasPercentile = false;
  mapping(node, "activations",
          {{"range",
            [&](yaml::Node *value) { range.rule = word<ActivationRangeRule>(value, "range", activationRangeWords); }},
           {"percentile", [&](yaml::Node *value) {
              range.percentile = number(value, "percentile"), hasPercentile = true;
              if (!failure && !(range.percentile > 0 && range.percentile <= 100))
                fail(value, "expected a percentile above 0 and up to 100");
            }}});
  if (hasPercentile && range.rule != ActivationRangeRule::Percentile)
    fail(node, "expected a percentile with range: percentile alone", "add range: percentile, or remove the key");
  activationsPlace = place(node);
}

void RecipeReader::readRtn(yaml::Node *node) {
  mapping(node, "rtn",
          {{"range", [&](yaml::Node *value) { stages.nearestRange = word<RangeRule>(value, "range", rangeWords); }}});
}

void RecipeReader::readGptq(yaml::Node *node) {
  mapping(
      node, "gptq",
      {{"inputs", [&](yaml::Node *value) { stages.inputs = word<HessianInputs>(value, "inputs", inputWords); }},
       {"order", [&](yaml::Node *value) { stages.gptq.activationOrder = word<bool>(value, "order", orderWords); }},
       {"scales",
        [&](yaml::Node *value) { stages.gptq.scales = word<GptqOptions::Scales>(value, "scales", scaleWords); }},
       {"range",
        [&](yaml::Node *value) { stages.gptq.range = RangeOptions::of(word<RangeRule>(value, "range", rangeWords)); }},
       {"shrink", [&](yaml::Node *value) { stages.gptq.shrink = number(value, "shrink"); }},
       {"max_fallback",
        [&](yaml::Node *value) {
          double count = number(value, "max_fallback");
          stages.maxFallback = static_cast<int64_t>(count);
          if (!failure && (count < 0 || count > 1e9 || static_cast<double>(stages.maxFallback) != count))
            fail(value, "expected max_fallback to be a number of linears");
        }},
       {"damping", [&](yaml::Node *value) {
          stages.gptq.damping.clear();
          if (auto *list = llvm::dyn_cast_or_null<yaml::SequenceNode>(value)) {
            for (yaml::Node &entry : *list)
              stages.gptq.damping.push_back(number(&entry, "damping"));
          } else {
            stages.gptq.damping.push_back(number(value, "damping"));
          }
        }}});
  if (failure)
    return;
  gptqPlace = place(node);
  if (Status status = stages.gptq.validate(); !status)
    failure = status.takeError().in(place(node));
}

Method RecipeReader::readMethod(yaml::Node *node) {
  std::string text = scalar(node, "method");
  if (failure)
    return Method::RoundToNearest;
  Result<Method> method = parseMethod(text);
  if (!method) {
    failure = method.takeError().in(place(node));
    return Method::RoundToNearest;
  }
  if (*method == Method::Plugin && !stages.plugin)
    stages.plugin = makePluginMethod(text), pluginPlace = place(node);
  else if (*method == Method::Plugin && stages.plugin->name != text)
    fail(node,
         "expected one method besides rtn, because one pass rounds all weights, but got " + text + " and " +
             stages.plugin->name,
         "quantize in two runs: keep in the first what the second shall round");
  return *method;
}

void RecipeReader::readPlugin(const std::string &method, yaml::Node *node) {
  auto *map = llvm::dyn_cast_or_null<yaml::MappingNode>(node);
  if (!map)
    return fail(node, "expected " + method + " to be a mapping of settings to values");
  std::unique_ptr<MethodPass> pass = createMethodPass(method);
  PluginMethod plugin{method, {}, false};
  for (yaml::KeyValueNode &pair : *map) {
    if (failure)
      return;
    std::string where = place(pair.getKey());
    std::string key = scalar(pair.getKey(), "a setting"), value = scalar(pair.getValue(), key);
    if (failure)
      return;
    if (llvm::any_of(plugin.settings, [&](const auto &setting) { return setting.first == key; }))
      failure = usageError("expected each key once, but got \"" + escapeForMessage(key) + "\" again", where);
    else if (Status status = pass->set(key, value); !status)
      failure = status.takeError().in(where);
    plugin.settings.emplace_back(key, value);
  }
  if (failure)
    return;
  if (Status status = pass->checkSettings(); !status)
    failure = status.takeError().in(place(node));
  plugin.needsStatistics = pass->needsStatistics();
  plugins.emplace_back(std::move(plugin), place(node));
}

void RecipeReader::checkMethods(bool usesGptq) {
  auto unused = [](const std::string &method, const std::string &where) {
    return usageError("expected a recipe that uses " + method + ", because it has settings for it", where)
        .withNext("add method: " + method + ", or remove the section");
  };
  if (!gptqPlace.empty() && !usesGptq)
    failure = unused("gptq", gptqPlace);
  if (stages.plugin && usesGptq)
    failure = usageError("expected one method besides rtn, because one pass rounds all weights, but got " +
                             stages.plugin->name + " and gptq",
                         pluginPlace)
                  .withNext("quantize in two runs: keep in the first what the second shall round");
  for (auto &[plugin, where] : plugins) {
    if (stages.plugin && stages.plugin->name == plugin.name)
      stages.plugin = std::move(plugin);
    else if (!failure)
      failure = unused(plugin.name, where);
  }
}

void RecipeReader::readRotate(yaml::Node *node) {
  RotateSettings rotate;
  mapping(
      node, "rotate",
      {{"kind", [&](yaml::Node *value) { rotate.kind = word<lowbit::RotationKind>(value, "kind", rotationWords); }},
       {"value_heads", [&](yaml::Node *value) { rotate.valueHeads = word<bool>(value, "value_heads", booleanWords); }},
       {"seed", [&](yaml::Node *value) {
          std::string text = scalar(value, "seed");
          if (!failure && llvm::StringRef(text).getAsInteger(10, rotate.seed))
            fail(value, "expected seed to be a number from 0 to 2^64 - 1, but got \"" + escapeForMessage(text) + "\"");
        }}});
  stages.rotate = rotate;
}

void RecipeReader::readAwq(yaml::Node *node) {
  AwqSettings awq;
  mapping(
      node, "awq",
      {{"shrink",
        [&](yaml::Node *value) {
          awq.shrink = number(value, "shrink");
          if (Status status = checkShrinkage(awq.shrink); !failure && !status)
            fail(value, status.error().rule);
        }},
       {"objective", [&](yaml::Node *value) { awq.objective = word<AwqError>(value, "objective", objectiveWords); }},
       {"sites", [&](yaml::Node *value) {
          auto *list = llvm::dyn_cast_or_null<yaml::SequenceNode>(value);
          if (!list)
            return fail(value, "expected sites to be a list", "write for example sites: [mlp-input, mlp-output]");
          for (yaml::Node &entry : *list) {
            auto kind = word<SiteKind>(&entry, "a site", siteKindWords);
            if (!failure && llvm::is_contained(awq.sites, kind))
              fail(&entry, "expected each site once, but got " + wordFor(siteKindWords, kind) + " again");
            awq.sites.push_back(kind);
          }
          if (!failure && awq.sites.empty())
            fail(value, "expected a site", "leave the section out");
        }}});
  stages.awq = std::move(awq);
}

void RecipeReader::readSmoothQuant(yaml::Node *node) {
  SmoothQuantSettings smooth;
  bool saysAlpha = false;
  auto alpha = [&](yaml::Node *value) -> std::optional<double> {
    if (auto *text = llvm::dyn_cast_or_null<yaml::ScalarNode>(value); text && scalar(value, "alpha") == kSearch)
      return std::nullopt;
    double read = number(value, "alpha");
    if (!failure && !(read >= 0 && read <= 1))
      fail(value, "expected an alpha from 0 to 1", "or write search");
    return read;
  };
  mapping(node, "smooth_quant",
          {{"alpha", [&](yaml::Node *value) { smooth.alpha = alpha(value), saysAlpha = true; }},
           {"sites", [&](yaml::Node *value) {
              std::vector<std::pair<llvm::StringRef, Field>> fields;
              for (const auto &entry : siteKindWords)
                fields.push_back({entry.first, [&, kind = entry.second](yaml::Node *each) {
                                    smooth.sites.push_back(kind);
                                    smooth.alphas.push_back(alpha(each));
                                  }});
              mapping(value, "sites", fields);
              if (!failure && smooth.sites.empty())
                fail(value, "expected a site", "leave the section out");
            }}});
  // The α that is said beside sites is that of all others.
  for (const auto &[word, kind] : siteKindWords)
    if (saysAlpha && !smooth.sites.empty() && !llvm::is_contained(smooth.sites, kind)) {
      smooth.sites.push_back(kind);
      smooth.alphas.push_back(smooth.alpha);
    }
  stages.smoothQuant = std::move(smooth);
}

void RecipeReader::readGate(yaml::Node *node) {
  Gate gate;
  gate.where = place(node);
  auto limit = [&](std::string_view what, std::optional<double> &to, double most = HUGE_VAL) {
    return [&, what, most](yaml::Node *value) {
      to = number(value, what);
      if (!failure && !(*to >= 0 && *to <= most && std::isfinite(*to)))
        fail(value, "expected " + std::string(what) + " to be a number from 0" +
                        (std::isfinite(most) ? " to " + std::to_string(static_cast<int>(most)) : " on"));
    };
  };
  auto count = [&](yaml::Node *value, std::string_view what, int64_t from) {
    double read = number(value, what);
    if (!failure && !(read >= static_cast<double>(from) && read <= 1e9 && std::floor(read) == read))
      fail(value, "expected " + std::string(what) + " to be a number of at least " + std::to_string(from));
    return static_cast<int64_t>(failure ? from : read);
  };
  mapping(node, "a gate",
          {{"text", [&](yaml::Node *value) { gate.text = scalar(value, "text"); }},
           {"held_out", [&](yaml::Node *value) { gate.heldOut = word<bool>(value, "held_out", booleanWords); }},
           {"kl", limit("kl", gate.divergence)},
           {"perplexity_ratio", limit("perplexity_ratio", gate.perplexityRatio)},
           {"top1", limit("top1", gate.agreement, 1)},
           {"worst_error", limit("worst_error", gate.worstError)},
           {"windows", [&](yaml::Node *value) { gate.windows = count(value, "windows", 1); }},
           {"length", [&](yaml::Node *value) { gate.length = count(value, "length", 2); }},
           {"better_than_nearest", [&](yaml::Node *value) {
              gate.betterThanNearest = word<bool>(value, "better_than_nearest", booleanWords);
            }}});
  if (failure)
    return;
  bool asksOfText = gate.divergence || gate.perplexityRatio || gate.agreement;
  if ((!gate.text.empty()) + gate.heldOut + gate.worstError.has_value() != 1 || (asksOfText && !gate.isOnText()))
    return fail(node, "expected a gate on a text, on held_out: true, or of worst_error",
                "write for example {text: manual.txt, kl: 0.2}");
  if (gate.heldOut && gate.length)
    return fail(node, "expected no length in a gate on held-out text, whose windows are those of the calibration",
                "calibrate with another --length, or name a text");
  if (gate.worstError && (gate.windows || gate.length || !gate.betterThanNearest))
    return fail(node,
                "expected no windows, length or better_than_nearest in a gate of worst_error, which reads no text",
                "write {worst_error: 8}, and another gate for a text");
  stages.gates.push_back(std::move(gate));
}

void RecipeReader::readGates(yaml::Node *node) {
  auto *list = llvm::dyn_cast_or_null<yaml::SequenceNode>(node);
  if (!list)
    return fail(node, "expected gates to be a list", "write one gate below the other, each after a dash");
  stages.saysGates = true;
  for (yaml::Node &gate : *list) {
    if (failure)
      return;
    readGate(&gate);
  }
}

void RecipeReader::readUnfoldable(yaml::Node *node) {
  stages.unfoldable = word<Unfoldable>(node, "unfoldable", unfoldableWords);
}
