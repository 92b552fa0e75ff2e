// Runs a parsed chat template. Recursion is bounded by the parser's limits, time and memory by a budget of work: some
// units for each expression and statement, one for each byte of text that one makes or reads, a few for each item of a
// list that one makes, one for each value, key or name that one is compared with.
#include "lib/Runtime/Text/TemplateEvaluator.h"

#include <algorithm>

namespace qopt {

using Statement = TemplateStatement;
using Value = TemplateValue;
using Kind = TemplateValue::Kind;

void TemplateEvaluator::run(const TemplateBlock &block) { execute(block); }

TemplateEvaluator::Flow TemplateEvaluator::execute(const TemplateBlock &block) {
  for (const Statement &statement : block) {
    Flow flow = Flow::On;
    switch (statement.kind) {
    case Statement::Kind::Text:
      if (spend(statement.place, statement.text.size() + Budget::stepWork))
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

void TemplateEvaluator::setAttribute(const Statement &statement) {
  Value value = evaluate(*statement.expressions[0]);
  const Value *target = lookUp(statement.place, statement.names[0]);
  if (problem)
    return;
  if (!target || !target->is(Kind::Namespace) || value.is(Kind::Namespace)) {
    fail(statement.place, "assignment to an attribute of something that is no namespace, or of a namespace");
    return;
  }
  Value::Dictionary &items = target->asNamespace();
  budget.spendSearch(items.size(), statement.names[1]); // the next evaluation notices
  const auto same =
      std::find_if(items.begin(), items.end(), [&](auto &item) { return item.first == statement.names[1]; });
  if (same != items.end())
    same->second = std::move(value);
  else
    items.emplace_back(statement.names[1], std::move(value));
}

/// Gives the loop's names their values in the innermost scope.
bool TemplateEvaluator::bind(const Statement &statement, const Value &item) {
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

TemplateEvaluator::Flow TemplateEvaluator::executeFor(const Statement &statement) {
  const Value source = evaluate(*statement.expressions[0]);
  if (problem)
    return Flow::On;
  const TemplateOutcome listed = applyTemplateFilter("list", source, {}, {}, {}, budget);
  if (!checkBudget(statement.place))
    return Flow::On;
  if (!std::holds_alternative<Value>(listed)) {
    fail(statement.place, "a loop over a value that is " + std::string(source.kindName()));
    return Flow::On;
  }
  if (!spend(statement.place, std::get<Value>(listed).asList().size() * Budget::itemWork))
    return Flow::On;
  Value::List items = std::get<Value>(listed).asList();
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
    spend(statement.place, Budget::iterationWork);
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

Result<std::string> evaluateTemplate(const TemplateBlock &block, const TemplateValue &context) {
  if (!context.is(Kind::Dictionary))
    return badInput("expected the values of a chat template to be a dictionary, but got " +
                    std::string(context.kindName()));
  TemplateEvaluator evaluator(context);
  evaluator.run(block);
  if (evaluator.problem)
    return std::move(*evaluator.problem);
  return std::move(evaluator.output);
}

} // namespace qopt
