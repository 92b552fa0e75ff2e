// GGUF keeps of a tokenizer its tokens, their types, the merges and the name of a pre-tokenizer; what that name means
// is spelled out here for the ones that are known.
#include "lib/Export/HuggingFaceTokenizer.h"

#include "lib/Archive/Json.h"

#include "llvm/ADT/StringRef.h"

using namespace qopt;
using Json = nlohmann::ordered_json;

/// The value of tokenizer.ggml.token_type that marks a control token; user-defined ones are matched in text as well.
static constexpr int64_t controlToken = 3, userDefinedToken = 4;

static Json byteLevel(bool useRegex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", useRegex}};
}

/// The pre-tokenizer that a GGUF name stands for; null if it is not known.
static Json preTokenizer(std::string_view name) {
  if (name == "gpt-2" || name == "default")
    return byteLevel(true);
  auto sequence = [](Json first, Json second) {
    return Json{{"type", "Sequence"}, {"pretokenizers", Json::array({std::move(first), std::move(second)})}};
  };
  if (name == "smollm")
    return sequence({{"type", "Digits"}, {"individual_digits", true}}, byteLevel(true));
  if (name == "llama-bpe") {
    const char *pattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                          " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    return sequence({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
                    byteLevel(false));
  }
  return nullptr;
}

static std::string dump(const Json &json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

/// Whether text can be written as JSON without loss.
static bool isUtf8(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::ignore) ==
         Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::vector<std::pair<std::string, std::string>>> qopt::tokenizerFilesFromGguf(const Archive &archive) {
  const GgufMetadata &metadata = archive.ggufMetadata();
  Result<std::string_view> model = metadata.string("tokenizer.ggml.model");
  if (!model)
    return model.takeError();
  if (*model != "gpt2")
    return badInput("expected a tokenizer of kind gpt2, but got \"" + escapeForMessage(*model) + "\"");
  Result<std::string_view> pre = metadata.string("tokenizer.ggml.pre");
  std::string_view preName = pre ? *pre : "default";
  Json splitter = preTokenizer(preName);
  if (splitter.is_null())
    return badInput("expected a pre-tokenizer of gpt-2, smollm or llama-bpe, but got \"" + escapeForMessage(preName) +
                    "\"");
  auto tokens = metadata.strings("tokenizer.ggml.tokens"), merges = metadata.strings("tokenizer.ggml.merges");
  auto types = metadata.integers("tokenizer.ggml.token_type");
  if (!tokens)
    return tokens.takeError();
  if (!merges)
    return merges.takeError();
  if (types && types->size() != tokens->size())
    return badInput("expected as many token types as tokens, but got " + std::to_string(types->size()) + " and " +
                    std::to_string(tokens->size()));

  // ordered_json looks each new key up among all others; a vocabulary is written as text instead.
  std::string vocabulary = "{";
  Json added = Json::array(), mergeList = Json::array();
  for (size_t id = 0; id < tokens->size(); ++id) {
    std::string token((*tokens)[id]);
    if (!isUtf8(token))
      return badInput("expected tokens of UTF-8, but got token " + std::to_string(id) + ", \"" +
                      escapeForMessage(token) + "\"");
    vocabulary += (id == 0 ? "" : ",") + Json(token).dump() + ":" + std::to_string(id);
    int64_t type = types ? (*types)[id] : 1;
    if (type == controlToken || type == userDefinedToken)
      added.push_back({{"id", id},
                       {"content", token},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", type == controlToken}});
  }
  for (std::string_view merge : *merges)
    mergeList.push_back(std::string(merge));

  std::string tokenizer = "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":" + added.dump() +
                          ",\"normalizer\":null,\"pre_tokenizer\":" + splitter.dump() +
                          ",\"post_processor\":null,\"decoder\":" + byteLevel(true).dump() +
                          ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
                          "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
                          "\"byte_fallback\":false,\"ignore_merges\":" +
                          (preName == "llama-bpe" ? "true" : "false") + ",\"vocab\":" + vocabulary +
                          "},\"merges\":" + mergeList.dump(-1, ' ', false, Json::error_handler_t::replace) + "}}\n";

  Json config{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  Json generation = Json::object();
  struct Role {
    const char *gguf, *token, *id;
  };
  for (Role role : {Role{"tokenizer.ggml.bos_token_id", "bos_token", "bos_token_id"},
                    {"tokenizer.ggml.eos_token_id", "eos_token", "eos_token_id"},
                    {"tokenizer.ggml.unknown_token_id", "unk_token", nullptr},
                    {"tokenizer.ggml.padding_token_id", "pad_token", "pad_token_id"}}) {
    Result<int64_t> id = metadata.integer(role.gguf);
    if (!id || *id < 0 || static_cast<size_t>(*id) >= tokens->size())
      continue;
    config[role.token] = std::string((*tokens)[*id]);
    if (role.id)
      generation[role.id] = *id;
  }
  if (Result<std::string_view> chat = metadata.string("tokenizer.chat_template"); chat && isUtf8(*chat))
    config["chat_template"] = std::string(*chat);
  return std::vector<std::pair<std::string, std::string>>{{"tokenizer.json", std::move(tokenizer)},
                                                          {"tokenizer_config.json", dump(config)},
                                                          {"generation_config.json", dump(generation)}};
}
