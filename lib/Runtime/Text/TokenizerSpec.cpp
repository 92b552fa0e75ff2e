// The rules that hold for every tokenizer, and its JSON form. See TokenizerSpec.h.
#include "lib/Runtime/Text/TokenizerSpec.h"

#include "lib/Runtime/Text/StrictJson.h"
#include "lib/Runtime/Text/TokenTable.h"
#include "lib/Runtime/Text/Utf8.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

namespace qopt {

using nlohmann::json;

const std::string_view gpt2SplitPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// More tokens than any model has; keeps ids far from the ends of int32.
static constexpr size_t maxTokens = 1u << 24;

//===--- Rules ----------------------------------------------------------------------------------------------------===//

static Status checkSteps(const std::vector<PreTokenizerStep> &steps) {
  using Kind = PreTokenizerStep::Kind;
  if (steps.empty() || steps.back().kind != Kind::ByteLevel)
    return badInput("expected the pre-tokenizer's last step to be ByteLevel", "pre_tokenizer");
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string where = "pre_tokenizer step " + std::to_string(i);
    if (steps[i].kind == Kind::ByteLevel && i + 1 != steps.size())
      return badInput("expected ByteLevel only as the last step", where);
    if (steps[i].kind == Kind::Split && steps[i].pattern.empty())
      return badInput("expected a pattern, but got an empty one", where);
  }
  return {};
}

static Status checkIds(const TokenizerSpec &spec) {
  const auto count = static_cast<int64_t>(spec.tokens.size());
  auto check = [&](int32_t id, std::string_view what) -> Status {
    if (id < 0 || id >= count)
      return badInput("expected an id below " + std::to_string(count) + ", but got " + std::to_string(id),
                      std::string(what));
    return {};
  };
  const std::pair<const std::optional<int32_t> &, std::string_view> named[] = {
      {spec.unknown, "unknown"}, {spec.bos, "bos"}, {spec.eos, "eos"}};
  for (const auto &[id, what] : named)
    if (id)
      if (Status status = check(*id, what); !status)
        return status;
  for (size_t i = 0; i < spec.stops.size(); ++i) {
    if (Status status = check(spec.stops[i], "stops"); !status)
      return status;
    if (i > 0 && spec.stops[i - 1] >= spec.stops[i])
      return badInput("expected ascending ids", "stops");
  }
  for (size_t i = 0; i < spec.added.size(); ++i) {
    if (Status status = check(spec.added[i].id, "added tokens"); !status)
      return status;
    if (i > 0 && spec.added[i - 1].id >= spec.added[i].id)
      return badInput("expected ascending ids, each once, but got " + std::to_string(spec.added[i].id) + " after " +
                          std::to_string(spec.added[i - 1].id),
                      "added tokens");
    if (spec.tokens[spec.added[i].id].empty())
      return badInput("expected a text, but token " + std::to_string(spec.added[i].id) + " is empty", "added tokens");
  }
  if (spec.addBos && !spec.bos)
    return badInput("expected a beginning-of-text id, because the tokenizer puts one first", "bos");
  if (spec.addEos && !spec.eos)
    return badInput("expected an end-of-text id, because the tokenizer puts one last", "eos");
  return {};
}

