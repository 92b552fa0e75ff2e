// Where tokenizers come from: a Hugging Face directory's files, or the metadata of a GGUF file. What would change the
// ids and is not implemented is refused by name.
#ifndef QOPT_LIB_RUNTIME_TEXT_TOKENIZERLOADERS_H
#define QOPT_LIB_RUNTIME_TEXT_TOKENIZERLOADERS_H

#include "lib/Runtime/Text/TokenizerSpec.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// The contents of a Hugging Face directory's files; a file that is not there is nullopt.
struct HuggingFaceFiles {
  std::string_view tokenizer = {};                       ///< tokenizer.json
  std::optional<std::string_view> tokenizerConfig = {};  ///< tokenizer_config.json: bos, eos, chat template
  std::optional<std::string_view> generationConfig = {}; ///< generation_config.json: ids that end a generation
  std::optional<std::string_view> chatTemplate = {}; ///< chat_template.jinja; goes before the one in tokenizerConfig
};

/// Reads a byte-level BPE tokenizer. Errors: BadInput with the file and the key. `truncation` and `padding` are
/// settings of a batch, not of a tokenizer, and are not read (transformers replaces them as well).
Result<TokenizerSpec> loadHuggingFaceTokenizer(const HuggingFaceFiles &files);

/// The tokenizer.* keys of a GGUF file. Spans must live through the call only.
struct GgufTokenizerMetadata {
  std::string_view model = {};                       ///< tokenizer.ggml.model
  std::string_view pre = {};                         ///< tokenizer.ggml.pre; empty if missing
  std::span<const std::string> tokens = {};          ///< tokenizer.ggml.tokens
  std::span<const int32_t> tokenTypes = {};          ///< tokenizer.ggml.token_type: as many as tokens
  std::span<const std::string> merges = {};          ///< tokenizer.ggml.merges: "LEFT RIGHT"
  std::optional<int64_t> bos = {}, eos = {};         ///< tokenizer.ggml.bos_token_id, eos_token_id
  std::vector<int64_t> otherStops = {};              ///< eot_token_id, eom_token_id, where they are there
  std::optional<bool> addBos = {}, addEos = {};      ///< tokenizer.ggml.add_bos_token, add_eos_token
  std::optional<bool> addSpacePrefix = {};           ///< tokenizer.ggml.add_space_prefix
  std::optional<std::string_view> chatTemplate = {}; ///< tokenizer.chat_template
};

/// Reads a byte-level BPE tokenizer (model "gpt2"). Errors: BadInput with the key.
Result<TokenizerSpec> loadGgufTokenizer(const GgufTokenizerMetadata &metadata);

/// The values of tokenizer.ggml.pre that loadGgufTokenizer knows, for messages and documentation.
std::vector<std::string_view> knownGgufPreTokenizers();

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TOKENIZERLOADERS_H
