// See TemplateValue.h.
#include "lib/Runtime/Text/TemplateValue.h"

#include "lib/Runtime/Text/StrictJson.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace qopt {

using Kind = TemplateValue::Kind;

TemplateValue TemplateValue::string(std::string value) {
  return TemplateValue(Store(std::in_place_index<5>, std::make_shared<const std::string>(std::move(value))));
}

int TemplateValue::depth() const {
  return is(Kind::List) ? std::get<6>(store)->depth : is(Kind::Dictionary) ? std::get<7>(store)->depth : 0;
}

std::optional<TemplateValue> TemplateValue::list(List items) {
  int depth = 0;
  for (const TemplateValue &item : items) {
    if (item.is(Kind::Namespace))
      return std::nullopt;
    depth = std::max(depth, item.depth());
  }
  if (depth >= maxDepth)
    return std::nullopt;
  auto body = std::make_shared<const ListBody>(ListBody{std::move(items), depth + 1});
  return TemplateValue(Store(std::in_place_index<6>, std::move(body)));
}

std::optional<TemplateValue> TemplateValue::dictionary(Dictionary items) {
  int depth = 0;
  for (const auto &[key, item] : items) {
    if (item.is(Kind::Namespace))
      return std::nullopt;
    depth = std::max(depth, item.depth());
  }
  if (depth >= maxDepth)
    return std::nullopt;
  auto body = std::make_shared<const DictionaryBody>(DictionaryBody{std::move(items), depth + 1});
  return TemplateValue(Store(std::in_place_index<7>, std::move(body)));
}

TemplateValue TemplateValue::makeNamespace(Dictionary items) {
  return TemplateValue(Store(std::in_place_index<8>, std::make_shared<Dictionary>(std::move(items))));
}

const TemplateValue *TemplateValue::find(std::string_view key, TemplateBudget &budget) const {
  const Dictionary &items = is(Kind::Namespace) ? asNamespace() : asDictionary();
  if (!budget.spendSearch(items.size(), key))
    return nullptr;
  for (const auto &[name, value] : items)
    if (name == key)
      return &value;
  return nullptr;
}

std::string_view TemplateValue::kindName() const {
  static constexpr std::string_view names[] = {"undefined", "none", "boolean",    "integer",  "float",
                                               "string",    "list", "dictionary", "namespace"};
  return names[store.index()];
}

bool TemplateValue::truth() const {
  switch (kind()) {
  case Kind::Undefined:
  case Kind::None:
    return false;
  case Kind::Boolean:
  case Kind::Integer:
    return asInteger() != 0;
  case Kind::Float:
    return asNumber() != 0;
  case Kind::String:
    return !asString().empty();
  case Kind::List:
    return !asList().empty();
  case Kind::Dictionary:
    return !asDictionary().empty();
  case Kind::Namespace:
    break;
  }
  return true;
}

/// Whether both are one string, list, dictionary or namespace, so that its contents need no look. To Python too, a list
/// equals itself, whatever is in it.
bool TemplateValue::isSameAs(const TemplateValue &other) const {
  switch (kind()) {
  case Kind::String:
    return std::get<5>(store) == std::get<5>(other.store);
  case Kind::List:
    return std::get<6>(store) == std::get<6>(other.store);
  case Kind::Dictionary:
    return std::get<7>(store) == std::get<7>(other.store);
  case Kind::Namespace:
    return std::get<8>(store) == std::get<8>(other.store);
  default:
    return false;
  }
}

bool TemplateValue::equalDictionary(const TemplateValue &other, TemplateBudget &budget) const {
  if (asDictionary().size() != other.asDictionary().size())
    return false;
  for (const auto &[key, value] : asDictionary()) {
    const TemplateValue *match = other.find(key, budget);
    if (!match || !value.equals(*match, budget))
      return false;
  }
  return true;
}

bool TemplateValue::equals(const TemplateValue &other, TemplateBudget &budget) const {
  if (!budget.spend(1))
    return false;
  if (isNumeric() && other.isNumeric()) {
    if (is(Kind::Float) || other.is(Kind::Float))
      return asNumber() == other.asNumber();
    return asInteger() == other.asInteger();
  }
  if (kind() != other.kind())
    return false;
  if (isSameAs(other))
    return true;
  switch (kind()) {
  case Kind::String:
    return asString().size() == other.asString().size() && budget.spend(asString().size()) &&
           asString() == other.asString();
  case Kind::List:
    return std::equal(
        asList().begin(), asList().end(), other.asList().begin(), other.asList().end(),
        [&](const TemplateValue &left, const TemplateValue &right) { return left.equals(right, budget); });
  case Kind::Dictionary:
    return equalDictionary(other, budget);
  case Kind::Namespace:
    return false; // only itself is equal
  default:        // undefined and none equal themselves; numbers were compared above
    return true;
  }
}

