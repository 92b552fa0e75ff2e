// Evaluates the expressions of chat templates. See TemplateEvaluator.h.
#include "lib/Runtime/Text/TemplateEvaluator.h"

#include <algorithm>

namespace qopt {

using Expression = TemplateExpression;
using Value = TemplateValue;
using Kind = TemplateValue::Kind;

/// A dictionary as it is written; of a key given twice, the last value.
Value TemplateEvaluator::dictionary(const Expression &node) {
  Value::Dictionary items;
  for (size_t i = 0; i < node.children.size(); i += 2) {
    const Value key = evaluate(*node.children[i]);
    if (!problem && !key.is(Kind::String))
      return fail(node.place, "a dictionary's key that is " + std::string(key.kindName()) + " is not implemented");
    Value item = evaluate(*node.children[i + 1]);
    if (problem)
      return {};
    budget.spendSearch(items.size(), key.asString());
    if (!spend(node.place, Budget::itemWork + key.asString().size())) // the key is copied
      return {};
    const auto same =
        std::find_if(items.begin(), items.end(), [&](auto &entry) { return entry.first == key.asString(); });
    if (same != items.end())
      same->second = std::move(item);
    else
      items.emplace_back(key.asString(), std::move(item));
  }
  if (std::optional<Value> made = Value::dictionary(std::move(items)))
    return std::move(*made);
  return fail(node.place, "a dictionary nested too deeply, or with a namespace in it");
}

Value TemplateEvaluator::evaluate(const Expression &node) {
  if (!spend(node.place, Budget::stepWork))
    return {};
  switch (node.kind) {
  case Expression::Kind::Literal:
    return node.literal;
  case Expression::Kind::Name:
    if (const Value *value = lookUp(node.place, node.name))
      return *value;
    return {};
  case Expression::Kind::List:
    return makeList(node.place, arguments(node, 0));
  case Expression::Kind::Dictionary:
    return dictionary(node);
  case Expression::Kind::Not:
    return Value::boolean(!evaluate(*node.children[0]).truth());
  case Expression::Kind::Negate: {
    const Value value = evaluate(*node.children[0]);
    if (!problem && !value.isNumeric())
      return fail(node.place, "'-' of a value that is " + std::string(value.kindName()));
    if (problem)
      return {};
    return value.is(Kind::Float) ? Value::number(-value.asNumber()) : integerArithmetic(node, 0, value.asInteger());
  }
  case Expression::Kind::And:
  case Expression::Kind::Or: {
    Value left = evaluate(*node.children[0]);
    return left.truth() == (node.kind == Expression::Kind::And) ? evaluate(*node.children[1]) : std::move(left);
  }
  case Expression::Kind::Conditional:
    if (evaluate(*node.children[0]).truth())
      return evaluate(*node.children[1]);
    return node.children[2] ? evaluate(*node.children[2]) : Value();
  case Expression::Kind::Compare: {
    Value left = evaluate(*node.children[0]);
    for (size_t i = 0; i < node.comparisons.size() && !problem; ++i) {
      Value right = evaluate(*node.children[i + 1]);
      if (problem || !compare(node, node.comparisons[i], left, right))
        return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }
  case Expression::Kind::Arithmetic: {
    const Value left = evaluate(*node.children[0]), right = evaluate(*node.children[1]);
    return problem ? Value() : arithmetic(node, left, right);
  }
  case Expression::Kind::Attribute: {
    const Value base = evaluate(*node.children[0]);
    return problem ? Value() : attribute(node, base);
  }
  case Expression::Kind::Index: {
    const Value base = evaluate(*node.children[0]), key = evaluate(*node.children[1]);
    return problem ? Value() : index(node, base, key);
  }
  case Expression::Kind::Slice:
    return slice(node);
  case Expression::Kind::Test: {
    const Value value = evaluate(*node.children[0]);
    if (problem)
      return {};
    if ((node.name == "odd" || node.name == "even") && !value.is(Kind::Integer) && !value.is(Kind::Boolean))
      return fail(node.place, "'is " + node.name + "' of a value that is " + std::string(value.kindName()));
    return Value::boolean(applyTemplateTest(node.name, value) != node.negated);
  }
  case Expression::Kind::Function:
    return call(node);
  case Expression::Kind::Filter:
  case Expression::Kind::Method:
    break;
  }
  return apply(node);
}

std::vector<Value> TemplateEvaluator::arguments(const Expression &node, size_t first) {
  std::vector<Value> values;
  for (size_t i = first; i < node.children.size() && !problem; ++i)
    values.push_back(evaluate(*node.children[i]));
  return values;
}

Value TemplateEvaluator::call(const Expression &node) {
  if (node.name == "strftime_now")
    return fail(node.place, "'strftime_now' is not defined");
  if (node.name == "namespace") {
    Value::Dictionary items;
    for (const auto &[name, expression] : node.keywords) {
      Value value = evaluate(*expression);
      if (value.is(Kind::Namespace))
        return fail(node.place, "a namespace in a namespace is not implemented");
      items.emplace_back(name, std::move(value));
    }
    return Value::makeNamespace(std::move(items));
  }
  const std::vector<Value> values = arguments(node, 0);
  if (problem)
    return {};
  if (node.name == "raise_exception") {
    if (!problem)
      problem = badInput("the chat template refuses this conversation: " +
                             escapeForMessage(values[0].text().value_or(""), 400),
                         describe(node.place));
    return {};
  }
  for (const Value &value : values)
    if (!value.is(Kind::Integer))
      return fail(node.place, "'range' of a value that is " + std::string(value.kindName()));
  int64_t at = values.size() > 1 ? values[0].asInteger() : 0;
  const int64_t end = values.size() > 1 ? values[1].asInteger() : values[0].asInteger();
  const int64_t step = values.size() > 2 ? values[2].asInteger() : 1;
  if (step == 0)
    return fail(node.place, "'range' with a step of 0");
  Value::List items;
  while (step > 0 ? at < end : at > end) {
    if (!spend(node.place, Budget::itemWork))
      return {};
    items.push_back(Value::integer(at));
    if (__builtin_add_overflow(at, step, &at))
      break;
  }
  return makeList(node.place, std::move(items));
}

static uint64_t textBytes(const Value &value) { return value.is(Kind::String) ? value.asString().size() : 0; }

/// A filter or a method.
Value TemplateEvaluator::apply(const Expression &node) {
  const Value value = evaluate(*node.children[0]);
  const std::vector<Value> values = arguments(node, 1);
  uint64_t bytes = textBytes(value);
  for (const Value &argument : values)
    bytes += textBytes(argument);
  if (!spend(node.place, bytes))
    return {};
  TemplateOutcome outcome;
  if (node.kind == Expression::Kind::Method) {
    outcome = applyTemplateMethod(node.name, value, values, budget);
  } else {
    const TemplateCallable *filter = findTemplateFilter(node.name);
    Value keywords[2];
    for (const auto &[name, expression] : node.keywords)
      keywords[name == filter->keyword1 ? 0 : 1] = evaluate(*expression);
    if (problem)
      return {};
    outcome = applyTemplateFilter(node.name, value, values, keywords[0], keywords[1], budget);
  }
  if (!checkBudget(node.place))
    return {};
  if (auto *reason = std::get_if<std::string>(&outcome))
    return fail(node.place, std::move(*reason));
  Value result = std::get<Value>(std::move(outcome));
  spend(node.place, textBytes(result));
  return result;
}

} // namespace qopt
