// Builds nlohmann's value from nlohmann's parser events, to add what its own builder lacks: limits, byte positions,
// refusal of duplicate keys, linear time.
#include "lib/Archive/Json.h"

#include <iterator>
#include <unordered_set>
#include <vector>

namespace qopt {
namespace {

using Json = nlohmann::ordered_json;

/// Walks over the text and tells how far the lexer has come: nlohmann's events carry no positions.
class CountingIterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char *;
  using reference = const char &;

  CountingIterator(const char *at, const char **reached) : at(at), reached(reached) {}
  reference operator*() const { return *at; }
  CountingIterator &operator++() {
    *reached = ++at;
    return *this;
  }
  bool operator==(const CountingIterator &other) const { return at == other.at; }
  bool operator!=(const CountingIterator &other) const { return at != other.at; }

private:
  const char *at;
  const char **reached;
};

/// Finds a key that an object has twice. Most objects are small, and comparing beats hashing there.
class SeenKeys {
public:
  /// False if `key` was added before. `members` holds the keys so far.
  bool add(const Json::object_t &members, const std::string &key) {
    if (members.size() < hashFrom) {
      for (const auto &member : members)
        if (member.first == key)
          return false;
      return true;
    }
    if (hashed.empty())
      for (const auto &member : members)
        hashed.insert(member.first);
    return hashed.insert(key).second;
  }

private:
  static constexpr size_t hashFrom = 16;
  std::unordered_set<std::string> hashed;
};

/// Builds the value from nlohmann's events.
class Builder final : public nlohmann::json_sax<Json> {
public:
  Builder(const JsonLimits &limits, const char *begin, const char *const *reached)
      : limits(limits), begin(begin), reached(reached) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(Json::number_integer_t value) override { return add(value); }
  bool number_unsigned(Json::number_unsigned_t value) override { return add(value); }
  bool number_float(Json::number_float_t value, const Json::string_t &) override { return add(value); }
  bool string(Json::string_t &value) override { return add(std::move(value)); }
  bool binary(Json::binary_t &) override { return fail("unexpected binary value"); }

  bool start_object(size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool key(Json::string_t &name) override {
    Level &level = levels.back();
    auto &members = level.value.get_ref<Json::object_t &>();
    if (!level.keys.add(members, name))
      return fail("the key '" + escapeForMessage(name) + "' is given twice in one JSON object");
    // The vector beneath nlohmann's ordered_map: its own insertion would search all earlier keys again.
    members.emplace_back(std::move(name), nullptr);
    return true;
  }

  bool parse_error(size_t position, const std::string &, const nlohmann::detail::exception &exception) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: what": we keep the what and count bytes.
    std::string_view text = exception.what();
    if (size_t at = text.find("column "); at != std::string_view::npos)
      if (size_t colon = text.find(": ", at); colon != std::string_view::npos)
        text = text.substr(colon + 2);
    problem = badInput("not valid JSON: " + escapeForMessage(text, 240), place(position == 0 ? 0 : position - 1));
    return false;
  }

  Json root;
  std::optional<Error> problem;

private:
  struct Level {
    Json value;
    SeenKeys keys;
  };

  static std::string place(size_t position) { return "byte " + std::to_string(position); }

  bool fail(std::string rule) {
    problem = badInput(std::move(rule), place(*reached == begin ? 0 : *reached - begin - 1));
    return false;
  }

  bool count() {
    if (++values > limits.maxValues)
      return fail("more than " + std::to_string(limits.maxValues) + " JSON values");
    return true;
  }

  template <typename T> bool add(T &&value) {
    if (!count())
      return false;
    place(Json(std::forward<T>(value)));
    return true;
  }

  /// Puts a finished value where it belongs: the open array, the last key of the open object, or the root.
  void place(Json &&value) {
    if (levels.empty())
      root = std::move(value);
    else if (levels.back().value.is_array())
      levels.back().value.get_ref<Json::array_t &>().push_back(std::move(value));
    else
      levels.back().value.get_ref<Json::object_t &>().back().second = std::move(value);
  }

  bool open(Json &&empty) {
    if (levels.size() >= limits.maxDepth)
      return fail("JSON nested deeper than " + std::to_string(limits.maxDepth) + " levels");
    if (!count())
      return false;
    levels.push_back({std::move(empty), {}});
    return true;
  }

  bool close() {
    Json value = std::move(levels.back().value);
    levels.pop_back();
    place(std::move(value));
    return true;
  }

  const JsonLimits &limits;
  const char *begin;
  const char *const *reached;
  uint64_t values = 0;
  std::vector<Level> levels; ///< objects and arrays that are still open
};

} // namespace

Result<Json> parseJson(std::string_view text, const JsonLimits &limits) {
  if (text.size() > limits.maxBytes)
    return badInput("JSON of " + std::to_string(text.size()) + " bytes, where at most " +
                    std::to_string(limits.maxBytes) + " are read");
  const char *begin = text.data();
  const char *reached = begin;
  Builder builder(limits, begin, &reached);
  bool done =
      Json::sax_parse(CountingIterator(begin, &reached), CountingIterator(begin + text.size(), &reached), &builder);
  if (!done || builder.problem)
    return builder.problem ? std::move(*builder.problem) : badInput("not valid JSON");
  return std::move(builder.root);
}

} // namespace qopt
