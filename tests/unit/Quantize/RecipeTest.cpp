// Recipes: what they say, and where each mistake is reported.
#include "passes/Quantize/BuiltinRecipes.h"
#include "passes/Quantize/MethodPass.h"

#include <gtest/gtest.h>

using namespace qopt;

static std::string failure(std::string_view yaml) {
  Result<Recipe> recipe = parseRecipe(yaml, "r.yaml");
  EXPECT_FALSE(recipe) << yaml;
  return recipe ? "" : recipe.error().format();
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE(text.find(part), std::string::npos) << text

TEST(Recipe, SaysEverything) {
  Result<Recipe> recipe = parseRecipe(R"(# a comment
version: 1
scheme: w4a8:g64:asym
head: w8:g32
rules:
  - match: model.layers.0
    scheme: w8a8:g64
  - {match: "*.mlp.down_proj.weight", keep: true, reason: "too sensitive"}
)",
                                      "r.yaml");
  ASSERT_TRUE(recipe) << recipe.error().format();
  EXPECT_EQ(printScheme(*recipe->body), "w4a8:g64:asym:f16");
  ASSERT_TRUE(recipe->head);
  EXPECT_EQ(printScheme(*recipe->head), "w8a8:g32:sym:f16");
  ASSERT_EQ(recipe->rules.size(), 2u);
  EXPECT_EQ(printScheme(*recipe->rules[0].scheme), "w8a8:g64:sym:f16");
  EXPECT_FALSE(recipe->rules[1].scheme);
  EXPECT_EQ(recipe->rules[1].reason, "too sensitive");
  EXPECT_TRUE(recipe->rules[1].where.starts_with("r.yaml:8:"));
}

TEST(Recipe, Head) {
  EXPECT_EQ(printScheme(*makeRecipe({"w4a16", "", {}})->head), "w8a16:g32:sym:f16");
  EXPECT_EQ(printScheme(*makeRecipe({"w3a8:g64:asym", "", {}})->head), "w8a8:g32:sym:f16");
  EXPECT_EQ(printScheme(*makeRecipe({"w2a16", "w3:g32", {}})->head), "w3a16:g32:sym:f16");
  EXPECT_EQ(printScheme(*makeRecipe({"w8a8:g128", "", {}})->head), "w8a8:g128:sym:f16");
  EXPECT_EQ(printScheme(*makeRecipe({"w4a8", "w4a16:channel", {}})->head), "w4a16:channel:sym:f16");
  EXPECT_FALSE(makeRecipe({"w4a8", "keep", {}})->head);
  EXPECT_FALSE(makeRecipe({"w4a8", "w9", {}}));
  EXPECT_FALSE(makeRecipe({"", "", {}}));
  // A kept body: what has a scheme of its own must say its activations.
  EXPECT_FALSE(makeRecipe({"keep", "", {}})->head);
  EXPECT_EQ(printScheme(*makeRecipe({"keep", "w8a16:g32", {}})->head), "w8a16:g32:sym:f16");
  EXPECT_FALSE(makeRecipe({"keep", "w8:g32", {}}));
}

TEST(Recipe, MatchesNamesAndTheirFirstParts) {
  auto matches = [](const char *glob, const char *name) {
    Result<Recipe> recipe = makeRecipe({"w4a8", "", {glob}});
    EXPECT_TRUE(recipe);
    return recipe && recipe->rules[0].matches(name);
  };
  const char *name = "model.layers.1.mlp.up_proj.weight";
  EXPECT_TRUE(matches(name, name));
  EXPECT_TRUE(matches("model.layers.1", name));
  EXPECT_TRUE(matches("model.layers.[0-3]", name));
  EXPECT_TRUE(matches("*.mlp", name));
  EXPECT_TRUE(matches("*.{up,down}_proj.weight", name));
  EXPECT_FALSE(matches("model.layers.1", "model.layers.11.mlp.up_proj.weight"));
  EXPECT_FALSE(matches("layers.1", name));
  EXPECT_FALSE(matches("*.down_proj.weight", name));
}

