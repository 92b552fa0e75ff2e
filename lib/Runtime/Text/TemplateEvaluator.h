// Runs a parsed chat template, inside of lib/Runtime/Text: statements in TemplateEvaluator.cpp, expressions in
// TemplateExpressions.cpp, operators on values in TemplateOperators.cpp.
#ifndef QOPT_LIB_RUNTIME_TEXT_TEMPLATEEVALUATOR_H
#define QOPT_LIB_RUNTIME_TEXT_TEMPLATEEVALUATOR_H

#include "lib/Runtime/Text/TemplateSyntax.h"

namespace qopt {

/// After the first failure every evaluation returns undefined at once; callers look at `problem` where it matters.
class TemplateEvaluator {
public:
  using Expression = TemplateExpression;
  using Statement = TemplateStatement;
  using Value = TemplateValue;
  using Kind = TemplateValue::Kind;
  using Budget = TemplateBudget;

  explicit TemplateEvaluator(const Value &context) {
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
    budget.spend(units);
    return checkBudget(place);
  }
  /// The same after something has spent from the budget by itself.
  bool checkBudget(const TemplatePlace &place) {
    if (budget.isSpent() && !problem)
      problem = resourceError("chat template does more work than " + std::to_string(Budget::maxWork) + " units",
                              describe(place));
    return !problem;
  }
  Value makeString(const TemplatePlace &place, std::string text) {
    return spend(place, text.size()) ? Value::string(std::move(text)) : Value();
  }
  Value makeList(const TemplatePlace &place, Value::List items) {
    if (!spend(place, items.size() * Budget::itemWork))
      return {};
    if (std::optional<Value> list = Value::list(std::move(items)))
      return std::move(*list);
    return fail(place, "a list nested too deeply, or with a namespace in it");
  }

  const Value *lookUp(const TemplatePlace &place, std::string_view name) {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
      budget.spendSearch(scope->size(), name);
      if (!checkBudget(place))
        return nullptr;
      for (const auto &[known, value] : *scope)
        if (known == name)
          return &value;
    }
    return nullptr;
  }
  void assign(const std::string &name, Value value) {
    budget.spendSearch(scopes.back().size(), name); // the next evaluation notices
    for (auto &[known, old] : scopes.back())
      if (known == name) {
        old = std::move(value);
        return;
      }
    scopes.back().emplace_back(name, std::move(value));
  }

  Value evaluate(const Expression &node);
  Value dictionary(const Expression &node);
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
  Budget budget;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TEMPLATEEVALUATOR_H