Result<std::vector<int32_t>> TokenizerSpec::validate() const {
  if (tokens.empty() || tokens.size() > maxTokens)
    return badInput("expected 1 to " + std::to_string(maxTokens) + " tokens, but got " + std::to_string(tokens.size()),
                    "tokenizer vocabulary");
  TokenTable ids(tokens);
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!isValidUtf8(tokens[i]))
      return badInput("expected UTF-8, but token " + std::to_string(i) + " is '" + escapeForMessage(tokens[i]) + "'",
                      "tokenizer vocabulary");
    if (const int32_t other = ids.insert(static_cast<int32_t>(i)); other >= 0)
      return badInput("duplicate token '" + escapeForMessage(tokens[i]) + "' with ids " + std::to_string(other) +
                          " and " + std::to_string(i),
                      "tokenizer vocabulary");
  }
  if (Status status = checkIds(*this); !status)
    return status.takeError();
  if (Status status = checkSteps(preTokenizer); !status)
    return status.takeError();

  std::vector<int32_t> results;
  results.reserve(merges.size());
  std::string joined;
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto [left, right] = merges[i];
    auto where = [&] { return "tokenizer merge " + std::to_string(i); };
    if (left < 0 || right < 0 || static_cast<size_t>(left) >= tokens.size() ||
        static_cast<size_t>(right) >= tokens.size())
      return badInput("expected two token ids below " + std::to_string(tokens.size()) + ", but got " +
                          std::to_string(left) + " and " + std::to_string(right),
                      where());
    joined = tokens[left];
    joined += tokens[right];
    const int32_t result = ids.find(joined);
    if (result < 0)
      return badInput("expected a merge to make a token, but '" + escapeForMessage(tokens[left]) + "' and '" +
                          escapeForMessage(tokens[right]) + "' make '" + escapeForMessage(joined) +
                          "', which is not in the vocabulary",
                      where());
    results.push_back(result);
  }
  std::vector<uint64_t> pairs;
  pairs.reserve(merges.size());
  for (const auto &[left, right] : merges)
    pairs.push_back(static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right));
  std::sort(pairs.begin(), pairs.end());
  if (const auto twice = std::adjacent_find(pairs.begin(), pairs.end()); twice != pairs.end())
    return badInput("duplicate merge of '" + escapeForMessage(tokens[*twice >> 32]) + "' and '" +
                        escapeForMessage(tokens[*twice & UINT32_MAX]) + "'",
                    "tokenizer merges");
  return results;
}

//===--- JSON -----------------------------------------------------------------------------------------------------===//

static constexpr std::string_view formatName = "qopt-tokenizer";
static constexpr int formatVersion = 1;

static json stepToJson(const PreTokenizerStep &step) {
  using Kind = PreTokenizerStep::Kind;
  using Behavior = PreTokenizerStep::Behavior;
  switch (step.kind) {
  case Kind::Split:
    return {{"kind", "split"},
            {"pattern", step.pattern},
            {"behavior", step.behavior == Behavior::Isolated  ? "isolated"
                         : step.behavior == Behavior::Removed ? "removed"
                                                              : "contiguous"},
            {"invert", step.invert}};
  case Kind::Digits:
    return {{"kind", "digits"}, {"individual", step.individual}};
  case Kind::ByteLevel:
    break;
  }
  return {{"kind", "byte_level"}, {"add_prefix_space", step.addPrefixSpace}, {"use_regex", step.useRegex}};
}

