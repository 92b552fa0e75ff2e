// Cuts a text into the pieces inside of which merges happen, as Hugging Face's pre-tokenizers do: each step sees the
// pieces of the step before it, alone, so that a look-ahead ends where its piece ends.
#ifndef QOPT_LIB_RUNTIME_TEXT_PRETOKENIZER_H
#define QOPT_LIB_RUNTIME_TEXT_PRETOKENIZER_H

#include "lib/Runtime/Text/Regex.h"
#include "lib/Runtime/Text/TokenizerSpec.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace qopt {

/// The pieces of one text. `texts` point into the caller's text, or into `storage` where a space was put in front.
struct Pieces {
  std::vector<std::string_view> texts;
  std::string storage;
};

/// Immutable; any number of threads may cut with it.
class PreTokenizer {
public:
  /// Errors: BadInput for an expression that Regex refuses.
  static Result<PreTokenizer> create(const std::vector<PreTokenizerStep> &steps);

  /// Fills `out` with the pieces of `text` (valid UTF-8). Errors: Resource when an expression exceeds PCRE2's limits.
  Status cut(std::string_view text, Pieces &out) const;

private:
  struct Step {
    PreTokenizerStep::Kind kind;
    PreTokenizerStep::Behavior behavior;
    bool invert, individual;
    std::vector<Regex> regex; ///< none or one
  };

  static Status split(const Step &step, std::string_view text, std::vector<std::string_view> &out);

  std::vector<Step> steps;
  bool addPrefixSpace = false;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_PRETOKENIZER_H
