// Parses the statements of chat templates by recursive descent. Everything that the subset does not
// have is refused here, by name, so that a model whose template cannot run is refused at import.
#include "lib/Runtime/Text/TemplateParser.h"

namespace qopt {

using ExpressionPtr = TemplateExpressionPtr;
using Token = TemplateToken;
using Statement = TemplateStatement;

bool TemplateParser::parseBlock(TemplateBlock &block, int depth) {
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

bool TemplateParser::parseStatement(TemplateBlock &block, int depth) {
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

bool TemplateParser::parseIf(Statement &statement, int depth) {
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

bool TemplateParser::parseFor(Statement &statement, int depth) {
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

bool TemplateParser::parseSet(Statement &statement) {
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

Result<TemplateBlock> parseTemplate(std::string_view source) {
  Result<std::vector<Token>> tokens = lexTemplate(source);
  if (!tokens)
    return tokens.takeError();
  TemplateParser parser(std::move(*tokens));
  TemplateBlock block;
  if (!parser.parseBlock(block, 0) || (!parser.atEnd() && !parser.refuseStray()))
    return std::move(*parser.problem);
  return block;
}

} // namespace qopt
