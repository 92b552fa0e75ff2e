// What an artifact carries of its sources beside the weights: tokenizer, ledger, and where all of it came from.
#ifndef QOPT_LIB_COMPILE_SOURCES_H
#define QOPT_LIB_COMPILE_SOURCES_H

#include "lib/Compile/Compile.h"

namespace qopt {

/// Fills `options`: the tokenizer's JSON and the generation defaults from the file that `transformer.tokenizer` names,
/// the ledger from the last archive that has one, and the provenance: names, sizes and digests of the archives, the
/// tokenizer's digest, the schemes, and the versions of qopt and LLVM. No paths: the same inputs give the same bytes
/// wherever they lie. To be called before the module is compiled. Files are found relative to `directory`.
///
/// A module without `transformer.tokenizer` leaves tokenizer and generation as they are, "{}". Errors: a file that
/// cannot be read; an archive or a tokenizer that has changed since it was imported; what an artifact cannot hold.
Status describeSources(mlir::ModuleOp module, const std::string &directory, CompileOptions &options);

} // namespace qopt

#endif // QOPT_LIB_COMPILE_SOURCES_H
