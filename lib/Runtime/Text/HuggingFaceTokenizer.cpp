// tokenizer.json and the files beside it to a TokenizerSpec. See TokenizerLoaders.h.
#include "lib/Runtime/Text/TokenizerLoaders.h"

#include "lib/Runtime/Text/StrictJson.h"

#include <algorithm>
#include <unordered_map>

namespace qopt {

using nlohmann::json;

namespace {

/// Reads one set of files. A method that returns false has left the reason in `error`.
class Loader {
public:
  bool load(const HuggingFaceFiles &files);

  TokenizerSpec spec;
  Error error;

private:
  bool fail(std::string rule, std::string where) {
    error = badInput(std::move(rule), std::move(where));
    return false;
  }
  bool failUnsupported(std::string_view what, const json &value, std::string where) {
    std::string name = value.is_object() && value.contains("type") && value["type"].is_string()
                           ? value["type"].get<std::string>()
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
    return fail("unsupported " + std::string(what) + " '" + escapeForMessage(name) + "'", std::move(where));
  }
  /// The type of `object`, or nothing if it is no object with a type.
  static std::string typeOf(const json &object) {
    return object.is_object() && object.contains("type") && object["type"].is_string()
               ? object["type"].get<std::string>()
               : std::string();
  }
  /// A key that must be null, false, 0 or "" if it is there: everything else is not implemented.
  bool requireUnset(const json &object, const char *key, const std::string &where) {
    const auto item = object.find(key);
    if (item == object.end() || item->is_null() || *item == false || *item == 0 || *item == "")
      return true;
    return failUnsupported(std::string(key) + " =", *item, where);
  }
  /// A boolean that may be missing.
  bool readFlag(const json &object, const char *key, bool otherwise, bool &out, const std::string &where) {
    const auto item = object.find(key);
    out = otherwise;
    if (item == object.end())
      return true;
    if (!item->is_boolean())
      return fail("expected '" + std::string(key) + "' to be a boolean", where);
    out = item->get<bool>();
    return true;
  }
  bool knownKeys(const json &object, std::initializer_list<std::string_view> keys, const std::string &where) {
    Status status = refuseUnknownKeys(object, keys, where);
    if (!status)
      error = status.takeError();
    return !error.rule.size();
  }

  bool readModel(const json &model);
  bool readMerges(const json &merges);
  bool readAddedTokens(const json &list);
  bool readPreTokenizer(const json &step, int depth);
  bool readSplit(const json &step);
  bool readDecoder(const json &decoder);
  bool readPostProcessor(const json &processor, int depth);
  bool readTemplate(const json &processor);
  bool readConfig(std::string_view text);
  bool readGeneration(std::string_view text);
  bool finish();

