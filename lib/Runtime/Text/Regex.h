// The regular expressions of tokenizers, run by PCRE2. Tokenizers are written for Oniguruma; the two agree on what
// these expressions use once `\s` is spelled out (PCRE2's also matches U+180E). What they might not agree on is
// refused.
#ifndef QOPT_LIB_RUNTIME_TEXT_REGEX_H
#define QOPT_LIB_RUNTIME_TEXT_REGEX_H

#include "lib/Support/Error.h"

#include <memory>
#include <string_view>

namespace qopt {

/// A compiled expression. Immutable: any number of threads may match with it, each through a Matcher of its own.
class Regex {
public:
  struct Match {
    size_t start, end; ///< bytes; start < end
  };

  class Matcher {
  public:
    /// The first match in `text` (valid UTF-8) at or after `from`. False: none. `failed` becomes true when PCRE2 gave
    /// up (its limits on backtracking), which also returns false.
    bool find(std::string_view text, size_t from, Match &match, bool &failed);

  private:
    friend class Regex;
    explicit Matcher(const Regex &regex);
    const Regex *regex;
    std::shared_ptr<void> data;
  };

  /// Errors: BadInput for a pattern that PCRE2 refuses, that can match nothing, or that holds a construct on which the
  /// engines differ (`\w \W \b \B \X \R \h ^ $` and others), by name and byte.
  static Result<Regex> compile(std::string_view pattern);

  Matcher matcher() const { return Matcher(*this); }

private:
  std::shared_ptr<void> code;
  bool jit = false;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_REGEX_H
