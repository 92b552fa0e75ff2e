// Tokenizer files for Hugging Face, from a GGUF file. Internal to lib/Export.
#ifndef QOPT_LIB_EXPORT_HUGGINGFACETOKENIZER_H
#define QOPT_LIB_EXPORT_HUGGINGFACETOKENIZER_H

#include "lib/Archive/Archive.h"

#include <string>
#include <utility>
#include <vector>

namespace qopt {

/// Names and texts of tokenizer.json, tokenizer_config.json and generation_config.json, which encode as the GGUF file's
/// tokenizer does in qopt. Errors: as loadTokenizer; no tokenizer; tokens that are not UTF-8.
Result<std::vector<std::pair<std::string, std::string>>> tokenizerFilesFromGguf(const Archive &archive);

} // namespace qopt

#endif // QOPT_LIB_EXPORT_HUGGINGFACETOKENIZER_H
