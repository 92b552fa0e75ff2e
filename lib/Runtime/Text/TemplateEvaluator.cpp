// Runs a parsed chat template. Recursion is bounded by the parser's limits, time and memory by a budget of work: some
// units for each expression and statement, one for each byte of text and a few for each item of a list that one makes.
#include "lib/Runtime/Text/TemplateSyntax.h"
#include "lib/Runtime/Text/Utf8.h"

#include <algorithm>
#include <cmath>

namespace qopt {
namespace {

using Expression = TemplateExpression;
using Statement = TemplateStatement;
using Value = TemplateValue;
using Kind = TemplateValue::Kind;

constexpr uint64_t maxWork = 64u << 20;
constexpr uint64_t stepWork = 16;       ///< an expression or a statement
constexpr uint64_t itemWork = 32;       ///< an item of a list: about its bytes
constexpr uint64_t iterationWork = 128; ///< an iteration, with its `loop`

/// After the first failure every evaluation returns undefined at once; callers look at `problem` where it matters.
class Evaluator {
public:
  explicit Evaluator(const Value &context) {
    scopes.emplace_back();
    for (const auto &[name, value] : context.asDictionary())
      scopes.back().emplace_back(name, value);
  }
  void run(const TemplateBlock &block);

  std::string output;
  std::optional<Error> problem;

private:
  using Scope = std::vector<std::pair<std::string, Value>>;
  enum class Flow : uint8_t { On, Break, Continue };

  Value fail(const TemplatePlace &place, std::string rule) {
    if (!problem)
      problem = badInput("chat template failed: " + std::move(rule), describe(place));
    return {};
  }
  /// False, and a problem, once too much has been done.
  bool spend(const TemplatePlace &place, uint64_t units) {
    work += units;
    if (work > maxWork && !problem)
      problem =
          resourceError("chat template does more work than " + std::to_string(maxWork) + " units", describe(place));
    return !problem;
  }
  Value makeString(const TemplatePlace &place, std::string text) {
    return spend(place, text.size()) ? Value::string(std::move(text)) : Value();
  }
  Value makeList(const TemplatePlace &place, Value::List items) {
    if (!spend(place, items.size() * itemWork))
      return {};
    if (std::optional<Value> list = Value::list(std::move(items)))
      return std::move(*list);
    return fail(place, "a list nested too deeply, or with a namespace in it");
  }

  const Value *lookUp(std::string_view name) const {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
      for (const auto &[known, value] : *scope)
        if (known == name)
          return &value;
    return nullptr;
  }
  void assign(const std::string &name, Value value) {
    for (auto &[known, old] : scopes.back())
      if (known == name) {
        old = std::move(value);
        return;
      }
    scopes.back().emplace_back(name, std::move(value));
  }

  Value evaluate(const Expression &node);
  Value arithmetic(const Expression &node, const Value &left, const Value &right);
  Value integerArithmetic(const Expression &node, int64_t left, int64_t right);
  Value index(const Expression &node, const Value &base, const Value &key);
  Value attribute(const Expression &node, const Value &base);
  Value slice(const Expression &node);
  bool compare(const Expression &node, const std::string &comparison, const Value &left, const Value &right);
  bool contains(const Expression &node, const Value &whole, const Value &part);
  Value call(const Expression &node);
  Value apply(const Expression &node);
  std::vector<Value> arguments(const Expression &node, size_t first);

  Flow execute(const TemplateBlock &block);
  Flow executeFor(const Statement &statement);
  bool bind(const Statement &statement, const Value &item);
  void setAttribute(const Statement &statement);