TEST(Recipe, RefusesWithPlace) {
  EXPECT_CONTAINS(failure(""), "expected");
  EXPECT_CONTAINS(failure("scheme: w4a8\n"), "expected a key \"version\"");
  EXPECT_CONTAINS(failure("version: 1\n"), "expected a key \"scheme\"");
  EXPECT_CONTAINS(failure("version: 2\nscheme: w4a8\n"), "r.yaml:1:10");
  std::string unknown = failure("version: 1\nscheme: w4a8\nrulse: []\n");
  EXPECT_CONTAINS(unknown, "r.yaml:3:1");
  EXPECT_CONTAINS(unknown, "write \"rules\" if that is meant");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nscheme: w8a8\n"), "r.yaml:3:1");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w7a8\n"), "r.yaml:2:9");
  EXPECT_CONTAINS(failure("version: 1\nscheme: [w4a8]\n"), "expected scheme to be text");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nrules: w8a8\n"), "expected rules to be a list");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nrules:\n - scheme: w8a8\n"), "a key \"match\"");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nrules:\n - match: a\n"),
                  "\"scheme\", \"method\" or both, or with \"keep: true\"");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nrules:\n - {match: a, keep: true, scheme: w8a8}\n"),
                  "or both, or with");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nrules:\n - {match: a, keep: no}\n"), "keep to be true");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nrules:\n - {match: \"[\", keep: true}\n"), "expected a glob");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\nrules:\n - {match: a, scheme: w8}\n - {mach: b}\n"), "r.yaml:5:5");
  EXPECT_CONTAINS(failure("version: &a 1\nscheme: *a\n"), "alias");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a8\n---\nversion: 1\n"), "one document");
  EXPECT_CONTAINS(failure("version: 1\nscheme: \"w4a8\n"), "expected YAML");
  EXPECT_CONTAINS(failure("version: 1: 2\n"), "expected");
}

TEST(Recipe, DeepAndLongTextIsRefusedBeforeItIsParsed) {
  EXPECT_CONTAINS(failure(std::string(100000, '[')), "nested at most 64 deep");
  EXPECT_CONTAINS(failure(std::string(100000, '{')), "nested at most 64 deep");
  std::string dashes;
  for (int i = 0; i < 100000; ++i)
    dashes += "- ";
  EXPECT_CONTAINS(failure(dashes), "nested at most 64 deep");
  EXPECT_CONTAINS(failure(std::string((1 << 20) + 1, ' ')), "at most 1 MiB");
  std::string stairs;
  for (int i = 0; i < 1000; ++i)
    stairs += std::string(i, ' ') + "a:\n";
  EXPECT_CONTAINS(failure(stairs), "nested at most 64 deep");
}

TEST(Recipe, WhatWasReadOfAFileIsNotReadAgain) {
  Result<Recipe> parsed = parseRecipe("version: 1\nscheme: w8a16:g32\n", "r.yaml");
  ASSERT_TRUE(parsed) << parsed.error().format();
  Result<Recipe> chosen = chooseRecipe({}, "/nowhere/r.yaml", &*parsed);
  ASSERT_TRUE(chosen) << chosen.error().format();
  EXPECT_EQ(printRecipe(*chosen), printRecipe(*parsed));
  EXPECT_FALSE(chooseRecipe({}, "/nowhere/r.yaml"));
  EXPECT_FALSE(chooseRecipe({"w4a16", "", {}}, "/nowhere/r.yaml", &*parsed));
}

