// What the importers of different sources share. Internal to lib/Import.
#ifndef QOPT_LIB_IMPORT_SOURCES_H
#define QOPT_LIB_IMPORT_SOURCES_H

#include "lib/Archive/Archive.h"
#include "lib/Import/Import.h"
#include "lib/Import/LlamaGraph.h"
#include "lib/Runtime/App/TokenizerFile.h"

#include <optional>
#include <set>
#include <string>

namespace qopt {

/// One file per source.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importGgufLlama(mlir::MLIRContext &context, const std::string &path,
                                                          const ImportOptions &options);
Result<mlir::OwningOpRef<mlir::ModuleOp>> importHuggingFaceLlama(mlir::MLIRContext &context, const std::string &path,
                                                                 const ImportOptions &options);

/// An empty module of that name.
mlir::OwningOpRef<mlir::ModuleOp> makeModule(mlir::MLIRContext &context, const std::string &name);

/// Appends `transformer.archive @symbol`.
void addArchive(mlir::ModuleOp module, llvm::StringRef symbol, const Archive &archive, const ImportOptions &options);

/// Appends `transformer.tokenizer @tokenizer` for a file or folder, if it has one. `tokenizer` is what loadTokenizer
/// gave, an error included. Further errors: a tokenizer or a chat template that is not implemented, by the construct's
/// name; more tokens than the model's `vocabulary`.
Status addTokenizer(mlir::ModuleOp module, const std::string &path, Result<std::optional<LoadedTokenizer>> tokenizer,
                    int64_t vocabulary, const ImportOptions &options);

/// The element type of keys and values.
mlir::Type cacheElement(mlir::MLIRContext &context, const ImportOptions &options);

/// Binds a parameter to a tensor of an archive: the shapes must agree, and the format must be a float or a GGUF block.
/// Errors name the tensor and both shapes.
Result<ParameterBinding> bindTensor(const LlamaParameter &parameter, const Archive &archive, llvm::StringRef symbol,
                                    const TensorEntry &entry, mlir::MLIRContext &context);

/// "[576, 1536]".
std::string describeShape(llvm::ArrayRef<int64_t> shape);

/// A parameter for which the source has no tensor.
Error missingTensor(const LlamaParameter &parameter, llvm::StringRef tensor, const std::string &path);

/// A tensor that no parameter asked for.
Error surplusTensor(const TensorEntry &entry, const std::string &path);

/// A field that would change the mathematics and is not implemented.
Error unsupportedField(llvm::StringRef field, llvm::StringRef value, const std::string &path);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_SOURCES_H
