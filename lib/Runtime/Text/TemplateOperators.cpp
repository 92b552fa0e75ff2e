// The operators of chat templates on values: arithmetic, comparison, attributes, indices, slices, with Python's
// results. See TemplateEvaluator.h.
#include "lib/Runtime/Text/TemplateEvaluator.h"
#include "lib/Runtime/Text/Utf8.h"

#include <algorithm>
#include <cmath>

namespace qopt {

using Expression = TemplateExpression;
using Value = TemplateValue;
using Kind = TemplateValue::Kind;

Value TemplateEvaluator::integerArithmetic(const Expression &node, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (node.kind == Expression::Kind::Negate || node.name == "-") {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (node.name == "+") {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (node.name == "*") {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else { // Python's // and % round down
    if (right == 0)
      return fail(node.place, "division by zero");
    overflow = right == -1 && left == INT64_MIN;
    if (!overflow) {
      const int64_t quotient = left / right, remainder = left % right;
      const bool lower = remainder != 0 && (remainder < 0) != (right < 0);
      result = node.name == "//" ? quotient - lower : remainder + (lower ? right : 0);
    }
  }
  return overflow ? fail(node.place, "an integer beyond 64 bits") : Value::integer(result);
}

Value TemplateEvaluator::arithmetic(const Expression &node, const Value &left, const Value &right) {
  const std::string &sign = node.name;
  if (sign == "~") {
    const std::optional<std::string> first = left.text(), second = right.text();
    if (!first || !second)
      return fail(node.place, "the text of a list, a dictionary or a namespace is not implemented");
    return makeString(node.place, *first + *second);
  }
  if (sign == "+" && left.is(Kind::String) && right.is(Kind::String))
    return makeString(node.place, left.asString() + right.asString());
  if (sign == "+" && left.is(Kind::List) && right.is(Kind::List)) {
    Value::List items = left.asList();
    items.insert(items.end(), right.asList().begin(), right.asList().end());
    return makeList(node.place, std::move(items));
  }
  if (!left.isNumeric() || !right.isNumeric())
    return fail(node.place, "'" + sign + "' between values that are " + std::string(left.kindName()) + " and " +
                                std::string(right.kindName()));
  if (!left.is(Kind::Float) && !right.is(Kind::Float) && sign != "/")
    return integerArithmetic(node, left.asInteger(), right.asInteger());
  const double first = left.asNumber(), second = right.asNumber();
  if ((sign == "/" || sign == "//" || sign == "%") && second == 0)
    return fail(node.place, "division by zero");
  if (sign == "//")
    return Value::number(std::floor(first / second));
  if (sign == "%") {
    const double remainder = std::fmod(first, second);
    return Value::number(remainder != 0 && (remainder < 0) != (second < 0) ? remainder + second : remainder);
  }
  return Value::number(sign == "+"   ? first + second
                       : sign == "-" ? first - second
                       : sign == "*" ? first * second
                                     : first / second);
}

bool TemplateEvaluator::contains(const Expression &node, const Value &whole, const Value &part) {
  switch (whole.kind()) {
  case Kind::String:
    if (part.is(Kind::String))
      return spend(node.place, whole.asString().size() + part.asString().size()) &&
             findText(whole.asString(), part.asString()) != std::string_view::npos;
    break;
  case Kind::List: {
    const bool found = std::any_of(whole.asList().begin(), whole.asList().end(),
                                   [&](const Value &item) { return item.equals(part, budget); });
    return checkBudget(node.place) && found;
  }
  case Kind::Dictionary: {
    const bool found = part.is(Kind::String) && whole.find(part.asString(), budget);
    return checkBudget(node.place) && found;
  }
  case Kind::Undefined:
    return false;
  default:
    break;
  }
  fail(node.place,
       "'in' between values that are " + std::string(part.kindName()) + " and " + std::string(whole.kindName()));
  return false;
}

bool TemplateEvaluator::compare(const Expression &node, const std::string &comparison, const Value &left,
                                const Value &right) {
  if (comparison == "==" || comparison == "!=") {
    const bool equal = left.equals(right, budget);
    return checkBudget(node.place) && equal == (comparison == "==");
  }
  if (comparison == "in" || comparison == "not in")
    return contains(node, right, left) == (comparison == "in");
  int order = 0;
  if (left.is(Kind::String) && right.is(Kind::String)) {
    if (!spend(node.place, std::min(left.asString().size(), right.asString().size())))
      return false;
    order = left.asString().compare(right.asString()); // bytes of UTF-8 sort as their characters do
  } else if (left.isNumeric() && right.isNumeric()) {
    if (left.is(Kind::Float) || right.is(Kind::Float)) {
      const double first = left.asNumber(), second = right.asNumber();
      return comparison == "<"    ? first < second
             : comparison == "<=" ? first <= second
             : comparison == ">"  ? first > second
                                  : first >= second;
    }
    order = (left.asInteger() > right.asInteger()) - (left.asInteger() < right.asInteger());
  } else {
    fail(node.place, "'" + comparison + "' between values that are " + std::string(left.kindName()) + " and " +
                         std::string(right.kindName()));
    return false;
  }
  return comparison == "<" ? order < 0 : comparison == "<=" ? order <= 0 : comparison == ">" ? order > 0 : order >= 0;
}

Value TemplateEvaluator::attribute(const Expression &node, const Value &base) {
  if (base.is(Kind::Undefined)) {
    const Expression &child = *node.children[0];
    return fail(node.place, (child.name.empty() ? std::string("a value") : "'" + escapeForMessage(child.name) + "'") +
                                " is undefined, so it has no '" + escapeForMessage(node.name) + "'");
  }
  if (base.is(Kind::Dictionary) || base.is(Kind::Namespace)) {
    const Value *value = base.find(node.name, budget);
    return checkBudget(node.place) && value ? *value : Value();
  }
  if (base.is(Kind::String) && findTemplateMethod(node.name))
    return fail(node.place, "'." + node.name + "' without a call is not implemented");
  return {};
}

Value TemplateEvaluator::index(const Expression &node, const Value &base, const Value &key) {
  if (base.is(Kind::Undefined))
    return fail(node.place, "index of something undefined");
  if ((base.is(Kind::Dictionary) || base.is(Kind::Namespace)) && key.is(Kind::String)) {
    const Value *value = base.find(key.asString(), budget);
    return checkBudget(node.place) && value ? *value : Value();
  }
  if ((!base.is(Kind::List) && !base.is(Kind::String)) || (!key.is(Kind::Integer) && !key.is(Kind::Boolean)))
    return {};
  if (base.is(Kind::String) && !spend(node.place, base.asString().size()))
    return {};
  const auto count =
      static_cast<int64_t>(base.is(Kind::List) ? base.asList().size() : countCharacters(base.asString()));
  int64_t at = key.asInteger();
  if (at < 0)
    at += count;
  if (at < 0 || at >= count)
    return {};
  if (base.is(Kind::List))
    return base.asList()[static_cast<size_t>(at)];
  std::string_view rest = base.asString();
  for (; at > 0; --at)
    rest.remove_prefix(utf8Step(rest).length);
  return makeString(node.place, std::string(rest.substr(0, utf8Step(rest).length)));
}

/// Python's slices: bounds are cut to what is there, a negative step goes backwards.
Value TemplateEvaluator::slice(const Expression &node) {
  const Value base = evaluate(*node.children[0]);
  std::optional<int64_t> bounds[3];
  for (int i = 0; i < 3 && !problem; ++i) {
    if (!node.children[i + 1])
      continue;
    const Value bound = evaluate(*node.children[i + 1]);
    if (bound.is(Kind::Integer) || bound.is(Kind::Boolean))
      bounds[i] = bound.asInteger();
    else if (!bound.is(Kind::None) && !problem)
      return fail(node.place, "a slice's bound that is " + std::string(bound.kindName()));
  }
  if (problem)
    return {};
  std::vector<std::string_view> characters; // of a string
  if (base.is(Kind::String)) {
    if (!spend(node.place, base.asString().size() * sizeof(std::string_view)))
      return {};
    for (std::string_view rest = base.asString(); !rest.empty();) {
      characters.push_back(rest.substr(0, utf8Step(rest).length));
      rest.remove_prefix(characters.back().size());
    }
  } else if (!base.is(Kind::List)) {
    return fail(node.place, "a slice of a value that is " + std::string(base.kindName()));
  }
  const auto count = static_cast<int64_t>(base.is(Kind::List) ? base.asList().size() : characters.size());
  const int64_t step = bounds[2].value_or(1);
  if (step == 0)
    return fail(node.place, "a slice's step that is 0");
  const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? count : count - 1;
  auto bound = [&](const std::optional<int64_t> &given, int64_t otherwise) {
    if (!given)
      return otherwise;
    return *given < 0 ? std::max(lowest, *given < -count ? lowest : *given + count) : std::min(highest, *given);
  };
  const int64_t start = bound(bounds[0], step > 0 ? lowest : highest);
  const int64_t end = bound(bounds[1], step > 0 ? highest : lowest);
  Value::List chosen;
  std::string text;
  for (int64_t at = start; step > 0 ? at < end : at > end;) {
    if (base.is(Kind::List))
      chosen.push_back(base.asList()[static_cast<size_t>(at)]);
    else
      text += characters[static_cast<size_t>(at)];
    if (__builtin_add_overflow(at, step, &at))
      break;
  }
  return base.is(Kind::List) ? makeList(node.place, std::move(chosen)) : makeString(node.place, std::move(text));
}

} // namespace qopt