TEST(Recipe, Methods) {
  Result<Recipe> recipe = parseRecipe(R"(version: 1
scheme: w4a16:g64
method: gptq
gptq: {order: stored, scales: live, range: power, shrink: 0.25, damping: [0.02, 0.5], inputs: statistics,
       max_fallback: 2}
rules:
  - {match: "*.down_proj.weight", scheme: w8a16:g64, method: rtn}
)",
                                      "r.yaml");
  ASSERT_TRUE(recipe) << recipe.error().format();
  EXPECT_EQ(recipe->method, Method::Gptq);
  EXPECT_TRUE(recipe->uses(Method::RoundToNearest));
  EXPECT_EQ(recipe->rules[0].method, Method::RoundToNearest);
  EXPECT_FALSE(recipe->head); // kept, since nobody named it
  EXPECT_FALSE(recipe->gptq.activationOrder);
  EXPECT_EQ(recipe->gptq.scales, GptqOptions::Scales::Live);
  EXPECT_EQ(recipe->gptq.range.rule, RangeRule::Power);
  EXPECT_EQ(recipe->gptq.shrink, 0.25);
  EXPECT_EQ(recipe->inputs, HessianInputs::Statistics);
  EXPECT_EQ(recipe->maxFallback, 2);
  EXPECT_EQ(recipe->gptq.damping, (std::vector<double>{0.02, 0.5}));
  EXPECT_EQ(recipe->nearestRange, RangeRule::MinMax);
  Result<Recipe> searched = parseRecipe("version: 1\nscheme: w4a16\nrtn: {range: diagonal}", "r.yaml");
  ASSERT_TRUE(searched);
  EXPECT_EQ(searched->nearestRange, RangeRule::Diagonal);
  EXPECT_TRUE(searched->needsStatistics());
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nrtn: {range: widest}"),
                  "one of minmax, squared, diagonal, power, hessian, signed, clip");
  // What is not said is the default, also of the command line.
  EXPECT_EQ(parseRecipe("version: 1\nscheme: w4a16\nmethod: gptq", "r.yaml")->gptq.shrink, 0.1);
  EXPECT_EQ(makeRecipe({"w4a16", "", {}, "gptq"})->gptq.range.rule, RangeRule::Hessian);
  EXPECT_FALSE(makeRecipe({"w4a16", "", {}, "gptq"})->head);

  Result<Recipe> methodAlone =
      parseRecipe("version: 1\nscheme: w4a16:g32\nrules: [{match: a, method: gptq}]", "r.yaml");
  ASSERT_TRUE(methodAlone) << methodAlone.error().format();
  EXPECT_EQ(methodAlone->rules[0].scheme, methodAlone->body);
  EXPECT_CONTAINS(failure("version: 1\nscheme: keep\nhead: w8a16\nrules: [{match: a, method: gptq}]"),
                  "a rule with a scheme");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nmethod: awk"), "one of rtn, gptq, but got \"awk\"");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\ngptq: {shrink: much}"), "a number, but got \"much\"");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\ngptq: {max_fallback: 1.5}"), "to be a number of linears");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\ngptq: {shrink: 2}"), "expected a shrinkage in [0, 1)");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\ngptq: {scales: live}"), "live scales without activation order");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\ngptq: {scale: live}"), "write \"scales\"");
  EXPECT_FALSE(makeRecipe({"w4a16", "", {}, "awk"}));
}

namespace {
/// A method as a plugin registers it.
template <typename Self> struct Toy : mlir::PassWrapper<Self, MethodPass> {
  Toy() = default;
  Toy(const Toy &other) : mlir::PassWrapper<Self, MethodPass>(other) {}
  bool needsStatistics() const override { return calibrated; }
  Status checkSettings() const override { return rounds > 9 ? Status(usageError("at most 9 rounds")) : Status(); }
  Status quantize(QuantizationRun &run, QuantizationTarget &target) override { return {}; }
  mlir::Pass::Option<int64_t> rounds{*this, "rounds", llvm::cl::init(3)};
  mlir::Pass::Option<bool> calibrated{*this, "calibrated", llvm::cl::init(false)};
};
struct QuantizeToy : Toy<QuantizeToy> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(QuantizeToy)
  llvm::StringRef getArgument() const override { return "quantize-toy"; }
};
struct QuantizeToyToo : Toy<QuantizeToyToo> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(QuantizeToyToo)
  llvm::StringRef getArgument() const override { return "quantize-toy-too"; }
};
} // namespace

