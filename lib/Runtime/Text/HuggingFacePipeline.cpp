// What stands around the model in tokenizer.json (pre-tokenizer, decoder, post-processor), and the files beside it. See
// HuggingFaceLoader.h.
#include "lib/Runtime/Text/HuggingFaceLoader.h"

#include <algorithm>
#include <cctype>

namespace qopt {

using nlohmann::json;

bool HuggingFaceLoader::readSplit(const json &step) {
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

bool HuggingFaceLoader::readPreTokenizer(const json &step, int depth) {
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

bool HuggingFaceLoader::readDecoder(const json &decoder) {
  if (typeOf(decoder) == "ByteLevel")
    return true;
  if (typeOf(decoder) == "Sequence" && decoder.contains("decoders") && decoder["decoders"].is_array() &&
      decoder["decoders"].size() == 1 && typeOf(decoder["decoders"][0]) == "ByteLevel")
    return true;
  return failUnsupported("decoder", decoder, "tokenizer.json: decoder");
}

bool HuggingFaceLoader::readTemplate(const json &processor) {
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

bool HuggingFaceLoader::readPostProcessor(const json &processor, int depth) {
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

bool HuggingFaceLoader::readConfig(std::string_view text) {
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

bool HuggingFaceLoader::readGeneration(std::string_view text) {
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
      return fail("expected token ids below " + std::to_string(spec.tokens.size()) + ", but got " +
                      escapeForMessage(id.dump(-1, ' ', false, json::error_handler_t::replace), 40),
                  where);
    spec.stops.push_back(id.get<int32_t>());
  }
  return true;
}

} // namespace qopt
