// From IR back to the files that others read.
#ifndef QOPT_LIB_EXPORT_EXPORT_H
#define QOPT_LIB_EXPORT_EXPORT_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"

#include <functional>
#include <string>
#include <vector>

namespace qopt {

struct ExportReport {
  std::vector<std::string> written; ///< names of files in the output directory
  std::vector<std::string> notes;   ///< what could not be written, and why
};

/// Writes the model of an IR file in `irDirectory` as a directory that Hugging Face transformers loads: config.json,
/// model.safetensors with every weight in f32 (quantized ones as what their codes stand for), and the tokenizer's
/// files: copied if the source was such a directory, generated if it was a GGUF file whose pre-tokenizer is known.
/// `progress`, if given, is called with elements done and in all.
///
/// Errors: a module that is not the plain llama graph that 'qopt import' makes, quantized or not (a pass that fuses or
/// folds has changed it); archives that cannot be read; a tokenizer that is not the one that was imported; an output
/// that cannot be written, or that would replace an archive of the model. After an error no file that this call has
/// made is left.
Result<ExportReport> exportHuggingFace(mlir::ModuleOp module, const std::string &irDirectory,
                                       const std::string &outputDirectory,
                                       const std::function<void(int64_t done, int64_t total)> &progress = {});

} // namespace qopt

#endif // QOPT_LIB_EXPORT_EXPORT_H
