// A recipe: what a quantization shall do, as the command line or a YAML file says it.
//
//   version: 1
//   scheme: w4a8:g64:asym        # of every linear (lib/Numerics/Scheme.h); or keep
//   head: w8:g32                 # of the embedding and the output head; or keep
//   method: gptq                 # how codes are chosen: rtn (round to nearest, the default), gptq, or the pass of a
//                                #   plugin, such as quantize-hqq, beside which rules may say rtn
//   quantize-hqq: {p: 0.7}       # its settings: options of that pass
//   activations:                 # static ranges, of schemes such as w8a8s (lib/Algorithms/ActivationRange.h)
//     range: max                 #   or percentile, or error
//     percentile: 99.99          #   of range: percentile
//   rtn: {range: minmax}         # or squared, power, and with statistics diagonal, hessian, signed, clip, clip-all
//                                #   (lib/Algorithms/RangeSearch.h)
//   gptq:                        # its settings, each with the default that is shown (lib/Algorithms/Gptq.h)
//     order: activation          #   or stored
//     scales: static             #   or live, which needs order: stored
//     range: hessian             #   or minmax, squared, diagonal, power, signed, clip or clip-all
//     inputs: quantized          #   of the model as it is being quantized; or statistics: of the original
//     shrink: 0.1                #   of the Hessian toward its diagonal
//     damping: [0.01, 0.03, 0.1, 0.3, 1]
//     max_fallback: 0            #   linears that may be rounded to nearest where gptq refuses
//   rotate: {kind: hadamard}     # of the residual stream and value heads, before all else (lib/Algorithms/Rotation.h);
//                                #   or orthogonal; seed: 0; value_heads: true
//   awq: {shrink: 0.1}           # scales before the codes (lib/Algorithms/Awq.h); sites: [attention-input,
//                                #   attention-output, mlp-input, mlp-output] unless some of them are named
//   smooth_quant:                # or these (lib/Algorithms/SmoothQuant.h), of all sites by one alpha
//     alpha: 0.5                 #   or search: for each site the one with the least error of its outputs
//     sites: {mlp-output: 0.8}   #   or of some, each by its own, or search
//   unfoldable: refuse           # a pair of scales that no weight can take in; or cancel: it is left out, and named
//   gates:                       # what must hold, or nothing is written
//                                #   on a text, by its path from the recipe:
//     - {text: manual.txt, kl: 0.2, perplexity_ratio: 1.1, top1: 0.8, windows: 16, length: 512}
//     - {held_out: true}         #   or on what calibration has held out of each of its texts
//     - {worst_error: 8}         #   or on the ledger: max |w − ŵ| over the root mean square of w, of every weight
//                                #   A calibrated recipe must also be no worse than round to nearest in the same
//                                #   scheme, unless a gate on text says better_than_nearest: false. One without this
//                                #   section has a gate on what is held out (addDefaultGates); gates: [] has none
//   rules:                       # the first that matches a parameter decides it, before scheme and head
//     - match: model.layers.0.*
//       scheme: w8a8:g64
//       method: rtn
//     - match: model.layers.1.*
//       method: rtn              # in the recipe's scheme
//     - match: "*.mlp.down_proj.weight"
//       keep: true
//       reason: too sensitive
//
// `match` is a glob (* ? [a-z] {a,b}; * crosses dots) for the whole name of a parameter, or for its first parts up to a
// dot: model.layers.3 matches all of that layer. A scheme without activations ("w8:g32") has those of the body.
// Without `head`, embedding and head are w8:g32:sym:f16 if the body has fewer than 8 bits, and are as the body
// otherwise, but for static activations, which are per token there; with another method than rtn they are kept. They
// are rounded to nearest unless a rule says otherwise.
#ifndef QOPT_PASSES_QUANTIZE_RECIPE_H
#define QOPT_PASSES_QUANTIZE_RECIPE_H

#include "dialects/LowBit/Dialect.h"
#include "lib/Algorithms/ActivationRange.h"
#include "lib/Algorithms/Gptq.h"
#include "lib/Numerics/Scheme.h"
#include "lib/Support/Error.h"
#include "passes/Fold/ScaleKinds.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// Which model's activations GPTQ's Hessians are made from.
enum class HessianInputs : uint8_t { Quantized, Statistics };

/// How the codes of a weight are chosen.
enum class Method : uint8_t { RoundToNearest, Gptq, Plugin };

/// A method that a plugin has brought (passes/Quantize/MethodPass.h).
struct PluginMethod {
  std::string name;                                          ///< its pass's argument
  std::vector<std::pair<std::string, std::string>> settings; ///< options of that pass, as they were given
  bool needsStatistics = false;
};

struct RecipeRule {
  std::string match;                           ///< the glob, which has been checked to be one
  std::optional<Scheme> scheme;                ///< nothing: keep
  std::string reason;                          ///< may be empty
  std::string where;                           ///< "recipe.yaml:7:5" or "--keep", for messages
  std::optional<Method> method = std::nullopt; ///< nothing: the recipe's

  /// Whether the rule is for the parameter of that name.
  bool matches(std::string_view name) const;
};

/// What GPTQ does unless it is told otherwise.
GptqOptions defaultGptqOptions();

/// Windows of a text that a gate looks at, and the tokens of each, where it does not say so.
inline constexpr int64_t kGateWindows = 16, kGateLength = 512;