  std::unordered_map<std::string, int32_t> ids;
};

} // namespace

static const std::string modelPlace = "tokenizer.json: model";

bool Loader::readModel(const json &model) {
  if (!model.is_object())
    return fail("expected an object", modelPlace);
  // Files from before the models had names hold vocab and merges alone.
  if (model.contains("type") && typeOf(model) != "BPE")
    return failUnsupported("tokenizer model", model, modelPlace);
  if (!knownKeys(model,
                 {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                  "byte_fallback", "ignore_merges", "vocab", "merges"},
                 modelPlace))
    return false;
  for (const char *key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"})
    if (!requireUnset(model, key, modelPlace))
      return false;
  if (!readFlag(model, "ignore_merges", false, spec.ignoreMerges, modelPlace) ||
      !readFlag(model, "fuse_unk", false, spec.fuseUnknown, modelPlace))
    return false;
  if (!model.contains("vocab") || !model["vocab"].is_object())
    return fail("expected 'vocab' to be an object of token to id", modelPlace);
  const json &vocab = model["vocab"];
  spec.tokens.resize(vocab.size());
  std::vector<bool> seen(vocab.size());
  ids.reserve(vocab.size());
  for (auto item = vocab.begin(); item != vocab.end(); ++item) {
    const bool integer = item->is_number_unsigned() && item->get<uint64_t>() < vocab.size();
    if (!integer)
      return fail("expected ids 0 to " + std::to_string(vocab.size() - 1) + ", each once, but token '" +
                      escapeForMessage(item.key()) + "' has " +
                      escapeForMessage(item->dump(-1, ' ', false, json::error_handler_t::replace)),
                  modelPlace + ": vocab");
    const auto id = item->get<int32_t>();
    if (seen[id])
      return fail("id " + std::to_string(id) + " belongs to two tokens, one of them '" + escapeForMessage(item.key()) +
                      "'",
                  modelPlace + ": vocab");
    seen[id] = true;
    spec.tokens[id] = item.key();
    ids.emplace(item.key(), id);
  }
  if (model.contains("unk_token") && model["unk_token"].is_string() && model["unk_token"] != "") {
    const auto found = ids.find(model["unk_token"].get<std::string>());
    if (found == ids.end())
      return fail("unk_token '" + escapeForMessage(model["unk_token"].get<std::string>()) +
                      "' is not in the vocabulary",
                  modelPlace);
    spec.unknown = found->second;
  } else if (!requireUnset(model, "unk_token", modelPlace)) {
    return false;
  }
  if (!model.contains("merges"))
    return fail("missing key 'merges'", modelPlace);
  return readMerges(model["merges"]);
}

bool Loader::readMerges(const json &merges) {
  if (!merges.is_array())
    return fail("expected 'merges' to be an array", modelPlace);
  spec.merges.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string where = modelPlace + ": merge " + std::to_string(i);
    std::string parts[2];
    const json &merge = merges[i];
    if (merge.is_string()) {
      const std::string &line = merge.get_ref<const std::string &>();
      const size_t space = line.find(' ');
      if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
        return fail("expected two tokens with a space between, but got '" + escapeForMessage(line) + "'", where);
      parts[0] = line.substr(0, space);
      parts[1] = line.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      parts[0] = merge[0].get<std::string>();
      parts[1] = merge[1].get<std::string>();
    } else {
      return fail("expected two tokens", where);
    }
    int32_t pair[2];
    for (int side = 0; side < 2; ++side) {
      const auto found = ids.find(parts[side]);
      if (found == ids.end())
        return fail("merge of '" + escapeForMessage(parts[side]) + "', which is not in the vocabulary", where);
      pair[side] = found->second;
    }
    spec.merges.emplace_back(pair[0], pair[1]);
  }
  return true;
}

bool Loader::readAddedTokens(const json &list) {
  if (!list.is_array())
    return fail("expected an array", "tokenizer.json: added_tokens");
  struct Found {
    AddedToken token;
    std::string content;
  };
  std::vector<Found> found;
  for (size_t i = 0; i < list.size(); ++i) {
    const json &item = list[i];
    std::string where = "tokenizer.json: added token " + std::to_string(i);
    if (!item.is_object() || !item.contains("content") || !item["content"].is_string() || item["content"] == "")
      return fail("expected an object with 'content'", where);
    Found entry;
    entry.content = item["content"].get<std::string>();
    where += " '" + escapeForMessage(entry.content) + "'";
    if (!knownKeys(item, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}, where))
      return false;
    if (!item.contains("id") || !item["id"].is_number_unsigned() || item["id"].get<uint64_t>() > INT32_MAX)
      return fail("expected 'id' to be a token id", where);
    entry.token.id = item["id"].get<int32_t>();
    if (!requireUnset(item, "single_word", where) || !readFlag(item, "special", false, entry.token.special, where) ||
        !readFlag(item, "lstrip", false, entry.token.leftStrip, where) ||
        !readFlag(item, "rstrip", false, entry.token.rightStrip, where) ||
        !readFlag(item, "normalized", !entry.token.special, entry.token.normalized, where))
      return false;
    found.push_back(std::move(entry));
  }
  std::sort(found.begin(), found.end(),
            [](const Found &left, const Found &right) { return left.token.id < right.token.id; });
  for (Found &entry : found) {
    const std::string where = "tokenizer.json: added token '" + escapeForMessage(entry.content) + "'";
    if (const auto known = ids.find(entry.content); known != ids.end()) {
      if (known->second != entry.token.id)
        return fail("duplicate token: id " + std::to_string(entry.token.id) + ", but also id " +
                        std::to_string(known->second),
                    where);
    } else {
      if (static_cast<size_t>(entry.token.id) != spec.tokens.size())
        return fail("expected the next free id, " + std::to_string(spec.tokens.size()) + ", but got " +
                        std::to_string(entry.token.id),
                    where);
      ids.emplace(entry.content, entry.token.id);
      spec.tokens.push_back(entry.content);
    }
    if (!spec.added.empty() && spec.added.back().id == entry.token.id)
      return fail("duplicate id " + std::to_string(entry.token.id), where);
    spec.added.push_back(entry.token);
  }
  return true;
}

