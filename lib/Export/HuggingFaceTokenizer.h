// Tokenizer files for Hugging Face, from a GGUF file. Internal to lib/Export.
#ifndef QOPT_LIB_EXPORT_HUGGINGFACETOKENIZER_H
#define QOPT_LIB_EXPORT_HUGGINGFACETOKENIZER_H

#include "lib/Archive/Archive.h"

#include <string>
#include <utility>
#include <vector>

namespace qopt {

/// Names and texts of tokenizer.json, tokenizer_config.json and generation_config.json.
/// Errors: a tokenizer that is not byte-level BPE with a pre-tokenizer that is known (gpt-2, smollm, llama-bpe);
/// tokens that are not UTF-8; lists whose lengths disagree.
Result<std::vector<std::pair<std::string, std::string>>> tokenizerFilesFromGguf(const Archive &archive);

} // namespace qopt

#endif // QOPT_LIB_EXPORT_HUGGINGFACETOKENIZER_H
