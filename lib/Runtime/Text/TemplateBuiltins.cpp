// The filters, methods and tests of chat templates, with the results of Jinja and Python. What Python does to text
// outside of ASCII and is not implemented (changing case) is an error, never a guess.
#include "lib/Runtime/Text/TemplateSyntax.h"
#include "lib/Runtime/Text/Utf8.h"

#include <algorithm>
#include <charconv>

namespace qopt {

using Kind = TemplateValue::Kind;

/// What one filter or method may make before the evaluator's budget sees it.
static constexpr size_t maxItems = 1u << 20;
static constexpr size_t maxTextBytes = 64u << 20;

static constexpr TemplateCallable filters[] = {
    {"trim", 0, 1},
    {"upper", 0, 0},
    {"lower", 0, 0},
    {"length", 0, 0},
    {"count", 0, 0},
    {"first", 0, 0},
    {"last", 0, 0},
    {"string", 0, 0},
    {"int", 0, 0},
    {"list", 0, 0},
    {"items", 0, 0},
    {"join", 0, 1},
    {"replace", 2, 2},
    {"default", 0, 2, "default_value", "boolean"},
    {"d", 0, 2, "default_value", "boolean"},
    {"tojson", 0, 0, "indent"},
};
static constexpr TemplateCallable methods[] = {
    {"strip", 0, 1},    {"lstrip", 0, 1}, {"rstrip", 0, 1}, {"split", 0, 2},   {"startswith", 1, 1},
    {"endswith", 1, 1}, {"upper", 0, 0},  {"lower", 0, 0},  {"replace", 2, 2}, {"items", 0, 0},
    {"keys", 0, 0},     {"values", 0, 0}, {"get", 1, 2},
};
static constexpr TemplateCallable functions[] = {
    {"raise_exception", 1, 1},
    {"namespace", 0, 0},
    {"range", 1, 3},
    {"strftime_now", 1, 1}, // known, so that a template may ask whether it is there; it is not
};
static constexpr std::string_view tests[] = {"defined", "undefined", "none",     "string", "number",
                                             "integer", "float",     "boolean",  "true",   "false",
                                             "mapping", "sequence",  "iterable", "odd",    "even"};

template <size_t count>
static const TemplateCallable *findIn(const TemplateCallable (&table)[count], std::string_view name) {
  for (const TemplateCallable &entry : table)
    if (entry.name == name)
      return &entry;
  return nullptr;
}

const TemplateCallable *findTemplateFilter(std::string_view name) { return findIn(filters, name); }
const TemplateCallable *findTemplateMethod(std::string_view name) { return findIn(methods, name); }
const TemplateCallable *findTemplateFunction(std::string_view name) { return findIn(functions, name); }
bool isTemplateTest(std::string_view name) {
  return std::find(std::begin(tests), std::end(tests), name) != std::end(tests);
}

static TemplateValue text(std::string_view value) { return TemplateValue::string(std::string(value)); }

static TemplateOutcome wrap(std::optional<TemplateValue> value) {
  if (value)
    return std::move(*value);
  return "a list or dictionary nested too deeply, or with a namespace in it";
}

static std::string wrongKind(std::string_view name, const TemplateValue &value) {
  return "'" + std::string(name) + "' of a value that is " + std::string(value.kindName());
}

/// str.strip: white space, or the characters of `set`, from the chosen sides.
static std::string_view strip(std::string_view value, const std::vector<TemplateValue> &arguments, bool left,
                              bool right, TemplateBudget &budget) {
  if (arguments.empty() || arguments[0].is(Kind::None)) {
    value = left ? trimStart(value) : value;
    return right ? trimEnd(value) : value;
  }
  std::vector<std::string_view> set;
  for (std::string_view rest = arguments[0].asString(); !rest.empty();) {
    const size_t length = utf8Step(rest).length;
    set.push_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  for (bool changed = true; changed && budget.spend(set.size());) {
    changed = false;
    for (std::string_view character : set) {
      if (left && value.starts_with(character)) {
        value.remove_prefix(character.size());
        changed = true;
      }
      if (right && value.ends_with(character)) {
        value.remove_suffix(character.size());
        changed = true;
      }
    }
  }
  return value;
}

static TemplateOutcome changeCase(std::string_view name, const std::string &value) {
  std::string out = value;
  for (char &c : out) {
    if (static_cast<unsigned char>(c) >= 0x80)
      return "'" + std::string(name) + "' of text outside of ASCII is not implemented";
    if (name == "upper" && c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
    else if (name == "lower" && c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  }
  return TemplateValue::string(std::move(out));
}

static TemplateOutcome replaceAll(const std::string &value, const std::string &from, const std::string &to) {
  if (from.empty())
    return "'replace' of an empty string is not implemented";
  std::string out;
  size_t at = 0;
  for (size_t found; (found = findText(value, from, at)) != std::string::npos; at = found + from.size()) {
    out.append(value, at, found - at);
    out += to;
    if (out.size() > maxTextBytes)
      return "'replace' makes more than 64 MiB of text";
  }
  return TemplateValue::string(out.append(value, at));
}

static TemplateOutcome split(std::string_view value, const std::vector<TemplateValue> &arguments,
                             TemplateBudget &budget) {
  int64_t limit = arguments.size() > 1 ? arguments[1].asInteger() : -1;
  TemplateValue::List parts;
  if (arguments.empty() || arguments[0].is(Kind::None)) {
    for (value = trimStart(value); !value.empty() && budget.spend(TemplateBudget::itemWork); value = trimStart(value)) {
      size_t end = 0;
      while (end < value.size()) {
        const Utf8Step step = utf8Step(value.substr(end));
        if (step.kind == Utf8Step::Kind::Character && isPythonSpace(step.character))
          break;
        end += step.length;
      }
      if (parts.size() > maxItems)
        return "'split' into more than 1048576 parts";
      if (limit-- == 0)
        end = trimEnd(value).size() == 0 ? 0 : value.size(); // the rest, its end included
      parts.push_back(text(value.substr(0, end)));
      value.remove_prefix(end);
    }
    return wrap(TemplateValue::list(std::move(parts)));
  }
  const std::string &separator = arguments[0].asString();
  if (separator.empty())
    return "'split' at an empty string";
  for (size_t found; limit != 0 && (found = findText(value, separator)) != std::string_view::npos; --limit) {
    if (!budget.spend(TemplateBudget::itemWork))
      break;
    if (parts.size() > maxItems)
      return "'split' into more than 1048576 parts";
    parts.push_back(text(value.substr(0, found)));
    value.remove_prefix(found + separator.size());
  }
  parts.push_back(text(value));
  return wrap(TemplateValue::list(std::move(parts)));
}

static TemplateOutcome pairs(std::string_view name, const TemplateValue &value, TemplateBudget &budget) {
  TemplateValue::List out;
  for (const auto &[key, item] : value.asDictionary()) {
    if (!budget.spend((name == "items" ? 3 : 1) * TemplateBudget::itemWork + key.size()))
      break;
    if (name == "items") {
      auto pair = TemplateValue::list({text(key), item});
      if (!pair)
        return wrap(std::nullopt);
      out.push_back(std::move(*pair));
    } else {
      out.push_back(name == "keys" ? text(key) : item);
    }
  }
  return wrap(TemplateValue::list(std::move(out)));
}

/// The elements of a string (its characters), a list or a dictionary (its keys); nothing for other kinds and for text
/// of more than maxItems bytes. Some of them when the budget is spent.
static std::optional<TemplateValue::List> elements(const TemplateValue &value, TemplateBudget &budget) {
  TemplateValue::List out;
  if (value.is(Kind::List)) {
    if (budget.spend(value.asList().size() * TemplateBudget::itemWork))
      out = value.asList();
    return out;
  }
  if (value.is(Kind::Dictionary)) {
    for (const auto &[key, item] : value.asDictionary())
      if (budget.spend(TemplateBudget::itemWork + key.size()))
        out.push_back(text(key));
    return out;
  }
  if (value.is(Kind::String) && value.asString().size() <= maxItems) {
    for (std::string_view rest = value.asString(); !rest.empty() && budget.spend(TemplateBudget::itemWork);) {
      const size_t length = utf8Step(rest).length;
      out.push_back(text(rest.substr(0, length)));
      rest.remove_prefix(length);
    }
    return out;
  }
  if (value.is(Kind::Undefined))
    return out;
  return std::nullopt;
}

/// The filters that look at a list's size or at one of its items, and so copy nothing.
static TemplateOutcome listFilter(std::string_view name, const TemplateValue &value) {
  const TemplateValue::List &items = value.asList();
  if (name == "list")
    return value;
  if (name == "first")
    return items.empty() ? TemplateValue() : items.front();
  if (name == "last")
    return items.empty() ? TemplateValue() : items.back();
  return TemplateValue::integer(static_cast<int64_t>(items.size()));
}

/// The first or the last character of a text.
static TemplateOutcome character(std::string_view value, bool last) {
  if (value.empty())
    return TemplateValue();
  size_t length = utf8Step(value).length;
  while (last && length < value.size()) {
    value.remove_prefix(length);
    length = utf8Step(value).length;
  }
  return text(value.substr(0, length));
}

static TemplateOutcome sequenceFilter(std::string_view name, const TemplateValue &value,
                                      const std::vector<TemplateValue> &arguments, TemplateBudget &budget) {
  if (value.is(Kind::List) && name != "join")
    return listFilter(name, value);
  if (value.is(Kind::String) && (name == "first" || name == "last"))
    return character(value.asString(), name == "last");
  if (name == "length" || name == "count") {
    if (value.is(Kind::String))
      return TemplateValue::integer(static_cast<int64_t>(countCharacters(value.asString())));
    if (value.is(Kind::Dictionary))
      return TemplateValue::integer(static_cast<int64_t>(value.asDictionary().size()));
  }
  std::optional<TemplateValue::List> items = elements(value, budget);
  if (!items)
    return value.is(Kind::String) ? "'" + std::string(name) + "' of more than 1048576 bytes of text"
                                  : wrongKind(name, value);
  if (name == "first")
    return items->empty() ? TemplateValue() : items->front();
  if (name == "last")
    return items->empty() ? TemplateValue() : items->back();
  if (name == "list")
    return wrap(TemplateValue::list(std::move(*items)));
  if (name != "join")
    return TemplateValue::integer(static_cast<int64_t>(items->size()));
  std::string out;
  const std::optional<std::string> separator = arguments.empty() ? "" : arguments[0].text();
  for (size_t i = 0; i < items->size(); ++i) {
    const std::optional<std::string> item = (*items)[i].text();
    if (!item || !separator)
      return "the text of a list, a dictionary or a namespace is not implemented";
    out += (i > 0 ? *separator : "") + *item;
    if (out.size() > maxTextBytes)
      return "'join' makes more than 64 MiB of text";
  }
  return TemplateValue::string(std::move(out));
}

static TemplateOutcome toInteger(const TemplateValue &value) {
  if (value.is(Kind::Float)) {
    if (!(std::abs(value.asNumber()) < 9e18))
      return "'int' of a number without a 64-bit integer";
    return TemplateValue::integer(static_cast<int64_t>(value.asNumber()));
  }
  if (value.isNumeric())
    return TemplateValue::integer(value.asInteger());
  int64_t number = 0;
  if (!value.is(Kind::String))
    return wrongKind("int", value);
  std::string_view digits = trimStart(trimEnd(value.asString()));
  if (digits.starts_with('+') && !digits.starts_with("+-"))
    digits.remove_prefix(1);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (code != std::errc() || end != digits.data() + digits.size())
    return "'int' of the text '" + escapeForMessage(digits, 40) + "' is not implemented";
  return TemplateValue::integer(number);
}

TemplateOutcome applyTemplateFilter(std::string_view name, const TemplateValue &value,
                                    const std::vector<TemplateValue> &arguments, const TemplateValue &keyword1,
                                    const TemplateValue &keyword2, TemplateBudget &budget) {
  if (name == "default" || name == "d") {
    const TemplateValue &flag = arguments.size() > 1 ? arguments[1] : keyword2;
    if (!value.is(Kind::Undefined) && !(flag.truth() && !value.truth()))
      return value;
    return !arguments.empty() ? arguments[0] : keyword1.is(Kind::Undefined) ? text("") : keyword1;
  }
  if (name == "tojson") {
    const bool indented = keyword1.is(Kind::Integer);
    if (!indented && !keyword1.is(Kind::Undefined) && !keyword1.is(Kind::None))
      return wrongKind("indent", keyword1);
    if (indented && (keyword1.asInteger() < 0 || keyword1.asInteger() > 16))
      return "'indent' outside of 0 to 16";
    std::optional<std::string> json = value.json(indented ? static_cast<int>(keyword1.asInteger()) : -1, budget);
    if (!json)
      return "'tojson' of something undefined or of a namespace";
    return TemplateValue::string(std::move(*json));
  }
  if (name == "length" || name == "count" || name == "first" || name == "last" || name == "list" || name == "join")
    return sequenceFilter(name, value, arguments, budget);
  if (name == "int")
    return toInteger(value);
  if (name == "items") {
    if (value.is(Kind::Undefined))
      return wrap(TemplateValue::list({}));
    return value.is(Kind::Dictionary) ? pairs(name, value, budget) : TemplateOutcome(wrongKind(name, value));
  }
  // The others work on text, and first make text of what they get.
  const std::optional<std::string> string = value.text();
  if (!string)
    return "the text of a list, a dictionary or a namespace is not implemented";
  for (const TemplateValue &argument : arguments)
    if (!argument.is(Kind::String) && !(name == "trim" && argument.is(Kind::None)))
      return wrongKind("argument of " + std::string(name), argument);
  if (name == "upper" || name == "lower")
    return changeCase(name, *string);
  if (name == "replace")
    return replaceAll(*string, arguments[0].asString(), arguments[1].asString());
  return name == "trim" ? text(strip(*string, arguments, true, true, budget)) : TemplateValue::string(*string);
}

TemplateOutcome applyTemplateMethod(std::string_view name, const TemplateValue &value,
                                    const std::vector<TemplateValue> &arguments, TemplateBudget &budget) {
  if (name == "items" || name == "keys" || name == "values")
    return value.is(Kind::Dictionary) ? pairs(name, value, budget)
                                      : TemplateOutcome(wrongKind("." + std::string(name), value));
  if (name == "get") {
    if (!value.is(Kind::Dictionary) || !arguments[0].is(Kind::String))
      return wrongKind(".get", value.is(Kind::Dictionary) ? arguments[0] : value);
    if (const TemplateValue *found = value.find(arguments[0].asString(), budget))
      return *found;
    return arguments.size() > 1 ? arguments[1] : TemplateValue::none();
  }
  if (!value.is(Kind::String))
    return wrongKind("." + std::string(name), value);
  const std::string &string = value.asString();
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool number = name == "split" && i == 1;
    const bool mayBeNone = name.ends_with("strip") || (name == "split" && i == 0);
    if (!arguments[i].is(number ? Kind::Integer : Kind::String) && !(mayBeNone && arguments[i].is(Kind::None)))
      return wrongKind("argument of ." + std::string(name), arguments[i]);
  }
  if (name == "startswith")
    return TemplateValue::boolean(string.starts_with(arguments[0].asString()));
  if (name == "endswith")
    return TemplateValue::boolean(string.ends_with(arguments[0].asString()));
  if (name == "upper" || name == "lower")
    return changeCase(name, string);
  if (name == "replace")
    return replaceAll(string, arguments[0].asString(), arguments[1].asString());
  if (name == "split")
    return split(string, arguments, budget);
  return text(strip(string, arguments, name != "rstrip", name != "lstrip", budget));
}

bool applyTemplateTest(std::string_view name, const TemplateValue &value) {
  if (name == "defined")
    return !value.is(Kind::Undefined);
  if (name == "undefined")
    return value.is(Kind::Undefined);
  if (name == "none")
    return value.is(Kind::None);
  if (name == "string")
    return value.is(Kind::String);
  if (name == "number")
    return value.isNumeric();
  if (name == "integer")
    return value.is(Kind::Integer);
  if (name == "float")
    return value.is(Kind::Float);
  if (name == "boolean")
    return value.is(Kind::Boolean);
  if (name == "true" || name == "false")
    return value.is(Kind::Boolean) && value.asBoolean() == (name == "true");
  if (name == "mapping")
    return value.is(Kind::Dictionary);
  if (name == "odd" || name == "even") // of something else: the evaluator has refused it
    return (value.asInteger() % 2 != 0) == (name == "odd");
  return value.is(Kind::String) || value.is(Kind::List) || value.is(Kind::Dictionary) || value.is(Kind::Undefined);
}

} // namespace qopt