bool Loader::readSplit(const json &step) {
  const std::string where = "tokenizer.json: pre_tokenizer Split";
  PreTokenizerStep result;
  if (!knownKeys(step, {"type", "pattern", "behavior", "invert"}, where) ||
      !readFlag(step, "invert", false, result.invert, where))
    return false;
  const json pattern = step.value("pattern", json());
  if (!pattern.is_object() || pattern.size() != 1 || !pattern.begin()->is_string())
    return fail("expected 'pattern' to be {\"Regex\": …} or {\"String\": …}", where);
  const std::string text = pattern.begin()->get<std::string>();
  if (pattern.begin().key() == "Regex") {
    result.pattern = text;
  } else if (pattern.begin().key() == "String") {
    for (char c : text) { // a literal: all ASCII punctuation is escaped
      if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c)) && c > ' ')
        result.pattern += '\\';
      result.pattern += c;
    }
  } else {
    return fail("unsupported pattern kind '" + escapeForMessage(pattern.begin().key()) + "'", where);
  }
  const json behavior = step.value("behavior", json());
  if (behavior == "Isolated")
    result.behavior = PreTokenizerStep::Behavior::Isolated;
  else if (behavior == "Removed")
    result.behavior = PreTokenizerStep::Behavior::Removed;
  else if (behavior == "Contiguous")
    result.behavior = PreTokenizerStep::Behavior::Contiguous;
  else
    return failUnsupported("behavior", behavior, where);
  spec.preTokenizer.push_back(std::move(result));
  return true;
}

bool Loader::readPreTokenizer(const json &step, int depth) {
  const std::string type = typeOf(step);
  const std::string where = "tokenizer.json: pre_tokenizer";
  if (type == "Sequence" && depth == 0) {
    const json list = step.value("pretokenizers", json());
    if (!list.is_array() || !knownKeys(step, {"type", "pretokenizers"}, where))
      return fail("expected 'pretokenizers' to be an array", where);
    for (const json &inner : list)
      if (!readPreTokenizer(inner, depth + 1))
        return false;
    return true;
  }
  if (type == "Split")
    return readSplit(step);
  PreTokenizerStep result;
  if (type == "Digits") {
    result.kind = PreTokenizerStep::Kind::Digits;
    if (!knownKeys(step, {"type", "individual_digits"}, where) ||
        !readFlag(step, "individual_digits", false, result.individual, where))
      return false;
  } else if (type == "ByteLevel") {
    result.kind = PreTokenizerStep::Kind::ByteLevel;
    if (!knownKeys(step, {"type", "add_prefix_space", "trim_offsets", "use_regex"}, where) ||
        !readFlag(step, "add_prefix_space", true, result.addPrefixSpace, where) ||
        !readFlag(step, "use_regex", true, result.useRegex, where))
      return false;
  } else {
    return failUnsupported("pre-tokenizer", step, where);
  }
  spec.preTokenizer.push_back(std::move(result));
  return true;
}

bool Loader::readDecoder(const json &decoder) {
  if (typeOf(decoder) == "ByteLevel")
    return true;
  if (typeOf(decoder) == "Sequence" && decoder.contains("decoders") && decoder["decoders"].is_array() &&
      decoder["decoders"].size() == 1 && typeOf(decoder["decoders"][0]) == "ByteLevel")
    return true;
  return failUnsupported("decoder", decoder, "tokenizer.json: decoder");
}

bool Loader::readTemplate(const json &processor) {
  const std::string where = "tokenizer.json: post_processor TemplateProcessing";
  const json single = processor.value("single", json());
  const json special = processor.value("special_tokens", json());
  if (!single.is_array() || !special.is_object())
    return fail("expected 'single' and 'special_tokens'", where);
  bool afterText = false;
  for (const json &piece : single) {
    if (!piece.is_object() || piece.size() != 1 || !piece.begin()->is_object())
      return fail("expected a piece to be a Sequence or a SpecialToken", where);
    const std::string id =
        piece.begin()->value("id", json()).is_string() ? (*piece.begin())["id"].get<std::string>() : "";
    if (piece.begin().key() == "Sequence" && id == "A" && !afterText) {
      afterText = true;
      continue;
    }
    const json token = piece.begin().key() == "SpecialToken" ? special.value(id, json()) : json();
    const json list = token.is_object() ? token.value("ids", json()) : json();
    if (!list.is_array() || list.size() != 1 || !list[0].is_number_unsigned() || list[0].get<uint64_t>() > INT32_MAX)
      return fail("unsupported piece '" + escapeForMessage(id) + "': one special token before the text and one after " +
                      "it are implemented",
                  where);
    bool &flag = afterText ? spec.addEos : spec.addBos;
    if (flag)
      return fail("more than one special token on one side of the text", where);
    flag = true;
    (afterText ? spec.eos : spec.bos) = list[0].get<int32_t>();
  }
  return afterText || fail("'single' does not hold the text, Sequence A", where);
}

bool Loader::readPostProcessor(const json &processor, int depth) {
  const std::string type = typeOf(processor);
  if (processor.is_null() || type == "ByteLevel") // ByteLevel moves offsets, not ids
    return true;
  if (type == "TemplateProcessing")
    return readTemplate(processor);
  if (type == "Sequence" && depth == 0 && processor.contains("processors") && processor["processors"].is_array()) {
    for (const json &inner : processor["processors"])
      if (!readPostProcessor(inner, depth + 1))
        return false;
    return true;
  }
  return failUnsupported("post-processor", processor, "tokenizer.json: post_processor");
}

