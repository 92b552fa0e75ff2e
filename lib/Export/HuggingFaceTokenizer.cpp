// What a GGUF file's tokenizer does, as the loader has read it, in Hugging Face's words.
#include "lib/Export/HuggingFaceTokenizer.h"

#include "lib/Archive/Json.h"
#include "lib/Runtime/App/TokenizerFile.h"

using namespace qopt;
using Json = nlohmann::ordered_json;

static Json byteLevel(bool addPrefixSpace, bool useRegex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", addPrefixSpace}, {"trim_offsets", true}, {"use_regex", useRegex}};
}

static Json preTokenizerStep(const PreTokenizerStep &step) {
  switch (step.kind) {
  case PreTokenizerStep::Kind::Split: {
    const char *behavior = step.behavior == PreTokenizerStep::Behavior::Isolated  ? "Isolated"
                           : step.behavior == PreTokenizerStep::Behavior::Removed ? "Removed"
                                                                                  : "Contiguous";
    return {{"type", "Split"}, {"pattern", {{"Regex", step.pattern}}}, {"behavior", behavior}, {"invert", step.invert}};
  }
  case PreTokenizerStep::Kind::Digits:
    return {{"type", "Digits"}, {"individual_digits", step.individual}};
  case PreTokenizerStep::Kind::ByteLevel:
    break;
  }
  return byteLevel(step.addPrefixSpace, step.useRegex);
}

/// Whether a step cuts with GPT-2's expression, as ByteLevel can itself.
static bool isGpt2Split(const PreTokenizerStep &step) {
  PreTokenizerStep gpt2;
  gpt2.pattern = gpt2SplitPattern;
  return step == gpt2;
}

static Json preTokenizer(const std::vector<PreTokenizerStep> &steps) {
  Json each = Json::array();
  for (size_t i = 0; i < steps.size(); ++i) {
    bool beforeByteLevel = i + 2 == steps.size(); // which ends them
    if (beforeByteLevel && isGpt2Split(steps[i]) && !steps[i + 1].useRegex && !steps[i + 1].addPrefixSpace) {
      each.push_back(byteLevel(false, true));
      break;
    }
    each.push_back(preTokenizerStep(steps[i]));
  }
  return each.size() == 1 ? std::move(each[0]) : Json{{"type", "Sequence"}, {"pretokenizers", std::move(each)}};
}

/// Puts the tokens before and after the text that encoding adds; null where it adds none.
static Json postProcessor(const TokenizerSpec &spec) {
  if (!spec.addBos && !spec.addEos)
    return nullptr;
  Json specials = Json::object();
  auto special = [&](int32_t id, int segment) {
    const std::string &token = spec.tokens[id];
    specials[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
    return Json{{"SpecialToken", {{"id", token}, {"type_id", segment}}}};
  };
  auto wrap = [&](Json &list, const char *text, int segment) {
    if (spec.addBos)
      list.push_back(special(*spec.bos, segment));
    list.push_back({{"Sequence", {{"id", text}, {"type_id", segment}}}});
    if (spec.addEos)
      list.push_back(special(*spec.eos, segment));
  };
  Json single = Json::array(), pair = Json::array();
  wrap(single, "A", 0);
  wrap(pair, "A", 0);
  wrap(pair, "B", 1);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}};
}

static std::string dump(const Json &json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

/// Whether text can be written as JSON without loss.
static bool isUtf8(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::ignore) ==
         Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// tokenizer.json. ordered_json looks each new key up among all others: the vocabulary is written as text instead.
static std::string tokenizerText(const TokenizerSpec &spec) {
  std::string vocabulary = "{";
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    vocabulary += (id == 0 ? "" : ",") + Json(spec.tokens[id]).dump() + ":" + std::to_string(id);
  Json added = Json::array(), merges = Json::array();
  for (const AddedToken &token : spec.added)
    added.push_back({{"id", token.id},
                     {"content", spec.tokens[token.id]},
                     {"single_word", false},
                     {"lstrip", token.leftStrip},
                     {"rstrip", token.rightStrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  for (auto [first, second] : spec.merges)
    merges.push_back(spec.tokens[first] + " " + spec.tokens[second]);
  Json unknown = spec.unknown ? Json(spec.tokens[*spec.unknown]) : Json();
  auto word = [](bool value) { return std::string(value ? "true" : "false"); };
  return "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":" + added.dump() +
         ",\"normalizer\":null,\"pre_tokenizer\":" + preTokenizer(spec.preTokenizer).dump() +
         ",\"post_processor\":" + postProcessor(spec).dump() + ",\"decoder\":" + byteLevel(false, true).dump() +
         ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":" + unknown.dump() +
         ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":" + word(spec.fuseUnknown) +
         ",\"byte_fallback\":false,\"ignore_merges\":" + word(spec.ignoreMerges) + ",\"vocab\":" + vocabulary +
         "},\"merges\":" + merges.dump() + "}}\n";
}

Result<std::vector<std::pair<std::string, std::string>>> qopt::tokenizerFilesFromGguf(const Archive &archive) {
  Result<std::optional<LoadedTokenizer>> loaded = loadTokenizer(archive);
  if (!loaded)
    return loaded.takeError();
  if (!*loaded)
    return badInput("expected a tokenizer, but the file has none");
  const TokenizerSpec &spec = (*loaded)->spec;
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (!isUtf8(spec.tokens[id]))
      return badInput("expected tokens of UTF-8, but got token " + std::to_string(id) + ", \"" +
                      escapeForMessage(spec.tokens[id]) + "\"");

  Json config{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  Json generation = Json::object();
  // The loader has no use for padding and for the unknown token of byte-level BPE, which has none.
  const GgufMetadata &metadata = archive.ggufMetadata();
  auto role = [&](const char *key) -> std::optional<int32_t> {
    Result<int64_t> id = metadata.integer(key);
    bool isToken = id && *id >= 0 && static_cast<size_t>(*id) < spec.tokens.size();
    return isToken ? std::optional(static_cast<int32_t>(*id)) : std::nullopt;
  };
  struct Role {
    const char *token, *id;
    std::optional<int32_t> value;
  };
  for (const Role &each : {Role{"bos_token", "bos_token_id", spec.bos},
                           {"eos_token", "eos_token_id", spec.eos},
                           {"unk_token", nullptr, role("tokenizer.ggml.unknown_token_id")},
                           {"pad_token", "pad_token_id", role("tokenizer.ggml.padding_token_id")}}) {
    if (!each.value)
      continue;
    config[each.token] = spec.tokens[*each.value];
    if (each.id)
      generation[each.id] = *each.value;
  }
  if (spec.stops.size() > 1) // what ends a turn too
    generation["eos_token_id"] = spec.stops;
  if (!spec.chatTemplate.empty() && isUtf8(spec.chatTemplate))
    config["chat_template"] = spec.chatTemplate;
  return std::vector<std::pair<std::string, std::string>>{{"tokenizer.json", tokenizerText(spec)},
                                                          {"tokenizer_config.json", dump(config)},
                                                          {"generation_config.json", dump(generation)}};
}