TEST(Recipe, MethodsOfPlugins) {
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nmethod: quantize-toy"), "one of rtn, gptq, but got");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nquantize-toy: {}"), "load the plugin that has it");
  MethodRegistration<QuantizeToy>();
  MethodRegistration<QuantizeToy>(); // a plugin that is loaded twice
  MethodRegistration<QuantizeToyToo>();
  EXPECT_EQ(registeredMethods(), (std::vector<std::string>{"quantize-toy", "quantize-toy-too"}));

  Result<Recipe> recipe = parseRecipe("version: 1\nquantize-toy: {calibrated: true, rounds: 4}\nscheme: w4a16\n"
                                      "rules: [{match: a, method: rtn}]\nmethod: quantize-toy",
                                      "r.yaml");
  ASSERT_TRUE(recipe) << recipe.error().format();
  EXPECT_EQ(recipe->method, Method::Plugin);
  ASSERT_TRUE(recipe->plugin);
  EXPECT_EQ(recipe->plugin->name, "quantize-toy");
  EXPECT_EQ(recipe->plugin->settings,
            (std::vector<std::pair<std::string, std::string>>{{"calibrated", "true"}, {"rounds", "4"}}));
  EXPECT_TRUE(recipe->needsStatistics());
  EXPECT_FALSE(recipe->head); // kept, since nobody named it
  Result<Recipe> inRule = parseRecipe("version: 1\nscheme: w4a16\nrules: [{match: a, method: quantize-toy}]", "r.yaml");
  ASSERT_TRUE(inRule) << inRule.error().format();
  EXPECT_EQ(inRule->rules[0].method, Method::Plugin);
  EXPECT_EQ(inRule->plugin->name, "quantize-toy");
  EXPECT_FALSE(inRule->needsStatistics());
  EXPECT_EQ(makeRecipe({"w4a16", "", {}, "quantize-toy"})->plugin->name, "quantize-toy");
  // Written with all of its settings, and read back to the same.
  std::string written = printRecipe(*recipe);
  EXPECT_CONTAINS(written, "method: quantize-toy\nquantize-toy: {calibrated: \"true\", rounds: \"4\"}\n");
  Result<Recipe> again = parseRecipe(written, "r.yaml");
  ASSERT_TRUE(again) << again.error().format();
  EXPECT_EQ(printRecipe(*again), written);

  std::string head = "version: 1\nscheme: w4a16\nmethod: quantize-toy\n";
  EXPECT_CONTAINS(failure(head + "quantize-toy: {round: 4}"),
                  "has (calibrated, rounds), but got \"round\"\n  in: r.yaml:4:16");
  EXPECT_CONTAINS(failure(head + "quantize-toy: {overlay: x}"), "but got \"overlay\"");
  EXPECT_CONTAINS(failure(head + "quantize-toy: {rounds: few}"), "takes, but got \"few\"\n  in: r.yaml:4:16");
  EXPECT_CONTAINS(failure(head + "quantize-toy: {rounds: '} x={'}"), "without braces and quotes");
  EXPECT_CONTAINS(failure(head + "quantize-toy: {rounds: 1, rounds: 2}"), "each key once");
  EXPECT_CONTAINS(failure(head + "quantize-toy: {rounds: 10}"), "at most 9 rounds\n  in: r.yaml:4:16");
  EXPECT_CONTAINS(failure(head + "quantize-toy: [1]"), "a mapping of settings to values");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nquantize-toy: {}"), "because it has settings for it");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\ngptq: {order: stored}"),
                  "expected a recipe that uses gptq, because it has settings for it\n  in: r.yaml:3:8");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nawq: {sites: [mlp-input, mlp-output, mlp-input]}"),
                  "expected each site once, but got mlp-input again");
  EXPECT_CONTAINS(failure(head + "rules: [{match: a, method: quantize-toy-too}]"),
                  "but got quantize-toy-too and quantize-toy\n  in: r.yaml:4:28");
  EXPECT_CONTAINS(failure(head + "rules: [{match: a, method: gptq}]"), "but got quantize-toy and gptq");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nmethod: quantize-toi"), "write \"quantize-toy\"");
}

