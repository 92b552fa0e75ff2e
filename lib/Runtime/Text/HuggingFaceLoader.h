// Reads a Hugging Face directory's files, inside of lib/Runtime/Text: the model and its tokens in
// HuggingFaceTokenizer.cpp, the steps around it and the files beside it in HuggingFacePipeline.cpp.
#ifndef QOPT_LIB_RUNTIME_TEXT_HUGGINGFACELOADER_H
#define QOPT_LIB_RUNTIME_TEXT_HUGGINGFACELOADER_H

#include "lib/Runtime/Text/StrictJson.h"
#include "lib/Runtime/Text/TokenizerLoaders.h"

#include <unordered_map>

namespace qopt {

/// Reads one set of files. A method that returns false has left the reason in `error`.
class HuggingFaceLoader {
public:
  using json = nlohmann::json;

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

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_HUGGINGFACELOADER_H
