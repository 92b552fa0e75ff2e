// The recursive descent of chat templates, inside of lib/Runtime/Text: expressions in TemplateExpressionParser.cpp,
// statements in TemplateParser.cpp.
#ifndef QOPT_LIB_RUNTIME_TEXT_TEMPLATEPARSER_H
#define QOPT_LIB_RUNTIME_TEXT_TEMPLATEPARSER_H

#include "lib/Runtime/Text/TemplateSyntax.h"

#include <algorithm>
#include <initializer_list>

namespace qopt {

/// A method that returns a null pointer or false has left the reason in `problem`.
class TemplateParser {
public:
  using Token = TemplateToken;
  using Expression = TemplateExpression;
  using ExpressionPtr = TemplateExpressionPtr;
  using Kind = Expression::Kind;
  using Statement = TemplateStatement;
  static constexpr int maxExpressionDepth = 200; ///< of the tree: also the evaluator's and the destructor's recursion
  static constexpr int maxStatementDepth = 50;

  explicit TemplateParser(std::vector<Token> tokens) : tokens(std::move(tokens)) {}
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

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TEMPLATEPARSER_H