TEST(Recipe, Scales) {
  Result<Recipe> awq =
      parseRecipe("version: 1\nscheme: w4a16\nawq: {shrink: 0.2, objective: module, sites: [mlp-output]}\n"
                  "unfoldable: cancel\nrtn: {range: clip}",
                  "r.yaml");
  ASSERT_TRUE(awq) << awq.error().format();
  ASSERT_TRUE(awq->awq);
  EXPECT_EQ(awq->awq->shrink, 0.2);
  EXPECT_EQ(awq->awq->objective, AwqError::Module);
  EXPECT_CONTAINS(failure("version: 1\nscheme: w4a16\nawq: {objective: modul}"), "module");
  EXPECT_EQ(awq->awq->sites, std::vector{SiteKind::MlpOutput});
  EXPECT_EQ(awq->unfoldable, Unfoldable::Cancel);
  EXPECT_EQ(awq->nearestRange, RangeRule::Clip);
  EXPECT_TRUE(awq->needsStatistics());
  Result<Recipe> smooth = parseRecipe("version: 1\nscheme: w8a8\nsmooth_quant: {sites: {mlp-input: 0.4, "
                                      "attention-input: 1}}",
                                      "r.yaml");
  ASSERT_TRUE(smooth) << smooth.error().format();
  ASSERT_TRUE(smooth->smoothQuant);
  EXPECT_EQ(smooth->smoothQuant->sites, (std::vector{SiteKind::MlpInput, SiteKind::AttentionInput}));
  EXPECT_EQ(smooth->smoothQuant->alphas, (std::vector<std::optional<double>>{0.4, 1}));
  EXPECT_TRUE(parseRecipe("version: 1\nscheme: w8a8\nawq: {}", "r.yaml")->awq);
  // The paper's α for most models, where nobody names another.
  for (Result<Recipe> plain : {parseRecipe("version: 1\nscheme: w8a8\nsmooth_quant: {}", "r.yaml"),
                               makeRecipe({"w8a8", "", {}, "", "smooth-quant"})}) {
    ASSERT_TRUE(plain && plain->smoothQuant);
    EXPECT_EQ(plain->smoothQuant->alphaOf(SiteKind::MlpOutput), 0.5);
  }
  EXPECT_FALSE(makeRecipe({"w8a8", "", {}, "", "smooth"}));

  Result<Recipe> rotated =
      parseRecipe("version: 1\nscheme: w8a8\nrotate: {kind: orthogonal, seed: 9, value_heads: false}", "r.yaml");
  ASSERT_TRUE(rotated) << rotated.error().format();
  ASSERT_TRUE(rotated->rotate);
  EXPECT_EQ(rotated->rotate->kind, lowbit::RotationKind::Orthogonal);
  EXPECT_EQ(rotated->rotate->seed, 9u);
  EXPECT_FALSE(rotated->rotate->valueHeads);
  EXPECT_FALSE(rotated->needsStatistics());

  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nawq: {}\nsmooth_quant: {}"), "either awq or smooth_quant");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nrotate: {kind: givens}"), "one of hadamard, orthogonal");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nrotate: {seed: -1}"), "expected seed to be a number");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nawq: {shrink: 1}"), "a shrinkage in [0, 1)");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nawq: {sites: [mlp]}"), "one of attention-input");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nawq: {sites: []}"), "expected a site");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nsmooth_quant: {alpha: 2}"), "an alpha from 0 to 1");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nsmooth_quant: {sites: {mlp: 1}}"), "attention-input");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nunfoldable: maybe"), "one of refuse, cancel");
}

TEST(Recipe, StaticActivations) {
  Result<Recipe> recipe =
      parseRecipe("version: 1\nscheme: w8a8s:channel\nactivations: {range: percentile, percentile: 99.5}", "r.yaml");
  ASSERT_TRUE(recipe) << recipe.error().format();
  EXPECT_EQ(recipe->activationRange, (ActivationRangeOptions{ActivationRangeRule::Percentile, 99.5}));
  EXPECT_TRUE(recipe->hasStaticActivations());
  EXPECT_TRUE(recipe->needsStatistics());
  // The head reads rows that calibration does not see.
  EXPECT_EQ(recipe->head->activations, ActivationKind::I8PerToken);
  EXPECT_EQ(parseRecipe("version: 1\nscheme: w8a8s:channel\nhead: w8:g32", "r.yaml")->head, *parseScheme("w8a8:g32"));
  Result<Recipe> inRule = parseRecipe("version: 1\nscheme: w8a16\nactivations: {range: error}\n"
                                      "rules: [{match: a, scheme: w8a8s:g64}]",
                                      "r.yaml");
  ASSERT_TRUE(inRule) << inRule.error().format();
  EXPECT_EQ(inRule->activationRange.rule, ActivationRangeRule::Error);
  EXPECT_TRUE(inRule->needsStatistics());
  EXPECT_FALSE(makeRecipe({"w8a8", "", {}})->hasStaticActivations());
  EXPECT_TRUE(makeRecipe({"w8a8s", "", {}})->needsStatistics());

  std::string head = "version: 1\nscheme: w8a8s\nactivations: ";
  EXPECT_CONTAINS(failure(head + "{range: widest}"), "one of max, percentile, error, but got \"widest\"");
  EXPECT_CONTAINS(failure(head + "{ranges: max}"), "write \"range\"");
  EXPECT_CONTAINS(failure(head + "max"), "expected activations to be a mapping");
  for (const char *percentile : {"0", "-1", "100.5", "nan"})
    EXPECT_CONTAINS(failure(head + "{range: percentile, percentile: " + percentile + "}"),
                    "a percentile above 0 and up to 100");
  EXPECT_CONTAINS(failure(head + "{range: max, percentile: 99}"), "a percentile with range: percentile alone");
  EXPECT_CONTAINS(failure("version: 1\nscheme: w8a8\nactivations: {range: max}"),
                  "a scheme with static activations, because the recipe says how their ranges are chosen");
}

