// The parsed form of a chat template, and its lexer's and parser's entry points. What is in it and what is not is
// documented in docs/ChatTemplates.md.
#ifndef QOPT_LIB_RUNTIME_TEXT_TEMPLATESYNTAX_H
#define QOPT_LIB_RUNTIME_TEXT_TEMPLATESYNTAX_H

#include "lib/Runtime/Text/TemplateValue.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt {

/// Where in the template, both from 1; columns count bytes.
struct TemplatePlace {
  uint32_t line = 1, column = 1;
};

/// "chat template: line 3, column 7".
std::string describe(TemplatePlace place);

//===--- Tokens ---------------------------------------------------------------------------------------------------===//

struct TemplateToken {
  enum class Kind : uint8_t {
    Text,
    OutputBegin,
    OutputEnd,
    BlockBegin,
    BlockEnd,
    Name,
    String,
    Integer,
    Float,
    Operator,
    End
  };
  Kind kind;
  std::string text; ///< Text and String: the contents; Name, Integer, Float, Operator: as written
  TemplatePlace place;
};

/// Cuts a template into tokens, white space control applied with the settings of Hugging Face (trim_blocks and
/// lstrip_blocks). The last token is End. Errors: BadInput with the place.
Result<std::vector<TemplateToken>> lexTemplate(std::string_view source);

//===--- Tree -----------------------------------------------------------------------------------------------------===//

struct TemplateExpression;
using TemplateExpressionPtr = std::unique_ptr<TemplateExpression>;

struct TemplateExpression {
  enum class Kind : uint8_t {
    Literal,     ///< literal
    Name,        ///< name
    List,        ///< children
    Dictionary,  ///< children: key, value, key, value
    Not,         ///< children[0]
    Negate,      ///< children[0]
    Arithmetic,  ///< name: + - * / // % ~; children[0], children[1]
    Compare,     ///< comparisons[i] between children[i] and children[i + 1]
    And,         ///< children[0], children[1]
    Or,          ///< children[0], children[1]
    Conditional, ///< children: condition, then, else (may be null)
    Attribute,   ///< children[0] . name
    Index,       ///< children[0] [ children[1] ]
    Slice,       ///< children[0] [ children[1] : children[2] : children[3] ], the last three may be null
    Filter,      ///< children[0] | name (children[1…], keywords)
    Test,        ///< children[0] is name; `negated`: is not
    Method,      ///< children[0] . name (children[1…])
    Function     ///< name (children, keywords)
  };
  Kind kind;
  TemplatePlace place;
  int depth = 1; ///< of this tree; bounded by the parser
  TemplateValue literal;
  std::string name;
  bool negated = false;
  std::vector<TemplateExpressionPtr> children;
  std::vector<std::string> comparisons; ///< == != < <= > >= in, "not in"
  std::vector<std::pair<std::string, TemplateExpressionPtr>> keywords;
};

struct TemplateStatement;
using TemplateBlock = std::vector<TemplateStatement>;

struct TemplateStatement {
  enum class Kind : uint8_t {
    Text,         ///< text
    Output,       ///< expressions[0]
    If,           ///< expressions[i] guards blocks[i]; one block more than expressions: else
    For,          ///< names in expressions[0], if expressions[1] (may be null): blocks[0]
    Set,          ///< names[0] = expressions[0]
    SetAttribute, ///< names[0] . names[1] = expressions[0]
    Break,
    Continue
  };
  Kind kind;
  TemplatePlace place;
  std::string text;
  std::vector<std::string> names;
  std::vector<TemplateExpressionPtr> expressions;
  std::vector<TemplateBlock> blocks;
};

/// Parses a template. Errors: BadInput naming the construct that is not in the subset, and its place.
Result<TemplateBlock> parseTemplate(std::string_view source);

/// Runs `block` on the names of `context` (a dictionary). Errors: BadInput for what the template raises and for an
/// operation on wrong kinds of values, Resource for too much work, each with the place.
Result<std::string> evaluateTemplate(const TemplateBlock &block, const TemplateValue &context);

//===--- What the subset holds ------------------------------------------------------------------------------------===//

/// A filter, method or function: how many arguments it takes after the value, and which keywords.
struct TemplateCallable {
  std::string_view name;
  int minimum, maximum;
  std::string_view keyword1 = {}, keyword2 = {};
};

const TemplateCallable *findTemplateFilter(std::string_view name);
const TemplateCallable *findTemplateMethod(std::string_view name);
const TemplateCallable *findTemplateFunction(std::string_view name);
bool isTemplateTest(std::string_view name);

/// The result of a filter, a method or a test, or why there is none. The bytes of the strings that go in and come out
/// are spent by the caller, the rest of the work by the filter or method; once the budget is spent, what comes out says
/// nothing.
using TemplateOutcome = std::variant<TemplateValue, std::string>;
TemplateOutcome applyTemplateFilter(std::string_view name, const TemplateValue &value,
                                    const std::vector<TemplateValue> &arguments, const TemplateValue &keyword1,
                                    const TemplateValue &keyword2, TemplateBudget &budget);
TemplateOutcome applyTemplateMethod(std::string_view name, const TemplateValue &value,
                                    const std::vector<TemplateValue> &arguments, TemplateBudget &budget);
bool applyTemplateTest(std::string_view name, const TemplateValue &value);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TEMPLATESYNTAX_H
