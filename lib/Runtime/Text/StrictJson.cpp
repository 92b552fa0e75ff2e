// See StrictJson.h.
#include "lib/Runtime/Text/StrictJson.h"

#include <string>
#include <vector>

namespace qopt {
namespace {

/// Builds a document from the parser's events; stops at the first broken rule.
template <typename Json> class Builder {
public:
  using number_integer_t = typename Json::number_integer_t;
  using number_unsigned_t = typename Json::number_unsigned_t;
  using number_float_t = typename Json::number_float_t;
  using string_t = typename Json::string_t;
  using binary_t = typename Json::binary_t;

  explicit Builder(const StrictJsonLimits &limits) : limits(limits) {}

  bool null() { return add(Json(nullptr)); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(number_integer_t value) { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) { return add(Json(value)); }
  bool number_float(number_float_t value, const string_t &) { return add(Json(value)); }
  bool string(string_t &value) { return add(Json(std::move(value))); }
  bool binary(binary_t &) { return fail("binary value"); }
  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(string_t &name) {
    if (stack.back()->contains(name))
      return fail("duplicate key '" + escapeForMessage(name) + "'");
    slot = &(*stack.back())[name];
    return true;
  }

  bool parse_error(size_t position, const std::string &, const nlohmann::detail::exception &) {
    return fail("malformed JSON at byte " + std::to_string(position == 0 ? 0 : position - 1));
  }

  Json root;
  std::string problem;

private:
  bool fail(std::string text) {
    if (problem.empty())
      problem = std::move(text);
    return false;
  }

  Json *place(Json &&value) {
    if (stack.empty())
      return &(root = std::move(value));
    if (stack.back()->is_array()) {
      stack.back()->push_back(std::move(value));
      return &stack.back()->back();
    }
    return &(*slot = std::move(value));
  }
  bool count() {
    if (++values > limits.values)
      return fail("more than " + std::to_string(limits.values) + " values");
    return true;
  }
  bool add(Json &&value) {
    if (!count())
      return false;
    place(std::move(value));
    return true;
  }
  bool open(Json &&value) {
    if (stack.size() >= limits.depth)
      return fail("nesting deeper than " + std::to_string(limits.depth) + " levels");
    if (!count())
      return false;
    stack.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    stack.pop_back();
    return true;
  }

  const StrictJsonLimits &limits;
  size_t values = 0;
  std::vector<Json *> stack; // only the last one grows, so the pointers below it stay valid
  Json *slot = nullptr;
};

} // namespace

template <typename Json>
Result<Json> parseStrictJson(std::string_view text, std::string_view what, const StrictJsonLimits &limits) {
  if (text.size() > limits.bytes)
    return badInput("expected at most " + std::to_string(limits.bytes) + " bytes of JSON, but got " +
                        std::to_string(text.size()),
                    std::string(what));
  Builder<Json> builder(limits);
  if (!Json::sax_parse(text.begin(), text.end(), &builder, nlohmann::json::input_format_t::json, /*strict=*/true))
    return badInput(builder.problem.empty() ? "malformed JSON" : builder.problem, std::string(what));
  return std::move(builder.root);
}

template Result<nlohmann::json> parseStrictJson(std::string_view, std::string_view, const StrictJsonLimits &);
template Result<nlohmann::ordered_json> parseStrictJson(std::string_view, std::string_view, const StrictJsonLimits &);

Status refuseUnknownKeys(const nlohmann::json &object, std::initializer_list<std::string_view> known,
                         std::string_view where) {
  for (auto item = object.begin(); item != object.end(); ++item) {
    bool found = false;
    for (std::string_view name : known)
      found |= name == item.key();
    if (!found)
      return badInput("unknown key '" + escapeForMessage(item.key()) + "'", std::string(where));
  }
  return {};
}

} // namespace qopt
