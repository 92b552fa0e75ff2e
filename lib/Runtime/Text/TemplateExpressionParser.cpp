// Parses the expressions of chat templates, with Jinja's order of precedence. See TemplateParser.h.
#include "lib/Runtime/Text/TemplateParser.h"

#include <charconv>

namespace qopt {

using ExpressionPtr = TemplateExpressionPtr;
using Expression = TemplateExpression;
using Kind = Expression::Kind;
using Token = TemplateToken;

ExpressionPtr TemplateParser::parseExpression() {
  // The descent passes here for every bracket, so this bounds it.
  if (++nesting > maxExpressionDepth)
    return fail("expression nested deeper than " + std::to_string(maxExpressionDepth) + " levels", token().place);
  ExpressionPtr node = parseOr();
  while (node && isName("if")) {
    const TemplatePlace place = tokens[at++].place;
    ExpressionPtr condition = parseOr(), otherwise;
    if (!condition)
      return nullptr;
    if (takeName("else") && !(otherwise = parseExpression()))
      return nullptr;
    ExpressionPtr choice = make(Kind::Conditional, place);
    choice->children.push_back(std::move(condition));
    choice->children.push_back(std::move(node));
    choice->children.push_back(std::move(otherwise));
    node = finish(std::move(choice));
  }
  --nesting;
  return node;
}

ExpressionPtr TemplateParser::parseOr() {
  ExpressionPtr left = parseAnd();
  while (left && isName("or")) {
    const TemplatePlace place = tokens[at++].place;
    left = make(Kind::Or, place, "", std::move(left), parseAnd());
  }
  return left;
}

ExpressionPtr TemplateParser::parseAnd() {
  ExpressionPtr left = parseNot();
  while (left && isName("and")) {
    const TemplatePlace place = tokens[at++].place;
    left = make(Kind::And, place, "", std::move(left), parseNot());
  }
  return left;
}

ExpressionPtr TemplateParser::parseNot() {
  if (!isName("not"))
    return parseCompare();
  if (++nesting > maxExpressionDepth)
    return fail("expression nested deeper than " + std::to_string(maxExpressionDepth) + " levels", token().place);
  const TemplatePlace place = tokens[at++].place;
  ExpressionPtr node = make(Kind::Not, place, "", parseNot());
  --nesting;
  return node;
}

ExpressionPtr TemplateParser::parseCompare() {
  ExpressionPtr first = parseSum();
  if (!first)
    return nullptr;
  ExpressionPtr chain;
  for (;;) {
    const TemplatePlace place = token().place;
    std::string comparison;
    if (token().kind == Token::Kind::Operator) {
      for (std::string_view candidate : {"==", "!=", "<", "<=", ">", ">="})
        if (token().text == candidate)
          comparison = candidate;
      at += !comparison.empty();
    } else if (takeName("in")) {
      comparison = "in";
    } else if (isName("not") && tokens[at + 1].kind == Token::Kind::Name && tokens[at + 1].text == "in") {
      at += 2;
      comparison = "not in";
    }
    if (comparison.empty())
      return chain ? finish(std::move(chain)) : std::move(first);
    if (!chain) {
      chain = make(Kind::Compare, place);
      chain->children.push_back(std::move(first));
    }
    ExpressionPtr next = parseSum();
    if (!next)
      return nullptr;
    chain->comparisons.push_back(std::move(comparison));
    chain->children.push_back(std::move(next));
  }
}

ExpressionPtr TemplateParser::parseSum() {
  ExpressionPtr left = parseConcatenation();
  while (left && (isOperator("+") || isOperator("-"))) {
    const Token &sign = tokens[at++];
    left = make(Kind::Arithmetic, sign.place, sign.text, std::move(left), parseConcatenation());
  }
  return left;
}

ExpressionPtr TemplateParser::parseConcatenation() {
  ExpressionPtr left = parseProduct();
  while (left && isOperator("~")) {
    const TemplatePlace place = tokens[at++].place;
    left = make(Kind::Arithmetic, place, "~", std::move(left), parseProduct());
  }
  return left;
}

ExpressionPtr TemplateParser::parseProduct() {
  ExpressionPtr left = parseUnary(true);
  while (left && (isOperator("*") || isOperator("/") || isOperator("//") || isOperator("%"))) {
    const Token &sign = tokens[at++];
    left = make(Kind::Arithmetic, sign.place, sign.text, std::move(left), parseUnary(true));
  }
  return left;
}

ExpressionPtr TemplateParser::parseUnary(bool withFilters) {
  const TemplatePlace place = token().place;
  ExpressionPtr node;
  if (isOperator("-") || isOperator("+")) {
    if (isOperator("+"))
      return unsupported("operator", "+ with one operand", place);
    if (++nesting > maxExpressionDepth)
      return fail("expression nested deeper than " + std::to_string(maxExpressionDepth) + " levels", place);
    ++at;
    node = make(Kind::Negate, place, "", parseUnary(false));
    --nesting;
  } else {
    node = parsePrimary();
  }
  if (node)
    node = parsePostfix(std::move(node));
  if (node && isOperator("**"))
    return unsupported("operator", "**", token().place);
  return node && withFilters ? parseFilters(std::move(node)) : std::move(node);
}

ExpressionPtr TemplateParser::parsePrimary() {
  const Token &first = token();
  const TemplatePlace place = first.place;
  auto literal = [&](TemplateValue value) {
    ExpressionPtr node = make(Kind::Literal, place);
    node->literal = std::move(value);
    return node;
  };
  if (first.kind == Token::Kind::Name) {
    if (takeName("true") || takeName("True"))
      return literal(TemplateValue::boolean(true));
    if (takeName("false") || takeName("False"))
      return literal(TemplateValue::boolean(false));
    if (takeName("none") || takeName("None"))
      return literal(TemplateValue::none());
    ExpressionPtr node = make(Kind::Name, place);
    if (!readName(node->name))
      return nullptr;
    return node;
  }
  if (first.kind == Token::Kind::String) {
    std::string text;
    while (token().kind == Token::Kind::String) // neighbours are one string
      text += tokens[at++].text;
    return literal(TemplateValue::string(std::move(text)));
  }
  if (first.kind == Token::Kind::Integer) {
    int64_t value = 0;
    const std::string &text = tokens[at++].text;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
      return unsupported("number", text, place);
    return literal(TemplateValue::integer(value));
  }
  if (first.kind == Token::Kind::Float) {
    double value = 0;
    const std::string &text = tokens[at++].text;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
      return unsupported("number", text, place);
    return literal(TemplateValue::number(value));
  }
  if (takeOperator("(")) {
    if (isOperator(")"))
      return unsupported("construct", "tuple", place);
    ExpressionPtr node = parseExpression();
    if (node && isOperator(","))
      return unsupported("construct", "tuple", place);
    return node && expectOperator(")") ? std::move(node) : nullptr;
  }
  if (takeOperator("[")) {
    ExpressionPtr node = make(Kind::List, place);
    while (!takeOperator("]")) {
      if (!node->children.empty() && !expectOperator(","))
        return nullptr;
      if (!node->children.empty() && takeOperator("]"))
        break;
      ExpressionPtr item = parseExpression();
      if (!item)
        return nullptr;
      node->children.push_back(std::move(item));
    }
    return finish(std::move(node));
  }
  if (takeOperator("{")) {
    ExpressionPtr node = make(Kind::Dictionary, place);
    while (!takeOperator("}")) {
      if (!node->children.empty() && !expectOperator(","))
        return nullptr;
      if (!node->children.empty() && takeOperator("}"))
        break;
      ExpressionPtr key = parseExpression();
      if (!key || !expectOperator(":"))
        return nullptr;
      ExpressionPtr item = parseExpression();
      if (!item)
        return nullptr;
      node->children.push_back(std::move(key));
      node->children.push_back(std::move(item));
    }
    return finish(std::move(node));
  }
  return failExpected("an expression");
}

ExpressionPtr TemplateParser::parsePostfix(ExpressionPtr node) {
  while (node) {
    const TemplatePlace place = token().place;
    if (takeOperator(".")) {
      if (token().kind != Token::Kind::Name)
        return failExpected("an attribute's name");
      const std::string name = tokens[at++].text;
      if (isOperator("(")) {
        const TemplateCallable *method = findTemplateMethod(name);
        if (!method)
          return unsupported("method", name, place);
        node = make(Kind::Method, place, name, std::move(node));
        if (!node || !parseArguments(*node, *method))
          return nullptr;
        node = finish(std::move(node));
        continue;
      }
      // In Python these are a dictionary's methods, which win over its keys.
      for (std::string_view method :
           {"items", "keys", "values", "get", "pop", "update", "copy", "clear", "setdefault", "popitem", "fromkeys"})
        if (name == method)
          return unsupported("construct", "." + name + " without a call", place);
      node = make(Kind::Attribute, place, name, std::move(node));
    } else if (takeOperator("[")) {
      node = parseSubscript(std::move(node));
    } else if (isOperator("(")) {
      const TemplateCallable *function = node->kind == Kind::Name ? findTemplateFunction(node->name) : nullptr;
      if (!function)
        return node->kind == Kind::Name ? unsupported("function", node->name, node->place)
                                        : unsupported("construct", "call of a value", place);
      node->kind = Kind::Function;
      if (!parseArguments(*node, *function))
        return nullptr;
      node = finish(std::move(node));
    } else {
      break;
    }
  }
  return node;
}

ExpressionPtr TemplateParser::parseSubscript(ExpressionPtr node) {
  const TemplatePlace place = tokens[at - 1].place;
  ExpressionPtr parts[3];
  int colons = 0;
  while (!isOperator("]")) {
    if (takeOperator(":")) {
      if (++colons > 2)
        return failExpected("']'");
      continue;
    }
    if (parts[colons])
      return isOperator(",") ? unsupported("construct", "index with a comma", place) : failExpected("']'");
    if (!(parts[colons] = parseExpression()))
      return nullptr;
  }
  ++at;
  if (colons == 0)
    return parts[0] ? make(Kind::Index, place, "", std::move(node), std::move(parts[0]))
                    : fail("expected an index, but got nothing", place);
  ExpressionPtr slice = make(Kind::Slice, place);
  slice->children.push_back(std::move(node));
  for (ExpressionPtr &part : parts)
    slice->children.push_back(std::move(part));
  return finish(std::move(slice));
}

/// At '('. Reads arguments up to ')' and checks them against what is implemented.
bool TemplateParser::parseArguments(Expression &node, const TemplateCallable &callable) {
  const TemplatePlace place = token().place;
  ++at;
  const size_t before = node.children.size();
  bool first = true;
  while (!takeOperator(")")) {
    if (!first && !expectOperator(","))
      return false;
    if (!first && takeOperator(")"))
      break;
    first = false;
    if (isOperator("*") || isOperator("**"))
      return unsupported("construct", "unpacked argument", token().place), false;
    std::string keyword;
    if (token().kind == Token::Kind::Name && tokens[at + 1].kind == Token::Kind::Operator &&
        tokens[at + 1].text == "=") {
      keyword = token().text;
      // `namespace` takes any name; it has no limit of its own on them.
      if (callable.name != "namespace" && (keyword != callable.keyword1 && keyword != callable.keyword2))
        return unsupported("argument of '" + std::string(callable.name) + "'", keyword, token().place), false;
      at += 2;
    }
    ExpressionPtr value = parseExpression();
    if (!value)
      return false;
    if (!keyword.empty())
      node.keywords.emplace_back(std::move(keyword), std::move(value));
    else
      node.children.push_back(std::move(value));
  }
  const auto count = static_cast<int>(node.children.size() - before);
  if (count < callable.minimum || count > callable.maximum) {
    fail("expected '" + std::string(callable.name) + "' to have " + std::to_string(callable.minimum) +
             (callable.maximum > callable.minimum ? " to " + std::to_string(callable.maximum) : "") +
             " arguments, but got " + std::to_string(count),
         place);
    return false;
  }
  return true;
}

ExpressionPtr TemplateParser::parseFilters(ExpressionPtr node) {
  while (node) {
    const TemplatePlace place = token().place;
    if (takeOperator("|")) {
      if (token().kind != Token::Kind::Name)
        return failExpected("a filter's name");
      const std::string name = tokens[at++].text;
      const TemplateCallable *filter = findTemplateFilter(name);
      if (!filter)
        return unsupported("filter", name, place);
      node = make(Kind::Filter, place, name, std::move(node));
      if (!node)
        return nullptr;
      if (isOperator("(")) {
        if (!parseArguments(*node, *filter))
          return nullptr;
      } else if (filter->minimum > 0) {
        return fail("expected arguments for filter '" + name + "'", place);
      }
      node = finish(std::move(node));
    } else if (isName("is")) {
      node = parseTest(std::move(node));
    } else if (isOperator("(")) {
      return unsupported("construct", "call of a value", place);
    } else {
      break;
    }
  }
  return node;
}

ExpressionPtr TemplateParser::parseTest(ExpressionPtr node) {
  const TemplatePlace place = tokens[at++].place;
  const bool negated = takeName("not");
  if (token().kind != Token::Kind::Name)
    return failExpected("a test's name");
  const std::string name = tokens[at++].text;
  if (!isTemplateTest(name))
    return unsupported("test", name, place);
  if (isOperator("("))
    return unsupported("construct", "argument of a test", token().place);
  node = make(Kind::Test, place, name, std::move(node));
  if (node)
    node->negated = negated;
  return node;
}

} // namespace qopt
