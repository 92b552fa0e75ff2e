// What a file is, by its contents: commands take several kinds under one argument.
#ifndef QOPT_LIB_RUNTIME_APP_FILEKIND_H
#define QOPT_LIB_RUNTIME_APP_FILEKIND_H

#include "lib/Support/Error.h"

#include <string>
#include <string_view>

namespace qopt {

enum class FileKind {
  Artifact,    ///< a safetensors file with "qopt.manifest"
  Safetensors, ///< any other, an overlay among them
  Gguf,
  Json,      ///< begins with "{": a tokenizer.json
  Ir,        ///< MLIR's bytecode, or any other text: whether it is IR, the parser will say
  Directory, ///< a Hugging Face checkpoint, it is hoped
  Unknown,   ///< neither of these, nor text
};

/// "an artifact", "a GGUF file", …: for messages.
std::string_view describe(FileKind kind);

/// Looks at a file's first bytes (and at a safetensors file's header, of which the end may be missing: its reader then
/// says what is). Errors: it does not exist, cannot be read, or is empty.
/// "-", the standard input, counts as IR, as do pipes and devices.
Result<FileKind> classifyFile(const std::string &path);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_FILEKIND_H
