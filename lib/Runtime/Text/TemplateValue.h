// The values of chat templates: what Jinja's expressions work on, with Python's meaning of truth, equality and text.
#ifndef QOPT_LIB_RUNTIME_TEXT_TEMPLATEVALUE_H
#define QOPT_LIB_RUNTIME_TEXT_TEMPLATEVALUE_H

#include "lib/Support/Error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qopt {

/// What a template may do, in units of work. Whatever takes time or memory by the size of a value spends from it first,
/// and stops once it is spent; the evaluator then says so, with the place.
class TemplateBudget {
public:
  static constexpr uint64_t maxWork = 64u << 20;
  static constexpr uint64_t stepWork = 16;       ///< an expression or a statement
  static constexpr uint64_t itemWork = 32;       ///< an item of a list: about its bytes
  static constexpr uint64_t iterationWork = 128; ///< an iteration, with its `loop`

  /// False once too much has been done.
  bool spend(uint64_t units) {
    work += units;
    return !isSpent();
  }
  /// For finding `name` among `count` others: each is looked at, and may be compared to its end.
  bool spendSearch(size_t count, std::string_view name) { return spend(count * (1 + name.size() / 16)); }
  bool isSpent() const { return work > maxWork; }

private:
  uint64_t work = 0;
};

/// Immutable and cheap to copy, but for a namespace, which is the one thing that templates change in place.
class TemplateValue {
public:
  enum class Kind : uint8_t { Undefined, None, Boolean, Integer, Float, String, List, Dictionary, Namespace };
  using List = std::vector<TemplateValue>;
  using Dictionary = std::vector<std::pair<std::string, TemplateValue>>; ///< in order of insertion

  /// Lists and dictionaries nest no deeper than this, which also bounds the recursion of what walks through them. Their
  /// contents are shared: 100 lists of two items each are 2^100 values to a walk, so every walk spends from a budget.
  static constexpr int maxDepth = 100;

  TemplateValue() = default; ///< undefined
  static TemplateValue none() { return TemplateValue(Store(std::in_place_index<1>)); }
  static TemplateValue boolean(bool value) { return TemplateValue(Store(std::in_place_index<2>, value)); }
  static TemplateValue integer(int64_t value) { return TemplateValue(Store(std::in_place_index<3>, value)); }
  static TemplateValue number(double value) { return TemplateValue(Store(std::in_place_index<4>, value)); }
  static TemplateValue string(std::string value);
  /// Nothing if the value would nest too deeply, or would hold a namespace.
  static std::optional<TemplateValue> list(List items);
  static std::optional<TemplateValue> dictionary(Dictionary items);
  static TemplateValue makeNamespace(Dictionary items);

  Kind kind() const { return static_cast<Kind>(store.index()); }
  bool is(Kind wanted) const { return kind() == wanted; }
  bool isNumeric() const { return is(Kind::Boolean) || is(Kind::Integer) || is(Kind::Float); }

  // Each for its kind alone.
  bool asBoolean() const { return std::get<2>(store); }
  int64_t asInteger() const { return is(Kind::Boolean) ? int64_t(asBoolean()) : std::get<3>(store); }
  double asNumber() const { return is(Kind::Float) ? std::get<4>(store) : static_cast<double>(asInteger()); }
  const std::string &asString() const { return *std::get<5>(store); }
  const List &asList() const { return std::get<6>(store)->items; }
  const Dictionary &asDictionary() const { return std::get<7>(store)->items; }
  Dictionary &asNamespace() const { return *std::get<8>(store); }

  /// The value of `key` in a dictionary or a namespace, or nullptr, also when the budget is spent.
  const TemplateValue *find(std::string_view key, TemplateBudget &budget) const;

  /// "string", "list" and so on, for messages.
  std::string_view kindName() const;
  bool truth() const;
  /// Python's ==: numbers by value, else equal kinds and equal contents. False when the budget is spent.
  bool equals(const TemplateValue &other, TemplateBudget &budget) const;
  /// Python's str(); nothing for lists, dictionaries and namespaces, whose text is not implemented.
  std::optional<std::string> text() const;
  /// json.dumps(value, ensure_ascii=False, indent=indent); `indent` below 0: one line. Nothing if something undefined
  /// or a namespace is in it, or when the budget is spent, which bounds the text.
  std::optional<std::string> json(int indent, TemplateBudget &budget) const;

  /// From JSON: objects keep their order. `depth` at most maxDepth.
  static Result<TemplateValue> parseJson(std::string_view text);

private:
  struct ListBody {
    List items;
    int depth;
  };
  struct DictionaryBody {
    Dictionary items;
    int depth;
  };
  using Store =
      std::variant<std::monostate, std::nullptr_t, bool, int64_t, double, std::shared_ptr<const std::string>,
                   std::shared_ptr<const ListBody>, std::shared_ptr<const DictionaryBody>, std::shared_ptr<Dictionary>>;
  explicit TemplateValue(Store store) : store(std::move(store)) {}
  int depth() const;
  bool isSameAs(const TemplateValue &other) const;
  bool equalDictionary(const TemplateValue &other, TemplateBudget &budget) const;
  bool writeJson(std::string &out, int indent, int level, TemplateBudget &budget) const;

  Store store;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TEMPLATEVALUE_H