bool Loader::readConfig(std::string_view text) {
  Result<json> parsed = parseStrictJson<json>(text, "tokenizer_config.json");
  if (!parsed) {
    error = parsed.takeError();
    return false;
  }
  if (!parsed->is_object())
    return fail("expected an object", "tokenizer_config.json");
  const std::pair<const char *, std::optional<int32_t> *> named[] = {{"bos_token", &spec.bos},
                                                                     {"eos_token", &spec.eos}};
  for (const auto &[key, id] : named) {
    json token = parsed->value(key, json());
    if (token.is_object())
      token = token.value("content", json());
    if (token.is_null())
      continue;
    const std::string where = "tokenizer_config.json: " + std::string(key);
    if (!token.is_string())
      return fail("expected a token", where);
    const auto found = ids.find(token.get<std::string>());
    if (found == ids.end())
      return fail("'" + escapeForMessage(token.get<std::string>()) + "' is not in the vocabulary", where);
    // The post-processor of tokenizer.json decides what encode adds; another token here would be a second opinion.
    const bool adds = id == &spec.bos ? spec.addBos : spec.addEos;
    if (adds && **id != found->second)
      return fail("expected the token that tokenizer.json's post_processor adds, id " + std::to_string(**id) +
                      ", but got '" + escapeForMessage(token.get<std::string>()) + "'",
                  where);
    *id = found->second;
  }
  json chat = parsed->value("chat_template", json());
  if (chat.is_array()) { // several templates by name
    json chosen;
    for (const json &item : chat)
      if (item.is_object() && item.value("name", json()) == "default")
        chosen = item.value("template", json());
    if (!chosen.is_string())
      return fail("expected one of the templates to be named 'default'", "tokenizer_config.json: chat_template");
    chat = std::move(chosen);
  }
  if (chat.is_string())
    spec.chatTemplate = chat.get<std::string>();
  else if (!chat.is_null())
    return fail("expected a string or an array", "tokenizer_config.json: chat_template");
  return true;
}

bool Loader::readGeneration(std::string_view text) {
  const std::string where = "generation_config.json: eos_token_id";
  Result<json> parsed = parseStrictJson<json>(text, "generation_config.json");
  if (!parsed) {
    error = parsed.takeError();
    return false;
  }
  if (!parsed->is_object())
    return fail("expected an object", "generation_config.json");
  json value = parsed->value("eos_token_id", json());
  if (value.is_null())
    return true;
  if (!value.is_array())
    value = json::array({value});
  for (const json &id : value) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= spec.tokens.size())
      return fail("expected token ids below " + std::to_string(spec.tokens.size()), where);
    spec.stops.push_back(id.get<int32_t>());
  }
  return true;
}

bool Loader::finish() {
  if (spec.stops.empty() && spec.eos)
    spec.stops.push_back(*spec.eos);
  std::sort(spec.stops.begin(), spec.stops.end());
  spec.stops.erase(std::unique(spec.stops.begin(), spec.stops.end()), spec.stops.end());
  Result<std::vector<int32_t>> results = spec.validate();
  if (!results)
    error = std::move(results.takeError()).in("tokenizer.json");
  return static_cast<bool>(results);
}

bool Loader::load(const HuggingFaceFiles &files) {
  Result<json> parsed = parseStrictJson<json>(files.tokenizer, "tokenizer.json");
  if (!parsed) {
    error = parsed.takeError();
    return false;
  }
  const json &root = *parsed;
  const std::string where = "tokenizer.json";
  if (!root.is_object())
    return fail("expected an object", where);
  if (!knownKeys(root,
                 {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                  "decoder", "model"},
                 where))
    return false;
  if (root.contains("version") && root["version"] != "1.0")
    return failUnsupported("version", root["version"], where);
  if (root.contains("normalizer") && !root["normalizer"].is_null())
    return failUnsupported("normalizer", root["normalizer"], "tokenizer.json: normalizer");
  if (!readModel(root.value("model", json())) || !readAddedTokens(root.value("added_tokens", json::array())) ||
      !readPreTokenizer(root.value("pre_tokenizer", json()), 0) || !readDecoder(root.value("decoder", json())) ||
      !readPostProcessor(root.value("post_processor", json()), 0))
    return false;
  if (files.tokenizerConfig && !readConfig(*files.tokenizerConfig))
    return false;
  if (files.generationConfig && !readGeneration(*files.generationConfig))
    return false;
  if (files.chatTemplate)
    spec.chatTemplate = *files.chatTemplate;
  return finish();
}

Result<TokenizerSpec> loadHuggingFaceTokenizer(const HuggingFaceFiles &files) {
  Loader loader;
  if (!loader.load(files))
    return std::move(loader.error);
  return std::move(loader.spec);
}

} // namespace qopt