TEST(Recipe, Gates) {
  Result<Recipe> recipe =
      parseRecipe("version: 1\nscheme: w4a16\ngates:\n"
                  "  - {text: a.txt, kl: 0.5, perplexity_ratio: 1.5, top1: 0.25, windows: 3, length: 9}\n"
                  "  - {held_out: true, better_than_nearest: false}\n"
                  "  - {worst_error: 2}\n",
                  "r.yaml");
  ASSERT_TRUE(recipe) << recipe.error().format();
  ASSERT_EQ(recipe->gates.size(), 3u);
  const Gate &text = recipe->gates[0];
  EXPECT_EQ(text.text, "a.txt");
  EXPECT_EQ(text.divergence, 0.5);
  EXPECT_EQ(text.perplexityRatio, 1.5);
  EXPECT_EQ(text.agreement, 0.25);
  EXPECT_EQ(text.windows, 3);
  EXPECT_EQ(text.length, 9);
  EXPECT_TRUE(text.betterThanNearest);
  EXPECT_EQ(text.where, "r.yaml:4:6");
  EXPECT_TRUE(recipe->gates[1].heldOut);
  EXPECT_FALSE(recipe->gates[1].betterThanNearest);
  EXPECT_EQ(recipe->gates[1].windows, std::nullopt);
  EXPECT_EQ(recipe->gates[2].worstError, 2);

  std::string start = "version: 1\nscheme: w4a16\ngates: ";
  EXPECT_CONTAINS(failure(start + "[{kl: 1}]"), "a gate on a text");
  EXPECT_CONTAINS(failure(start + "[{text: a, held_out: true}]"), "a gate on a text");
  EXPECT_CONTAINS(failure(start + "[{worst_error: 1, kl: 1}]"), "a gate on a text");
  EXPECT_CONTAINS(failure(start + "[{text: a, kl: -1}]"), "expected kl to be a number from 0 on");
  EXPECT_CONTAINS(failure(start + "[{text: a, kl: inf}]"), "expected kl to be a number from 0 on");
  EXPECT_CONTAINS(failure(start + "[{text: a, perplexity_ratio: nan}]"),
                  "expected perplexity_ratio to be a number from 0 on");
  EXPECT_CONTAINS(failure(start + "[{text: a, top1: 5}]"), "expected top1 to be a number from 0 to 1");
  EXPECT_CONTAINS(failure(start + "[{worst_error: inf}]"), "expected worst_error to be a number from 0 on");
  EXPECT_CONTAINS(failure(start + "[{text: a, windows: 0}]"), "expected windows to be a number of at least 1");
  EXPECT_CONTAINS(failure(start + "[{text: a, length: 1.5}]"), "expected length to be a number of at least 2");
  EXPECT_CONTAINS(failure(start + "{text: a}"), "expected gates to be a list");
}

TEST(Recipe, GatesByDefault) {
  auto gates = [](const std::string &text) {
    Recipe recipe = *parseRecipe("version: 1\nscheme: w4a16\n" + text, "r.yaml");
    addDefaultGates(recipe);
    return recipe.gates;
  };
  EXPECT_TRUE(gates("").empty()); // round to nearest looks at no text that it could be too close to
  EXPECT_TRUE(gates("method: gptq\ngates: []").empty());
  ASSERT_EQ(gates("method: gptq").size(), 1u);
  EXPECT_TRUE(gates("awq: {}")[0].heldOut && gates("awq: {}")[0].betterThanNearest && gates("awq: {}")[0].isDefault);
  ASSERT_EQ(gates("method: gptq\ngates: [{worst_error: 1}]").size(), 1u);
  EXPECT_FALSE(gates("method: gptq\ngates: [{worst_error: 1}]")[0].heldOut);
  EXPECT_CONTAINS(printRecipe(*parseRecipe("version: 1\nscheme: w4a16\ngates: []", "r.yaml")), "gates: []\n");
}

