// From a checkpoint to the IR of its model.
#ifndef QOPT_LIB_IMPORT_IMPORT_H
#define QOPT_LIB_IMPORT_IMPORT_H

#include "lib/Archive/OutputFile.h"
#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>

namespace qopt {

struct ImportOptions {
  /// The directory in which the IR file will lie: archives in it are named relative to it
  /// (lib/Parameters/ArchivePaths.h).
  std::string outputDirectory = ".";
  /// Keys and values in f16 instead of f32.
  bool halfCache = false;
};

/// The model in `path`: a .gguf file of architecture llama, or a directory as Hugging Face transformers saves it
/// (config.json and model.safetensors, or shards with model.safetensors.index.json) of architecture LlamaForCausalLM.
///
/// The weights are not read. The context needs no dialect loaded. Errors: what is not such a source, breaks a rule of
/// its format, or has a field that would change the mathematics and is not implemented (by its name); a missing,
/// surplus or misshapen tensor.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importModel(mlir::MLIRContext &context, const std::string &path,
                                                      const ImportOptions &options = {});

/// Writes `module` as text with its locations, to a temporary file that then replaces `path`; "-" is the standard
/// output. With `outputs`, the file gets its name with the others of that set. Errors: the file cannot be written; an
/// existing one is then as it was.
Status writeModule(mlir::ModuleOp module, const std::string &path, OutputSet *outputs = nullptr);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_IMPORT_H