  std::vector<Scope> scopes;
  uint64_t work = 0;
};

//===--- Expressions ----------------------------------------------------------------------------------------------===//

Value Evaluator::evaluate(const Expression &node) {
  if (!spend(node.place, stepWork))
    return {};
  switch (node.kind) {
  case Expression::Kind::Literal:
    return node.literal;
  case Expression::Kind::Name:
    if (const Value *value = lookUp(node.name))
      return *value;
    return {};
  case Expression::Kind::List:
    return makeList(node.place, arguments(node, 0));
  case Expression::Kind::Dictionary: {
    Value::Dictionary items;
    for (size_t i = 0; i < node.children.size(); i += 2) {
      const Value key = evaluate(*node.children[i]);
      if (!problem && !key.is(Kind::String))
        return fail(node.place, "a dictionary's key that is " + std::string(key.kindName()) + " is not implemented");
      Value item = evaluate(*node.children[i + 1]);
      if (problem)
        return {};
      const auto same =
          std::find_if(items.begin(), items.end(), [&](auto &entry) { return entry.first == key.asString(); });
      if (same != items.end())
        same->second = std::move(item);
      else
        items.emplace_back(key.asString(), std::move(item));
    }
    if (std::optional<Value> dictionary = Value::dictionary(std::move(items)))
      return std::move(*dictionary);
    return fail(node.place, "a dictionary nested too deeply, or with a namespace in it");
  }
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

std::vector<Value> Evaluator::arguments(const Expression &node, size_t first) {
  std::vector<Value> values;
  for (size_t i = first; i < node.children.size() && !problem; ++i)
    values.push_back(evaluate(*node.children[i]));
  return values;
}

Value Evaluator::integerArithmetic(const Expression &node, int64_t left, int64_t right) {
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

Value Evaluator::arithmetic(const Expression &node, const Value &left, const Value &right) {
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

bool Evaluator::contains(const Expression &node, const Value &whole, const Value &part) {
  switch (whole.kind()) {
  case Kind::String:
    if (part.is(Kind::String))
      return whole.asString().find(part.asString()) != std::string::npos;
    break;
  case Kind::List:
    spend(node.place, whole.asList().size());
    return std::any_of(whole.asList().begin(), whole.asList().end(),
                       [&](const Value &item) { return item.equals(part); });
  case Kind::Dictionary:
    return part.is(Kind::String) && whole.find(part.asString());
  case Kind::Undefined:
    return false;
  default:
    break;
  }
  fail(node.place,
       "'in' between values that are " + std::string(part.kindName()) + " and " + std::string(whole.kindName()));
  return false;
}

bool Evaluator::compare(const Expression &node, const std::string &comparison, const Value &left, const Value &right) {
  if (comparison == "==" || comparison == "!=")
    return left.equals(right) == (comparison == "==");
  if (comparison == "in" || comparison == "not in")
    return contains(node, right, left) == (comparison == "in");
  int order = 0;
  if (left.is(Kind::String) && right.is(Kind::String)) {
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

Value Evaluator::attribute(const Expression &node, const Value &base) {
  if (base.is(Kind::Undefined)) {
    const Expression &child = *node.children[0];
    return fail(node.place, (child.name.empty() ? std::string("a value") : "'" + escapeForMessage(child.name) + "'") +
                                " is undefined, so it has no '" + escapeForMessage(node.name) + "'");
  }
  if (base.is(Kind::Dictionary) || base.is(Kind::Namespace)) {
    const Value *value = base.find(node.name);
    return value ? *value : Value();
  }
  if (base.is(Kind::String) && findTemplateMethod(node.name))
    return fail(node.place, "'." + node.name + "' without a call is not implemented");
  return {};
}

Value Evaluator::index(const Expression &node, const Value &base, const Value &key) {
  if (base.is(Kind::Undefined))
    return fail(node.place, "index of something undefined");
  if ((base.is(Kind::Dictionary) || base.is(Kind::Namespace)) && key.is(Kind::String)) {
    const Value *value = base.find(key.asString());
    return value ? *value : Value();
  }
  if ((!base.is(Kind::List) && !base.is(Kind::String)) || (!key.is(Kind::Integer) && !key.is(Kind::Boolean)))
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
  spend(node.place, base.asString().size());
  std::string_view rest = base.asString();
  for (; at > 0; --at)
    rest.remove_prefix(utf8Step(rest).length);
  return makeString(node.place, std::string(rest.substr(0, utf8Step(rest).length)));
}

/// Python's slices: bounds are cut to what is there, a negative step goes backwards.
Value Evaluator::slice(const Expression &node) {
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

Value Evaluator::call(const Expression &node) {
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
    if (!spend(node.place, itemWork))
      return {};
    items.push_back(Value::integer(at));
    if (__builtin_add_overflow(at, step, &at))
      break;
  }
  return makeList(node.place, std::move(items));
}

/// A filter or a method.
Value Evaluator::apply(const Expression &node) {
  const Value value = evaluate(*node.children[0]);
  const std::vector<Value> values = arguments(node, 1);
  if (problem)
    return {};
  TemplateOutcome outcome;
  if (node.kind == Expression::Kind::Method) {
    outcome = applyTemplateMethod(node.name, value, values);
  } else {
    const TemplateCallable *filter = findTemplateFilter(node.name);
    Value keywords[2];
    for (const auto &[name, expression] : node.keywords)
      keywords[name == filter->keyword1 ? 0 : 1] = evaluate(*expression);
    if (problem)
      return {};
    outcome = applyTemplateFilter(node.name, value, values, keywords[0], keywords[1]);
  }
  if (auto *reason = std::get_if<std::string>(&outcome))
    return fail(node.place, std::move(*reason));
  Value result = std::get<Value>(std::move(outcome));
  spend(node.place, value.is(Kind::String) ? value.asString().size() : 0);
  spend(node.place, result.is(Kind::String) ? result.asString().size()
                    : result.is(Kind::List) ? result.asList().size() * itemWork
                                            : 0);
  return result;
}

//===--- Statements -----------------------------------------------------------------------------------------------===//

void Evaluator::run(const TemplateBlock &block) { execute(block); }

Evaluator::Flow Evaluator::execute(const TemplateBlock &block) {
  for (const Statement &statement : block) {
    Flow flow = Flow::On;
    switch (statement.kind) {
    case Statement::Kind::Text:
      if (spend(statement.place, statement.text.size() + stepWork))
        output += statement.text;
      break;
    case Statement::Kind::Output: {
      const Value value = evaluate(*statement.expressions[0]);
      const std::optional<std::string> text = value.text();
      if (!text)
        fail(statement.place, "the text of a list, a dictionary or a namespace is not implemented");
      else if (spend(statement.place, text->size()))
        output += *text;
      break;
    }
    case Statement::Kind::If:
      for (size_t i = 0; i < statement.blocks.size() && !problem; ++i)
        if (i == statement.expressions.size() || evaluate(*statement.expressions[i]).truth()) {
          flow = problem ? Flow::On : execute(statement.blocks[i]);
          break;
        }
      break;
    case Statement::Kind::For:
      flow = executeFor(statement);
      break;
    case Statement::Kind::Set: {
      Value value = evaluate(*statement.expressions[0]);
      assign(statement.names[0], std::move(value));
      break;
    }
    case Statement::Kind::SetAttribute:
      setAttribute(statement);
      break;
    case Statement::Kind::Break:
      return Flow::Break;
    case Statement::Kind::Continue:
      return Flow::Continue;
    }
    if (problem || flow != Flow::On)
      return flow;
  }
  return Flow::On;
}

void Evaluator::setAttribute(const Statement &statement) {
  Value value = evaluate(*statement.expressions[0]);
  const Value *target = lookUp(statement.names[0]);
  if (problem)
    return;
  if (!target || !target->is(Kind::Namespace) || value.is(Kind::Namespace)) {
    fail(statement.place, "assignment to an attribute of something that is no namespace, or of a namespace");
    return;
  }
  Value::Dictionary &items = target->asNamespace();
  const auto same =
      std::find_if(items.begin(), items.end(), [&](auto &item) { return item.first == statement.names[1]; });
  if (same != items.end())
    same->second = std::move(value);
  else
    items.emplace_back(statement.names[1], std::move(value));
}

/// Gives the loop's names their values in the innermost scope.
bool Evaluator::bind(const Statement &statement, const Value &item) {
  if (statement.names.size() == 1) {
    assign(statement.names[0], item);
    return true;
  }
  if (!item.is(Kind::List) || item.asList().size() != statement.names.size()) {
    fail(statement.place, "expected " + std::to_string(statement.names.size()) + " values to take apart");
    return false;
  }
  for (size_t i = 0; i < statement.names.size(); ++i)
    assign(statement.names[i], item.asList()[i]);
  return true;
}

Evaluator::Flow Evaluator::executeFor(const Statement &statement) {
  const Value source = evaluate(*statement.expressions[0]);
  if (problem)
    return Flow::On;
  const TemplateOutcome listed = applyTemplateFilter("list", source, {}, {}, {});
  if (!std::holds_alternative<Value>(listed)) {
    fail(statement.place, "a loop over a value that is " + std::string(source.kindName()));
    return Flow::On;
  }
  Value::List items = std::get<Value>(listed).asList();
  if (!spend(statement.place, items.size() * itemWork))
    return Flow::On;
  if (statement.expressions[1]) {
    Value::List kept;
    for (const Value &item : items) {
      scopes.emplace_back();
      const bool keep = bind(statement, item) && evaluate(*statement.expressions[1]).truth();
      scopes.pop_back();
      if (problem)
        return Flow::On;
      if (keep)
        kept.push_back(item);
    }
    items = std::move(kept);
  }
  const auto count = static_cast<int64_t>(items.size());
  for (int64_t i = 0; i < count && !problem; ++i) {
    scopes.emplace_back(); // what an iteration sets is gone in the next one
    Value::Dictionary loop = {{"index", Value::integer(i + 1)},        {"index0", Value::integer(i)},
                              {"revindex", Value::integer(count - i)}, {"revindex0", Value::integer(count - i - 1)},
                              {"first", Value::boolean(i == 0)},       {"last", Value::boolean(i + 1 == count)},
                              {"length", Value::integer(count)}};
    if (i > 0)
      loop.emplace_back("previtem", items[i - 1]);
    if (i + 1 < count)
      loop.emplace_back("nextitem", items[i + 1]);
    spend(statement.place, iterationWork);
    // A neighbour that is as deep as a list may be cannot be wrapped once more; it is left out of `loop` then.
    std::optional<Value> value = Value::dictionary(loop);
    if (!value) {
      loop.resize(7);
      value = Value::dictionary(std::move(loop));
    }
    assign("loop", std::move(*value));
    const Flow flow = bind(statement, items[i]) ? execute(statement.blocks[0]) : Flow::On;
    scopes.pop_back();
    if (flow == Flow::Break)
      break;
  }
  return Flow::On;
}

} // namespace

Result<std::string> evaluateTemplate(const TemplateBlock &block, const TemplateValue &context) {
  if (!context.is(Kind::Dictionary))
    return badInput("expected the values of a chat template to be a dictionary, but got " +
                    std::string(context.kindName()));
  Evaluator evaluator(context);
  evaluator.run(block);
  if (evaluator.problem)
    return std::move(*evaluator.problem);
  return std::move(evaluator.output);
}

} // namespace qopt