TEST(Recipe, PrintsWhatItReads) {
  // Nothing here is a default.
  const char *text = R"(version: 1
scheme: w3a8g32:channel:asym:bf16
head: w4a8g32:g64:asym:f32
method: gptq
rotate: {kind: orthogonal, seed: 18446744073709551615, value_heads: false}
awq: {shrink: 0.25, objective: module, sites: [mlp-output, attention-input]}
unfoldable: cancel
gptq: {inputs: statistics, order: stored, scales: live, range: power, shrink: 0.05, damping: [0.001, 0.1], max_fallback: 7}
rtn: {range: clip}
gates:
  - {text: "a \"b\".txt", kl: 0.3, perplexity_ratio: 1.01, top1: 0.9, windows: 3, length: 9, better_than_nearest: false}
  - {held_out: true, windows: 16, better_than_nearest: true}
  - {worst_error: 2}
rules:
  - {match: "*.down_proj.weight", keep: true, reason: "too sensitive"}
  - {match: "model.layers.0", scheme: w8a8g32:g32:sym:f16, method: rtn}
)";
  Result<Recipe> recipe = parseRecipe(text, "r.yaml");
  ASSERT_TRUE(recipe) << recipe.error().format();
  std::string printed = printRecipe(*recipe);
  EXPECT_EQ(printed, text);

  std::string smooth = "version: 1\nscheme: w8a8\nsmooth_quant: {alpha: 0.75, sites: {mlp-input: 0.4}}";
  EXPECT_CONTAINS(printRecipe(*parseRecipe(smooth, "r.yaml")),
                  "smooth_quant: {sites: {mlp-input: 0.4, attention-input: 0.75, attention-output: 0.75, mlp-output: "
                  "0.75}}\n");
  std::string searched =
      "version: 1\nscheme: w8a8\nsmooth_quant: {alpha: search, sites: {mlp-input: 0.4, mlp-output: search}}";
  EXPECT_CONTAINS(printRecipe(*parseRecipe(searched, "r.yaml")),
                  "smooth_quant: {sites: {mlp-input: 0.4, mlp-output: search, attention-input: search, "
                  "attention-output: search}}\n");
  EXPECT_CONTAINS(printRecipe(*parseRecipe("version: 1\nscheme: w8a8\nsmooth_quant: {alpha: \"search\"}", "r.yaml")),
                  "smooth_quant: {alpha: search}\n");
  // Without an alpha for the others, they are not scaled.
  EXPECT_CONTAINS(
      printRecipe(*parseRecipe("version: 1\nscheme: w8a8\nsmooth_quant: {sites: {mlp-input: 0.4}}", "r.yaml")),
      "smooth_quant: {sites: {mlp-input: 0.4}}\n");
  // Ranges are said where there are any, and a percentile where it is one.
  std::string fixed = "version: 1\nscheme: w8a8s\nactivations: ";
  EXPECT_CONTAINS(printRecipe(*parseRecipe(fixed + "{range: percentile, percentile: 99.999}", "r.yaml")),
                  "activations: {range: percentile, percentile: 99.999}\n");
  EXPECT_CONTAINS(printRecipe(*parseRecipe(fixed + "{range: error}", "r.yaml")), "activations: {range: error}\n");
  EXPECT_EQ(printRecipe(*parseRecipe(smooth, "r.yaml")).find("activations:"), std::string::npos);
  for (const BuiltinRecipe &builtin : builtinRecipes()) {
    Result<Recipe> first = parseRecipe(builtin.yaml, "builtin");
    ASSERT_TRUE(first) << first.error().format();
    Result<Recipe> again = parseRecipe(printRecipe(*first), "printed");
    ASSERT_TRUE(again) << again.error().format();
    EXPECT_EQ(printRecipe(*again), printRecipe(*first));
  }
}
