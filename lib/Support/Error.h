#ifndef QOPT_LIB_SUPPORT_ERROR_H
#define QOPT_LIB_SUPPORT_ERROR_H

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace qopt {

/// What went wrong, as the process's exit code says it (docs/Errors.md).
enum class ErrorClass : int {
  Usage = 1,    ///< a flag or an argument
  BadInput = 2, ///< a file or a model that breaks a rule
  Resource = 3, ///< memory, disk, a permission, a missing CPU feature
  Gate = 4,     ///< an accuracy gate or a numerical guard
  Bug = 5,      ///< our own
};

/// A message for a user, in the five parts of our diagnostics. Only `rule` is required.
struct Error {
  ErrorClass errorClass = ErrorClass::BadInput;
  std::string rule;    ///< the rule that broke, with what was seen and what was wanted
  std::string where;   ///< file, tensor, byte or op
  std::string outcome; ///< what became of the user's data ("nothing was written")
  std::string next;    ///< one next step

  /// "error: RULE\n  in: WHERE\n  result: OUTCOME\n  next: NEXT\n"; empty parts are left out.
  std::string format() const;

  /// The same error with a place put in front of `where` ("model.safetensors: header").
  Error in(std::string_view place) && {
    where = where.empty() ? std::string(place) : std::string(place) + ": " + where;
    return std::move(*this);
  }
  /// The same error with a next step, if it has none yet.
  Error withNext(std::string step) && {
    if (next.empty())
      next = std::move(step);
    return std::move(*this);
  }
};

inline Error badInput(std::string rule, std::string where = {}) {
  return Error{ErrorClass::BadInput, std::move(rule), std::move(where), {}, {}};
}
inline Error resourceError(std::string rule, std::string where = {}) {
  return Error{ErrorClass::Resource, std::move(rule), std::move(where), {}, {}};
}
inline Error usageError(std::string rule, std::string where = {}) {
  return Error{ErrorClass::Usage, std::move(rule), std::move(where), {}, {}};
}

/// Text that came out of a file, made safe to print: control characters and invalid UTF-8 become \xNN, and more than
/// `limit` bytes are cut with "…".
std::string escapeForMessage(std::string_view text, size_t limit = 120);

/// A value or an Error. Must be looked at: `if (!result) return result.takeError();`. Asking for the one that is not
/// there ends the program.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state.index() == 0; }
  T &operator*() { return std::get<0>(state); }
  const T &operator*() const { return std::get<0>(state); }
  T *operator->() { return &std::get<0>(state); }
  const T *operator->() const { return &std::get<0>(state); }
  const Error &error() const { return std::get<1>(state); }
  Error takeError() { return std::move(std::get<1>(state)); }

private:
  std::variant<T, Error> state;
};

/// Success, or an Error.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Error error) : failure(std::move(error)) {}

  explicit operator bool() const { return !failure; }
  const Error &error() const { return failure.value(); }
  Error takeError() { return std::move(failure.value()); }

private:
  std::optional<Error> failure;
};

} // namespace qopt

#endif // QOPT_LIB_SUPPORT_ERROR_H
