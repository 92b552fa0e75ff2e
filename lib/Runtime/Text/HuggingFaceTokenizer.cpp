// tokenizer.json and the files beside it to a TokenizerSpec. See TokenizerLoaders.h.
#include "lib/Runtime/Text/HuggingFaceLoader.h"

#include <algorithm>

namespace qopt {

using nlohmann::json;

static constexpr const char *modelPlace = "tokenizer.json: model";

bool HuggingFaceLoader::readModel(const json &model) {
  if (!model.is_object())
    return fail(std::string("expected an object, but got ") + model.type_name(), modelPlace);
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
                  std::string(modelPlace) + ": vocab");
    const auto id = item->get<int32_t>();
    if (seen[id])
      return fail("id " + std::to_string(id) + " belongs to two tokens, one of them '" + escapeForMessage(item.key()) +
                      "'",
                  std::string(modelPlace) + ": vocab");
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

bool HuggingFaceLoader::readMerges(const json &merges) {
  if (!merges.is_array())
    return fail("expected 'merges' to be an array", modelPlace);
  spec.merges.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string where = std::string(modelPlace) + ": merge " + std::to_string(i);
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

bool HuggingFaceLoader::readAddedTokens(const json &list) {
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

bool HuggingFaceLoader::finish() {
  if (spec.stops.empty() && spec.eos)
    spec.stops.push_back(*spec.eos);
  std::sort(spec.stops.begin(), spec.stops.end());
  spec.stops.erase(std::unique(spec.stops.begin(), spec.stops.end()), spec.stops.end());
  Result<std::vector<int32_t>> results = spec.validate();
  if (!results)
    error = std::move(results.takeError()).in("tokenizer.json");
  return static_cast<bool>(results);
}

bool HuggingFaceLoader::load(const HuggingFaceFiles &files) {
  Result<json> parsed = parseStrictJson<json>(files.tokenizer, "tokenizer.json");
  if (!parsed) {
    error = parsed.takeError();
    return false;
  }
  const json &root = *parsed;
  const std::string where = "tokenizer.json";
  if (!root.is_object())
    return fail(std::string("expected an object, but got ") + root.type_name(), where);
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
  HuggingFaceLoader loader;
  if (!loader.load(files))
    return std::move(loader.error);
  return std::move(loader.spec);
}

} // namespace qopt
