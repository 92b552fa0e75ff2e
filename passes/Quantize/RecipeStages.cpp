// The sections of a recipe that say how an algorithm works.
#include "passes/Fold/SiteKindOption.h"
#include "passes/Quantize/RecipeReader.h"

using namespace qopt;
namespace yaml = llvm::yaml;

static constexpr std::pair<llvm::StringRef, RangeRule> rangeRules[] = {
    {"minmax", RangeRule::MinMax}, {"squared", RangeRule::Squared}, {"diagonal", RangeRule::Diagonal},
    {"power", RangeRule::Power},   {"hessian", RangeRule::Hessian}, {"clip", RangeRule::Clip}};
void RecipeReader::readRtn(yaml::Node *node) {
  mapping(node, "rtn",
          {{"range", [&](yaml::Node *value) { stages.nearestRange = word<RangeRule>(value, "range", rangeRules); }}});
}

void RecipeReader::readGptq(yaml::Node *node) {
  using Scales = GptqOptions::Scales;
  static constexpr std::pair<llvm::StringRef, bool> orders[] = {{"activation", true}, {"stored", false}};
  static constexpr std::pair<llvm::StringRef, HessianInputs> hessianInputs[] = {
      {"quantized", HessianInputs::Quantized}, {"statistics", HessianInputs::Statistics}};
  static constexpr std::pair<llvm::StringRef, Scales> scales[] = {{"static", Scales::Static}, {"live", Scales::Live}};
  mapping(
      node, "gptq",
      {{"inputs", [&](yaml::Node *value) { stages.inputs = word<HessianInputs>(value, "inputs", hessianInputs); }},
       {"order", [&](yaml::Node *value) { stages.gptq.activationOrder = word<bool>(value, "order", orders); }},
       {"scales", [&](yaml::Node *value) { stages.gptq.scales = word<Scales>(value, "scales", scales); }},
       {"range",
        [&](yaml::Node *value) { stages.gptq.range = RangeOptions::of(word<RangeRule>(value, "range", rangeRules)); }},
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
  if (Status status = stages.gptq.validate(); !status)
    failure = status.takeError().in(place(node));
}

void RecipeReader::readRotate(yaml::Node *node) {
  static constexpr std::pair<llvm::StringRef, RotationKind> kinds[] = {{"hadamard", RotationKind::Hadamard},
                                                                       {"orthogonal", RotationKind::Orthogonal}};
  static constexpr std::pair<llvm::StringRef, bool> booleans[] = {{"true", true}, {"false", false}};
  RotateSettings rotate;
  mapping(node, "rotate",
          {{"kind", [&](yaml::Node *value) { rotate.kind = word<RotationKind>(value, "kind", kinds); }},
           {"value_heads", [&](yaml::Node *value) { rotate.valueHeads = word<bool>(value, "value_heads", booleans); }},
           {"seed", [&](yaml::Node *value) {
              std::string text = scalar(value, "seed");
              if (!failure && llvm::StringRef(text).getAsInteger(10, rotate.seed))
                fail(value,
                     "expected seed to be a number from 0 to 2^64 - 1, but got \"" + escapeForMessage(text) + "\"");
            }}});
  stages.rotate = rotate;
}

void RecipeReader::readAwq(yaml::Node *node) {
  AwqSettings awq;
  mapping(node, "awq",
          {{"shrink",
            [&](yaml::Node *value) {
              awq.shrink = number(value, "shrink");
              if (!failure && !(awq.shrink >= 0 && awq.shrink < 1))
                fail(value, "expected a shrinkage in [0, 1)");
            }},
           {"sites", [&](yaml::Node *value) {
              auto *list = llvm::dyn_cast_or_null<yaml::SequenceNode>(value);
              if (!list)
                return fail(value, "expected sites to be a list", "write for example sites: [mlp-input, mlp-output]");
              for (yaml::Node &entry : *list)
                awq.sites.push_back(word<SiteKind>(&entry, "a site", siteKindWords));
              if (!failure && awq.sites.empty())
                fail(value, "expected a site", "leave the section out");
            }}});
  stages.awq = std::move(awq);
}

void RecipeReader::readSmoothQuant(yaml::Node *node) {
  SmoothQuantSettings smooth;
  auto alpha = [&](yaml::Node *value) {
    double read = number(value, "alpha");
    if (!failure && !(read >= 0 && read <= 1))
      fail(value, "expected an alpha from 0 to 1");
    return read;
  };
  mapping(node, "smooth_quant",
          {{"alpha", [&](yaml::Node *value) { smooth.alpha = alpha(value); }},
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
  stages.smoothQuant = std::move(smooth);
}

void RecipeReader::readUnfoldable(yaml::Node *node) {
  static constexpr std::pair<llvm::StringRef, Unfoldable> words[] = {{"refuse", Unfoldable::Refuse},
                                                                     {"cancel", Unfoldable::Cancel}};
  stages.unfoldable = word<Unfoldable>(node, "unfoldable", words);
}