/// What a quantized model must keep to.
struct Gate {
  std::string text;                      ///< the file's path as the recipe has it; empty: not on a file
  bool heldOut = false;                  ///< on the windows that calibration has held out
  std::optional<double> divergence;      ///< most nats per prediction, against the model before
  std::optional<double> perplexityRatio; ///< most
  std::optional<double> agreement;       ///< least fraction of predictions
  std::optional<double> worstError;      ///< most, of each weight's in the ledger
  bool betterThanNearest = true;
  std::optional<int64_t> windows; ///< nothing: as many as there are, up to kGateWindows
  std::optional<int64_t> length;  ///< of a window; nothing: kGateLength, or the model's context where that is less
  bool isDefault = false; ///< the recipe does not say it: without windows that are held out there is no such gate
  std::string where;      ///< "recipe.yaml:7:5", for messages

  bool isOnText() const { return heldOut || !text.empty(); }
  /// Whether it limits what is measured on a text, besides the comparison with round to nearest.
  bool asksForFigures() const { return divergence || perplexityRatio || agreement; }
  int64_t mostWindows() const { return windows.value_or(kGateWindows); }
  /// `context`: the model's; 0 where it does not say.
  int64_t lengthFor(int64_t context) const {
    return length.value_or(context > 0 ? std::min(context, kGateLength) : kGateLength);
  }
};

/// Rotation of the residual stream, and of the values of each head.
struct RotateSettings {
  lowbit::RotationKind kind = lowbit::RotationKind::Hadamard;
  uint64_t seed = 0;
  bool valueHeads = true;
};

/// Each has what those before it have.
enum class StatisticsNeed : uint8_t { Nothing, Samples, Magnitudes, Gram };

/// What AWQ's scales are chosen by: the error of what a site's linears give, by the Hessian; or of what their module,
/// attention or MLP, adds to the residual stream (ModuleObjective.h).
enum class AwqError : uint8_t { Output, Module };

/// Scales by AWQ.
struct AwqSettings {
  std::vector<SiteKind> sites; ///< empty: all
  double shrink = 0.1;         ///< of the Hessian toward its diagonal, in [0, 1)
  AwqError objective = AwqError::Output;
};

/// Scales by SmoothQuant; an α that is not there is searched for.
struct SmoothQuantSettings {
  std::optional<double> alpha = 0.5;         ///< of all sites, where `sites` names none
  std::vector<SiteKind> sites;               ///< those that are scaled; empty: all, by alpha
  std::vector<std::optional<double>> alphas; ///< of each of `sites`

  std::optional<double> alphaOf(SiteKind kind) const;
  bool searches() const;
};

struct Recipe {
  std::optional<Scheme> body; ///< nothing: keep the linears that no rule names
  std::optional<Scheme> head; ///< nothing: keep the embedding and the head
  std::vector<RecipeRule> rules;
  Method method = Method::RoundToNearest; ///< of the linears
  std::optional<PluginMethod> plugin;     ///< of Method::Plugin, wherever that is said; not beside Method::Gptq
  GptqOptions gptq = defaultGptqOptions();
  HessianInputs inputs = HessianInputs::Quantized;
  int64_t maxFallback = 0;                    ///< linears that may be rounded to nearest where GPTQ refuses
  RangeRule nearestRange = RangeRule::MinMax; ///< of the linears that are rounded to nearest
  ActivationRangeOptions activationRange;     ///< of static activations
  std::optional<RotateSettings> rotate;
  std::optional<AwqSettings> awq;
  std::optional<SmoothQuantSettings> smoothQuant; ///< not both
  Unfoldable unfoldable = Unfoldable::Refuse;
  std::vector<Gate> gates;
  bool saysGates = false; ///< then there are no others

  /// Whether any weight may be rounded by that method.
  bool uses(Method which) const;
  /// What of statistics is needed: the samples that they were taken from, magnitudes, or all.
  StatisticsNeed statisticsNeed() const;
  bool needsStatistics() const { return statisticsNeed() != StatisticsNeed::Nothing; }
  /// Whether the activations of any linear may be static.
  bool hasStaticActivations() const;
  /// Whether values are scaled before weights are rounded.
  bool scales() const { return awq || smoothQuant; }
};

/// What the command line says; empty text is what was not given.
struct RecipeOptions {
  std::string scheme;            ///< of the body, or "keep"; required
  std::string head;              ///< a scheme, or "keep"
  std::vector<std::string> keep; ///< globs
  std::string method = {};       ///< "rtn", "gptq" or a plugin's
  std::string scales = {};       ///< "awq" or "smooth-quant"
};

/// Errors (usage): no scheme; a scheme, a glob or a word that does not parse.
Result<Recipe> makeRecipe(const RecipeOptions &options);

/// Reads the YAML form. `name` is the file's name, for messages.
/// Errors (usage) with line and column: text longer than 1 MiB or nested deeper than 64, YAML that does not parse, an
/// alias, a key that is unknown (and the nearest one) or given twice, a value of the wrong kind, a missing key.
Result<Recipe> parseRecipe(std::string_view yaml, const std::string &name);

/// The YAML form with every setting said; parseRecipe reads it back to an equal recipe.
std::string printRecipe(const Recipe &recipe);

/// Calibration overfits: a calibrated recipe that does not say its gates gets one on what calibration has held out.
void addDefaultGates(Recipe &recipe);

/// Reads the file and parses it; "builtin:NAME" is one that comes with the compiler (BuiltinRecipes.h).
Result<Recipe> readRecipe(const std::string &path);

/// The recipe in the file at `path`, or what `options` say where `path` is empty; `parsed`, if there is one, in place
/// of either: all stages of a quantization do what one recipe says. Error (usage): a path beside options.
Result<Recipe> chooseRecipe(const RecipeOptions &options, const std::string &path, const Recipe *parsed = nullptr);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_RECIPE_H
