// The tokenizer that a module was imported with, in the file that it lies in.
#ifndef QOPT_LIB_PARAMETERS_IMPORTEDTOKENIZER_H
#define QOPT_LIB_PARAMETERS_IMPORTEDTOKENIZER_H

#include "dialects/Transformer/Dialect.h"
#include "lib/Runtime/App/TokenizerFile.h"

#include <string>

namespace qopt {

/// The tokenizer in the file that `op` names, found relative to `directory`. Errors: as loadTokenizer; one that is not
/// the one that was imported.
Result<LoadedTokenizer> loadImportedTokenizer(transformer::TokenizerOp op, const std::string &directory);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_IMPORTEDTOKENIZER_H