/// Python's repr of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
static std::string floatText(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string scientific(buffer, end); // [-]d[.ddd]e±XX
  const size_t e = scientific.find('e');
  const int exponent = std::atoi(scientific.c_str() + e + 1);
  std::string digits, sign = scientific[0] == '-' ? "-" : "";
  for (char c : scientific.substr(0, e))
    if (c >= '0' && c <= '9')
      digits += c;
  if (exponent < -4 || exponent >= 16) {
    char power[8];
    std::snprintf(power, sizeof power, "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
    return sign + digits[0] + (digits.size() > 1 ? "." + digits.substr(1) : "") + power;
  }
  if (exponent < 0)
    return sign + "0." + std::string(-exponent - 1, '0') + digits;
  if (digits.size() <= static_cast<size_t>(exponent) + 1)
    return sign + digits + std::string(exponent + 1 - digits.size(), '0') + ".0";
  return sign + digits.substr(0, exponent + 1) + "." + digits.substr(exponent + 1);
}

std::optional<std::string> TemplateValue::text() const {
  switch (kind()) {
  case Kind::Undefined:
    return "";
  case Kind::None:
    return "None";
  case Kind::Boolean:
    return asBoolean() ? "True" : "False";
  case Kind::Integer:
    return std::to_string(asInteger());
  case Kind::Float:
    return floatText(asNumber());
  case Kind::String:
    return asString();
  default:
    return std::nullopt;
  }
}

static bool writeJsonString(std::string &out, const std::string &text, TemplateBudget &budget) {
  if (!budget.spend(text.size()))
    return false;
  const size_t end = out.size() + text.size(); // were there no quotes and no escapes, which are spent below
  out += '"';
  for (char c : text) {
    const char *shortForm = c == '"'    ? "\\\""
                            : c == '\\' ? "\\\\"
                            : c == '\n' ? "\\n"
                            : c == '\r' ? "\\r"
                            : c == '\t' ? "\\t"
                            : c == '\b' ? "\\b"
                            : c == '\f' ? "\\f"
                                        : nullptr;
    char code[8];
    if (shortForm) {
      out += shortForm;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  out += '"';
  return budget.spend(out.size() - end);
}

bool TemplateValue::writeJson(std::string &out, int indent, int level, TemplateBudget &budget) const {
  const size_t count = is(Kind::List) ? asList().size() : is(Kind::Dictionary) ? asDictionary().size() : 0;
  const size_t margin = indent >= 0 ? static_cast<size_t>(indent) * (level + 1) : 0;
  // For itself, and for what separates its items: a comma and a newline, or a space.
  if (!budget.spend(TemplateBudget::stepWork + count * (margin + 2)))
    return false;
  auto separate = [&](size_t i) {
    if (indent >= 0)
      out += (i > 0 ? ",\n" : "\n") + std::string(margin, ' ');
    else if (i > 0)
      out += ", ";
  };
  auto finish = [&](char bracket) {
    if (indent >= 0 && count > 0)
      out += "\n" + std::string(static_cast<size_t>(indent) * level, ' ');
    out += bracket;
  };
  switch (kind()) {
  case Kind::None:
    out += "null";
    return true;
  case Kind::Boolean:
    out += asBoolean() ? "true" : "false";
    return true;
  case Kind::Integer:
    out += std::to_string(asInteger());
    return true;
  case Kind::Float:
    out += std::isnan(asNumber())   ? "NaN"
           : std::isinf(asNumber()) ? (asNumber() < 0 ? "-Infinity" : "Infinity")
                                    : floatText(asNumber());
    return true;
  case Kind::String:
    return writeJsonString(out, asString(), budget);
  case Kind::List:
    out += '[';
    for (size_t i = 0; i < count; ++i) {
      separate(i);
      if (!asList()[i].writeJson(out, indent, level + 1, budget))
        return false;
    }
    finish(']');
    return true;
  case Kind::Dictionary:
    out += '{';
    for (size_t i = 0; i < count; ++i) {
      separate(i);
      if (!writeJsonString(out, asDictionary()[i].first, budget))
        return false;
      out += ": ";
      if (!asDictionary()[i].second.writeJson(out, indent, level + 1, budget))
        return false;
    }
    finish('}');
    return true;
  default:
    return false;
  }
}

std::optional<std::string> TemplateValue::json(int indent, TemplateBudget &budget) const {
  std::string out;
  if (!writeJson(out, indent, 0, budget))
    return std::nullopt;
  return out;
}

static std::optional<TemplateValue> fromJson(const nlohmann::ordered_json &json) {
  using Type = nlohmann::json::value_t;
  switch (json.type()) {
  case Type::null:
    return TemplateValue::none();
  case Type::boolean:
    return TemplateValue::boolean(json.get<bool>());
  case Type::number_integer:
    return TemplateValue::integer(json.get<int64_t>());
  case Type::number_unsigned:
    if (json.get<uint64_t>() > INT64_MAX)
      return TemplateValue::number(static_cast<double>(json.get<uint64_t>()));
    return TemplateValue::integer(json.get<int64_t>());
  case Type::number_float:
    return TemplateValue::number(json.get<double>());
  case Type::string:
    return TemplateValue::string(json.get<std::string>());
  case Type::array: {
    TemplateValue::List items;
    for (const auto &item : json)
      if (auto value = fromJson(item))
        items.push_back(std::move(*value));
    return TemplateValue::list(std::move(items));
  }
  case Type::object: {
    TemplateValue::Dictionary items;
    for (auto item = json.begin(); item != json.end(); ++item)
      if (auto value = fromJson(*item))
        items.emplace_back(item.key(), std::move(*value));
    return TemplateValue::dictionary(std::move(items));
  }
  default:
    return std::nullopt;
  }
}

Result<TemplateValue> TemplateValue::parseJson(std::string_view text) {
  // Below maxDepth, so that every conversion succeeds.
  Result<nlohmann::ordered_json> json =
      parseStrictJson<nlohmann::ordered_json>(text, "chat template values", {.depth = 64});
  if (!json)
    return json.takeError();
  return *fromJson(*json);
}

} // namespace qopt