std::string TokenizerSpec::toJson() const {
  auto orNull = [](const std::optional<int32_t> &id) { return id ? json(*id) : json(nullptr); };
  json flat = json::array();
  for (const auto &[left, right] : merges) {
    flat.push_back(left);
    flat.push_back(right);
  }
  json addedList = json::array();
  for (const AddedToken &token : added)
    addedList.push_back({{"id", token.id},
                         {"special", token.special},
                         {"lstrip", token.leftStrip},
                         {"rstrip", token.rightStrip},
                         {"normalized", token.normalized}});
  json steps = json::array();
  for (const PreTokenizerStep &step : preTokenizer)
    steps.push_back(stepToJson(step));
  const json document = {{"format", formatName},
                         {"version", formatVersion},
                         {"model", "byte-level-bpe"},
                         {"tokens", tokens},
                         {"merges", std::move(flat)},
                         {"ignore_merges", ignoreMerges},
                         {"unknown", orNull(unknown)},
                         {"fuse_unknown", fuseUnknown},
                         {"added", std::move(addedList)},
                         {"pre_tokenizer", std::move(steps)},
                         {"bos", orNull(bos)},
                         {"eos", orNull(eos)},
                         {"add_bos", addBos},
                         {"add_eos", addEos},
                         {"stops", stops},
                         {"chat_template", chatTemplate}};
  // Broken UTF-8 in a chat template or a pattern must not throw; a spec that was validated has none in its tokens.
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

namespace {

/// Reads typed fields of one JSON object and remembers the first thing that is wrong.
class FieldReader {
public:
  FieldReader(json &object, std::string place) : object(object), place(std::move(place)) {
    if (!object.is_object())
      fail("expected an object");
  }

  /// Call last: an object may hold only fields that were read.
  Status finish() {
    if (!problem && object.size() != readCount)
      for (auto item = object.begin(); item != object.end() && !problem; ++item)
        if (!known.contains(item.key()))
          fail("unknown key '" + escapeForMessage(item.key()) + "'");
    return problem ? Status(std::move(*problem)) : Status();
  }

  json *field(const char *key, json::value_t type, std::string_view typeName) {
    if (problem)
      return nullptr;
    const auto item = object.find(key);
    if (item == object.end())
      return fail("missing key '" + std::string(key) + "'");
    known.insert(key);
    ++readCount;
    const bool integer = type == json::value_t::number_integer && item->is_number_integer();
    if (item->type() != type && !integer)
      return fail("expected '" + std::string(key) + "' to be " + std::string(typeName) + ", but got " +
                  item->type_name());
    return &*item;
  }

  void boolean(const char *key, bool &out) {
    if (json *value = field(key, json::value_t::boolean, "a boolean"))
      out = value->get<bool>();
  }
  void string(const char *key, std::string &out) {
    if (json *value = field(key, json::value_t::string, "a string"))
      out = std::move(value->get_ref<std::string &>());
  }
  void id(const char *key, int32_t &out) {
    if (json *value = field(key, json::value_t::number_integer, "an integer"))
      out = toId(*value, key);
  }
  void idOrNull(const char *key, std::optional<int32_t> &out) {
    if (!problem && object.contains(key) && object[key].is_null()) {
      known.insert(key);
      ++readCount;
      return;
    }
    out.emplace();
    id(key, *out);
  }
  void ids(const char *key, std::vector<int32_t> &out) {
    if (json *value = field(key, json::value_t::array, "an array"))
      for (const json &item : *value)
        out.push_back(item.is_number_integer() ? toId(item, key) : (fail(std::string(key) + ": expected integers"), 0));
  }
  void equals(const char *key, std::string_view wanted) {
    std::string got;
    string(key, got);
    if (!problem && got != wanted)
      fail("expected '" + std::string(key) + "' to be '" + std::string(wanted) + "', but got '" +
           escapeForMessage(got) + "'");
  }
  json *fail(std::string rule) {
    if (!problem)
      problem = badInput(std::move(rule), place);
    return nullptr;
  }
  bool failed() const { return problem.has_value(); }

private:
  int32_t toId(const json &value, std::string_view key) {
    const bool tooLarge = value.is_number_unsigned() && value.get<uint64_t>() > std::numeric_limits<int32_t>::max();
    if (tooLarge || (!value.is_number_unsigned() && value.get<int64_t>() < 0)) {
      fail(std::string(key) + ": expected an id of 0 to 2147483647, but got " + value.dump());
      return 0;
    }
    return value.get<int32_t>();
  }

  json &object;
  std::string place;
  std::unordered_set<std::string> known;
  size_t readCount = 0;
  std::optional<Error> problem;
};

} // namespace

static Status stepFromJson(json &value, const std::string &place, PreTokenizerStep &step) {
  using Kind = PreTokenizerStep::Kind;
  using Behavior = PreTokenizerStep::Behavior;
  FieldReader reader(value, place);
  std::string kind;
  reader.string("kind", kind);
  if (kind == "split") {
    step.kind = Kind::Split;
    std::string behavior;
    reader.string("pattern", step.pattern);
    reader.string("behavior", behavior);
    reader.boolean("invert", step.invert);
    if (behavior == "isolated")
      step.behavior = Behavior::Isolated;
    else if (behavior == "removed")
      step.behavior = Behavior::Removed;
    else if (behavior == "contiguous")
      step.behavior = Behavior::Contiguous;
    else
      reader.fail("unknown behavior '" + escapeForMessage(behavior) + "'");
  } else if (kind == "digits") {
    step.kind = Kind::Digits;
    reader.boolean("individual", step.individual);
  } else if (kind == "byte_level") {
    step.kind = Kind::ByteLevel;
    reader.boolean("add_prefix_space", step.addPrefixSpace);
    reader.boolean("use_regex", step.useRegex);
  } else {
    reader.fail("unknown step '" + escapeForMessage(kind) + "'");
  }
  return reader.finish();
}

Result<TokenizerSpec> TokenizerSpec::fromJson(std::string_view text) {
  Result<json> document = parseStrictJson<json>(text, "tokenizer", {.bytes = 256u << 20, .depth = 4});
  if (!document)
    return document.takeError();
  TokenizerSpec spec;
  FieldReader reader(*document, "tokenizer");
  reader.equals("format", formatName);
  int32_t version = 0;
  reader.id("version", version);
  if (!reader.failed() && version != formatVersion)
    reader.fail("expected format version " + std::to_string(formatVersion) + ", but got " + std::to_string(version));
  reader.equals("model", "byte-level-bpe");
  if (json *list = reader.field("tokens", json::value_t::array, "an array")) {
    spec.tokens.reserve(list->size());
    for (json &item : *list) {
      if (!item.is_string()) {
        reader.fail("tokens: expected strings");
        break;
      }
      spec.tokens.push_back(std::move(item.get_ref<std::string &>()));
    }
  }
  std::vector<int32_t> flat;
  reader.ids("merges", flat);
  if (flat.size() % 2 != 0)
    reader.fail("merges: expected an even number of ids, but got " + std::to_string(flat.size()));
  spec.merges.reserve(flat.size() / 2);
  for (size_t i = 0; i + 1 < flat.size(); i += 2)
    spec.merges.emplace_back(flat[i], flat[i + 1]);
  reader.boolean("ignore_merges", spec.ignoreMerges);
  reader.idOrNull("unknown", spec.unknown);
  reader.boolean("fuse_unknown", spec.fuseUnknown);
  reader.idOrNull("bos", spec.bos);
  reader.idOrNull("eos", spec.eos);
  reader.boolean("add_bos", spec.addBos);
  reader.boolean("add_eos", spec.addEos);
  reader.ids("stops", spec.stops);
  reader.string("chat_template", spec.chatTemplate);
  if (json *list = reader.field("added", json::value_t::array, "an array"))
    for (size_t i = 0; i < list->size(); ++i) {
      AddedToken token;
      FieldReader item((*list)[i], "tokenizer: added " + std::to_string(i));
      item.id("id", token.id);
      item.boolean("special", token.special);
      item.boolean("lstrip", token.leftStrip);
      item.boolean("rstrip", token.rightStrip);
      item.boolean("normalized", token.normalized);
      if (Status status = item.finish(); !status)
        return status.takeError();
      spec.added.push_back(token);
    }
  if (json *list = reader.field("pre_tokenizer", json::value_t::array, "an array"))
    for (size_t i = 0; i < list->size(); ++i) {
      PreTokenizerStep step;
      if (Status status = stepFromJson((*list)[i], "tokenizer: pre_tokenizer " + std::to_string(i), step); !status)
        return status.takeError();
      spec.preTokenizer.push_back(std::move(step));
    }
  if (Status status = reader.finish(); !status)
    return status.takeError();
  return spec;
}

} // namespace qopt
