// Text to token ids and back: byte-level BPE with added tokens, equal to Hugging Face's `tokenizers` id by id.
#ifndef QOPT_LIB_RUNTIME_TEXT_TOKENIZER_H
#define QOPT_LIB_RUNTIME_TEXT_TOKENIZER_H

#include "lib/Runtime/Text/TokenizerSpec.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

struct EncodeOptions {
  /// Special tokens that stand in the text become their ids. Off for text that is not trusted to steer the model. Added
  /// tokens that are not special are always recognized.
  bool recognizeSpecial = true;
  /// Beginning- and end-of-text ids are added, if the tokenizer does that.
  bool addSpecial = true;
};

struct Encoding {
  std::vector<int32_t> ids;
  /// Bytes of the text for which the vocabulary has no token, and which `ids` therefore do not hold. Zero for a
  /// vocabulary with all 256 bytes; then decode(ids) gives the text back, broken UTF-8 included.
  size_t droppedBytes = 0;
};

/// Immutable as seen from outside; encode and decode may run on any number of threads (a cache of words inside serves
/// one caller at a time, the others do without).
class Tokenizer {
public:
  /// Errors: BadInput as TokenizerSpec::validate, or for an expression of the pre-tokenizer that is not supported.
  static Result<Tokenizer> create(TokenizerSpec spec);

  Tokenizer(Tokenizer &&) noexcept;
  Tokenizer &operator=(Tokenizer &&) noexcept;
  ~Tokenizer();

  const TokenizerSpec &spec() const;
  int32_t vocabularySize() const;

  /// Any bytes may come in; what is not UTF-8 is encoded byte by byte, apart from the text around it. Errors: Resource
  /// for a text of 1 GiB or more, or when an expression of the pre-tokenizer exceeds its limits.
  Result<Encoding> encode(std::string_view text, const EncodeOptions &options = {}) const;

  /// The bytes of `ids`, not necessarily UTF-8. Errors: Usage for an id outside of the vocabulary.
  Result<std::string> decode(std::span<const int32_t> ids, bool skipSpecial = false) const;

  /// What one token adds to decoded text. `id` must be below vocabularySize().
  std::string_view tokenBytes(int32_t id) const;
  /// Whether `id` is a special added token. `id` must be below vocabularySize().
  bool isSpecial(int32_t id) const;
  /// The id of the token whose text in the vocabulary is `token`, if any. Linear in the vocabulary.
  std::optional<int32_t> findToken(std::string_view token) const;

private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// Decodes tokens as they come, handing out whole characters: the bytes of a character that is not complete yet wait.
/// Bytes that cannot be part of a character go through as they are.
class StreamDecoder {
public:
  /// `tokenizer` must outlive this.
  explicit StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial = false)
      : tokenizer(&tokenizer), skipSpecial(skipSpecial) {}

  /// The text that `id` completes, often empty inside of a character. Errors: Usage for an id outside of the
  /// vocabulary.
  Result<std::string> push(int32_t id);
  /// What still waits: the bytes of a character that never became whole, or nothing.
  std::string flush();

private:
  const Tokenizer *tokenizer;
  bool skipSpecial;
  std::string waiting;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TOKENIZER_H
