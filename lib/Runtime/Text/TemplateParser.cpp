// Parses chat templates by recursive descent, with Jinja's order of precedence. Everything that the subset does not
// have is refused here, by name, so that a model whose template cannot run is refused at import.
#include "lib/Runtime/Text/TemplateSyntax.h"

#include <algorithm>
#include <charconv>

namespace qopt {
namespace {

using Token = TemplateToken;
using Expression = TemplateExpression;
using ExpressionPtr = TemplateExpressionPtr;
using Kind = Expression::Kind;
using Statement = TemplateStatement;

constexpr int maxExpressionDepth = 200; ///< of the tree: also the evaluator's and the destructor's recursion
constexpr int maxStatementDepth = 50;

/// A method that returns a null pointer or false has left the reason in `problem`.
class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : tokens(std::move(tokens)) {}
  bool parseBlock(TemplateBlock &block, int depth);
  bool atEnd() const { return token().kind == Token::Kind::End; }
  bool refuseStray() {
    fail("unexpected statement '" + tokens[at + 1].text + "'", tokens[at + 1].place);
    return false;
  }
  std::optional<Error> problem;

private:
  const Token &token() const { return tokens[at]; }
  bool isOperator(std::string_view text) const { return token().kind == Token::Kind::Operator && token().text == text; }
  bool isName(std::string_view text) const { return token().kind == Token::Kind::Name && token().text == text; }
  bool takeOperator(std::string_view text) { return isOperator(text) && ++at; }
  bool takeName(std::string_view text) { return isName(text) && ++at; }

  std::nullptr_t fail(std::string rule, TemplatePlace place) {
    if (!problem)
      problem =
          badInput(std::move(rule), describe(place)).withNext("see docs/ChatTemplates.md for what templates may hold");
    return nullptr;
  }
  std::nullptr_t unsupported(std::string_view what, std::string_view name, TemplatePlace place) {
    return fail("unsupported " + std::string(what) + (name.empty() ? "" : " '" + escapeForMessage(name) + "'"), place);
  }
  std::nullptr_t failExpected(std::string_view wanted) {
    static constexpr std::string_view names[] = {"text",     "'{{'", "'}}'", "'{%'", "'%}'",   "",
                                                 "a string", "",     "",     "",     "the end"};
    const std::string_view name = names[static_cast<size_t>(token().kind)];
    return fail("expected " + std::string(wanted) + ", but got " +
                    (name.empty() ? "'" + escapeForMessage(token().text) + "'" : std::string(name)),
                token().place);
  }
  bool expectOperator(std::string_view text) {
    if (takeOperator(text))
      return true;
    failExpected("'" + std::string(text) + "'");
    return false;
  }
  bool expectBlockEnd() {
    if (token().kind == Token::Kind::BlockEnd)
      return ++at, true;
    failExpected("'%}'");
    return false;
  }
  bool readName(std::string &name) {
    if (token().kind != Token::Kind::Name) {
      failExpected("a name");
      return false;
    }
    static constexpr std::string_view reserved[] = {"and",  "or",    "not",  "in",   "is",    "if",  "else",
                                                    "true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(reserved), std::end(reserved), token().text) != std::end(reserved)) {
      failExpected("a name");
      return false;
    }
    name = tokens[at++].text;
    return true;
  }

  ExpressionPtr make(Kind kind, TemplatePlace place) {
    auto node = std::make_unique<Expression>();
    node->kind = kind;
    node->place = place;
    return node;
  }
  /// Sets the depth of a finished node from its children.
  ExpressionPtr finish(ExpressionPtr node) {
    for (const ExpressionPtr &child : node->children)
      if (child)
        node->depth = std::max(node->depth, child->depth + 1);
    for (const auto &[name, child] : node->keywords)
      node->depth = std::max(node->depth, child->depth + 1);
    if (node->depth > maxExpressionDepth)
      return fail("expression nested deeper than " + std::to_string(maxExpressionDepth) + " levels", node->place);
    return node;
  }
  template <typename... Children>
  ExpressionPtr make(Kind kind, TemplatePlace place, std::string name, Children... children) {
    if ((!children || ...))
      return nullptr;
    ExpressionPtr node = make(kind, place);
    node->name = std::move(name);
    (node->children.push_back(std::move(children)), ...);
    return finish(std::move(node));
  }

  ExpressionPtr parseExpression();
  ExpressionPtr parseOr();
  ExpressionPtr parseAnd();
  ExpressionPtr parseNot();
  ExpressionPtr parseCompare();
  ExpressionPtr parseSum();
  ExpressionPtr parseConcatenation();
  ExpressionPtr parseProduct();
  ExpressionPtr parseUnary(bool withFilters);
  ExpressionPtr parsePrimary();
  ExpressionPtr parsePostfix(ExpressionPtr node);
  ExpressionPtr parseFilters(ExpressionPtr node);
  ExpressionPtr parseSubscript(ExpressionPtr node);
  ExpressionPtr parseTest(ExpressionPtr node);
  bool parseArguments(Expression &node, const TemplateCallable &callable);
  ExpressionPtr parseWholeExpression(bool conditional);

