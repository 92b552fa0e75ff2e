// What a byte-level BPE tokenizer is, independent of the file that it came from. A loader makes one (from a Hugging
// Face tokenizer.json or from GGUF metadata), an artifact's `tokenizer` tensor holds its JSON form, Tokenizer runs it.
#ifndef QOPT_LIB_RUNTIME_TEXT_TOKENIZERSPEC_H
#define QOPT_LIB_RUNTIME_TEXT_TOKENIZERSPEC_H

#include "lib/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt {

/// A token that is looked for in the text before anything else, longest first.
struct AddedToken {
  int32_t id = 0;
  bool special = false;    ///< recognized only when the caller allows it; left out of decoded text on request
  bool leftStrip = false;  ///< takes the white space before it
  bool rightStrip = false; ///< takes the white space after it
  /// Hugging Face looks for `normalized: false` tokens in the whole text first, then for the others between them.
  bool normalized = false;

  bool operator==(const AddedToken &) const = default;
};

/// One step that cuts text into pieces; no merge crosses a cut. Steps run in order, each on the pieces of the last.
struct PreTokenizerStep {
  enum class Kind : uint8_t {
    Split,    ///< by a regular expression
    Digits,   ///< numeric characters (general category N) alone, or runs of them
    ByteLevel ///< the last step: optional prefix space, optional GPT-2 expression; then bytes become symbols
  };
  /// What becomes of the text that the expression matches. What lies between matches is a piece of its own.
  enum class Behavior : uint8_t { Isolated, Removed, Contiguous };

  Kind kind = Kind::Split;
  std::string pattern;                    ///< Split: Oniguruma and PCRE2's common subset, `\s` as Unicode White_Space
  Behavior behavior = Behavior::Isolated; ///< Split
  bool invert = false;                    ///< Split: matches and gaps change places
  bool individual = false;                ///< Digits
  bool addPrefixSpace = false;            ///< ByteLevel
  bool useRegex = false;                  ///< ByteLevel

  bool operator==(const PreTokenizerStep &) const = default;
};

/// A byte-level BPE tokenizer with what belongs to it in a conversation.
struct TokenizerSpec {
  /// [vocabulary]: each token's text; ordinary tokens in the byte-level alphabet (ByteAlphabet.h), added ones as they
  /// are.
  std::vector<std::string> tokens;
  /// [merges]: ids of the two parts, best first. The result is the token whose text is the two texts joined.
  std::vector<std::pair<int32_t, int32_t>> merges;
  bool ignoreMerges = false;      ///< a piece that is a token is taken whole, whatever the merges would make
  std::optional<int32_t> unknown; ///< stands for a byte that has no token; without it the byte is dropped and counted
  bool fuseUnknown = false;       ///< adjacent unknown bytes give one `unknown`
  std::vector<AddedToken> added;  ///< ascending ids
  std::vector<PreTokenizerStep> preTokenizer; ///< ends with the one ByteLevel step
  std::optional<int32_t> bos, eos;            ///< beginning and end of text
  bool addBos = false;                        ///< encode puts `bos` first when asked for special tokens
  bool addEos = false;                        ///< and `eos` last
  std::vector<int32_t> stops;                 ///< ids that end a generation, ascending
  std::string chatTemplate;                   ///< Jinja, or empty

  bool operator==(const TokenizerSpec &) const = default;

  /// Checks every rule that Tokenizer relies on: ids in range, no token twice, merges of tokens into tokens and none
  /// twice, one ByteLevel step and it last, added tokens ascending. Returns [merges]: the id that each merge makes.
  /// Both loaders and Tokenizer::create call it; expressions are compiled by Tokenizer::create alone.
  Result<std::vector<int32_t>> validate() const;

  /// One line of JSON, the same bytes for the same spec. Keys are documented in docs/TokenizerFormat.md.
  std::string toJson() const;
  /// Strict about the form: every key there once and of its type, no other key. What the values mean together is left
  /// to Tokenizer::create, so that an artifact's tokenizer is checked once. Errors: BadInput with the key's path.
  static Result<TokenizerSpec> fromJson(std::string_view text);
};

/// The expression that GPT-2's byte-level pre-tokenizer cuts with.
extern const std::string_view gpt2SplitPattern;

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TOKENIZERSPEC_H