  bool parseStatement(TemplateBlock &block, int depth);
  bool parseIf(Statement &statement, int depth);
  bool parseFor(Statement &statement, int depth);
  bool parseSet(Statement &statement);
  /// At '{%' with one of these names after it?
  bool atStatement(std::initializer_list<std::string_view> names) const {
    return token().kind == Token::Kind::BlockBegin && tokens[at + 1].kind == Token::Kind::Name &&
           std::find(names.begin(), names.end(), tokens[at + 1].text) != names.end();
  }
  /// Parses '{% NAME %}'.
  bool closeStatement(std::string_view name) {
    if (!atStatement({name})) {
      failExpected("'{% " + std::string(name) + " %}'");
      return false;
    }
    at += 2;
    return expectBlockEnd();
  }

  std::vector<Token> tokens;
  size_t at = 0;
  int nesting = 0; ///< of the descent, which grows before there is a tree
  int loops = 0;
};

//===--- Expressions ----------------------------------------------------------------------------------------------===//

ExpressionPtr Parser::parseExpression() {
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

ExpressionPtr Parser::parseOr() {
  ExpressionPtr left = parseAnd();
  while (left && isName("or")) {
    const TemplatePlace place = tokens[at++].place;
    left = make(Kind::Or, place, "", std::move(left), parseAnd());
  }
  return left;
}

ExpressionPtr Parser::parseAnd() {
  ExpressionPtr left = parseNot();
  while (left && isName("and")) {
    const TemplatePlace place = tokens[at++].place;
    left = make(Kind::And, place, "", std::move(left), parseNot());
  }
  return left;
}

ExpressionPtr Parser::parseNot() {
  if (!isName("not"))
    return parseCompare();
  if (++nesting > maxExpressionDepth)
    return fail("expression nested deeper than " + std::to_string(maxExpressionDepth) + " levels", token().place);
  const TemplatePlace place = tokens[at++].place;
  ExpressionPtr node = make(Kind::Not, place, "", parseNot());
  --nesting;
  return node;
}

ExpressionPtr Parser::parseCompare() {
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

ExpressionPtr Parser::parseSum() {
  ExpressionPtr left = parseConcatenation();
  while (left && (isOperator("+") || isOperator("-"))) {
    const Token &sign = tokens[at++];
    left = make(Kind::Arithmetic, sign.place, sign.text, std::move(left), parseConcatenation());
  }
  return left;
}

ExpressionPtr Parser::parseConcatenation() {
  ExpressionPtr left = parseProduct();
  while (left && isOperator("~")) {
    const TemplatePlace place = tokens[at++].place;
    left = make(Kind::Arithmetic, place, "~", std::move(left), parseProduct());
  }
  return left;
}

ExpressionPtr Parser::parseProduct() {
  ExpressionPtr left = parseUnary(true);
  while (left && (isOperator("*") || isOperator("/") || isOperator("//") || isOperator("%"))) {
    const Token &sign = tokens[at++];
    left = make(Kind::Arithmetic, sign.place, sign.text, std::move(left), parseUnary(true));
  }
  return left;
}

ExpressionPtr Parser::parseUnary(bool withFilters) {
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

ExpressionPtr Parser::parsePrimary() {
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

ExpressionPtr Parser::parsePostfix(ExpressionPtr node) {
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

ExpressionPtr Parser::parseSubscript(ExpressionPtr node) {
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
bool Parser::parseArguments(Expression &node, const TemplateCallable &callable) {
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

ExpressionPtr Parser::parseFilters(ExpressionPtr node) {
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

ExpressionPtr Parser::parseTest(ExpressionPtr node) {
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

//===--- Statements -----------------------------------------------------------------------------------------------===//

bool Parser::parseBlock(TemplateBlock &block, int depth) {
  if (depth > maxStatementDepth)
    return fail("statements nested deeper than " + std::to_string(maxStatementDepth) + " levels", token().place), false;
  for (;;) {
    switch (token().kind) {
    case Token::Kind::Text: {
      Statement statement{Statement::Kind::Text, token().place, token().text, {}, {}, {}};
      block.push_back(std::move(statement));
      ++at;
      break;
    }
    case Token::Kind::OutputBegin: {
      Statement statement{Statement::Kind::Output, token().place, {}, {}, {}, {}};
      ++at;
      ExpressionPtr value = parseExpression();
      if (!value)
        return false;
      if (isOperator(","))
        return unsupported("construct", "tuple", token().place), false;
      if (token().kind != Token::Kind::OutputEnd)
        return failExpected("'}}'"), false;
      ++at;
      statement.expressions.push_back(std::move(value));
      block.push_back(std::move(statement));
      break;
    }
    case Token::Kind::BlockBegin:
      if (atStatement({"elif", "else", "endif", "endfor"}))
        return true; // whoever opened the block knows whether it may end so
      if (!parseStatement(block, depth))
        return false;
      break;
    default:
      return true;
    }
  }
}

bool Parser::parseStatement(TemplateBlock &block, int depth) {
  ++at;
  if (token().kind != Token::Kind::Name)
    return failExpected("a statement"), false;
  const Token &keyword = tokens[at++];
  Statement statement{Statement::Kind::Text, keyword.place, {}, {}, {}, {}};
  bool good = false;
  if (keyword.text == "if") {
    good = parseIf(statement, depth);
  } else if (keyword.text == "for") {
    good = parseFor(statement, depth);
  } else if (keyword.text == "set") {
    good = parseSet(statement);
  } else if (keyword.text == "break" || keyword.text == "continue") {
    if (loops == 0)
      return fail("expected '" + keyword.text + "' inside of a loop", keyword.place), false;
    statement.kind = keyword.text == "break" ? Statement::Kind::Break : Statement::Kind::Continue;
    good = expectBlockEnd();
  } else {
    unsupported("statement", keyword.text, keyword.place);
  }
  if (good)
    block.push_back(std::move(statement));
  return good;
}

bool Parser::parseIf(Statement &statement, int depth) {
  statement.kind = Statement::Kind::If;
  for (;;) {
    ExpressionPtr condition = parseOr();
    if (!condition || !expectBlockEnd())
      return false;
    statement.expressions.push_back(std::move(condition));
    if (!parseBlock(statement.blocks.emplace_back(), depth + 1))
      return false;
    if (!atStatement({"elif"}))
      break;
    at += 2;
  }
  if (atStatement({"else"})) {
    at += 2;
    if (!expectBlockEnd() || !parseBlock(statement.blocks.emplace_back(), depth + 1))
      return false;
  }
  return closeStatement("endif");
}

bool Parser::parseFor(Statement &statement, int depth) {
  statement.kind = Statement::Kind::For;
  do {
    if (!readName(statement.names.emplace_back()))
      return false;
    if (statement.names.back() == "loop")
      return fail("expected a loop's variable to have another name than 'loop'", tokens[at - 1].place), false;
  } while (takeOperator(","));
  if (!takeName("in"))
    return failExpected("'in'"), false;
  ExpressionPtr items = parseOr(), condition;
  if (!items)
    return false;
  if (takeName("if") && !(condition = parseExpression()))
    return false;
  if (isName("recursive"))
    return unsupported("construct", "recursive loop", token().place), false;
  if (!expectBlockEnd())
    return false;
  statement.expressions.push_back(std::move(items));
  statement.expressions.push_back(std::move(condition));
  ++loops;
  const bool good = parseBlock(statement.blocks.emplace_back(), depth + 1);
  --loops;
  if (good && atStatement({"else"}))
    return unsupported("construct", "for … else", token().place), false;
  return good && closeStatement("endfor");
}

bool Parser::parseSet(Statement &statement) {
  statement.kind = Statement::Kind::Set;
  if (!readName(statement.names.emplace_back()))
    return false;
  if (takeOperator(".")) {
    statement.kind = Statement::Kind::SetAttribute;
    if (!readName(statement.names.emplace_back()))
      return false;
  } else if (statement.names[0] == "loop" || findTemplateFunction(statement.names[0])) {
    return unsupported("construct", "assignment to " + statement.names[0], statement.place), false;
  }
  if (isOperator(","))
    return unsupported("construct", "assignment to several names", token().place), false;
  if (!takeOperator("="))
    return unsupported("construct", "set with a block", statement.place), false;
  ExpressionPtr value = parseExpression();
  if (!value)
    return false;
  if (isOperator(","))
    return unsupported("construct", "tuple", token().place), false;
  statement.expressions.push_back(std::move(value));
  return expectBlockEnd();
}

} // namespace

Result<TemplateBlock> parseTemplate(std::string_view source) {
  Result<std::vector<Token>> tokens = lexTemplate(source);
  if (!tokens)
    return tokens.takeError();
  Parser parser(std::move(*tokens));
  TemplateBlock block;
  if (!parser.parseBlock(block, 0) || (!parser.atEnd() && !parser.refuseStray()))
    return std::move(*parser.problem);
  return block;
}

} // namespace qopt
