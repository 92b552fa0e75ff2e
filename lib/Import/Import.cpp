// Which importer a path goes to, and what importers share.
#include "lib/Import/Import.h"

#include "lib/Import/Sources.h"
#include "lib/Parameters/ArchivePaths.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"

#include <filesystem>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

Result<OwningOpRef<ModuleOp>> qopt::importModel(MLIRContext &context, const std::string &path,
                                                const ImportOptions &options) {
  context.loadDialect<TransformerDialect, arith::ArithDialect, func::FuncDialect>();
  std::error_code error;
  bool isDirectory = std::filesystem::is_directory(path, error);
  Result<OwningOpRef<ModuleOp>> module =
      isDirectory ? importHuggingFaceLlama(context, path, options) : importGgufLlama(context, path, options);
  if (!module) {
    Error error = module.takeError();
    if (error.outcome.empty())
      error.outcome = "nothing was imported";
    return error;
  }
  if (failed(verify(**module)))
    return Error{ErrorClass::Bug, "the imported module does not verify", path, "nothing was imported",
                 "report this with the messages above"};
  return module;
}

OwningOpRef<ModuleOp> qopt::makeModule(MLIRContext &context, const std::string &name) {
  return ModuleOp::create(UnknownLoc::get(&context), name);
}

void qopt::addArchive(ModuleOp module, StringRef symbol, const Archive &archive, const ImportOptions &options) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  ArchiveOp::create(builder, builder.getUnknownLoc(), symbol, pathInIR(archive.path(), options.outputDirectory),
                    static_cast<uint64_t>(archive.fileSize()), archive.headerDigest());
}

Status qopt::addTokenizer(ModuleOp module, const std::string &path, Result<std::optional<LoadedTokenizer>> tokenizer,
                          int64_t vocabulary, const ImportOptions &options) {
  if (!tokenizer)
    return tokenizer.takeError();
  if (!*tokenizer)
    return {};
  const TokenizerSpec &spec = (*tokenizer)->spec;
  if (Status status = checkTokenizer(spec, vocabulary); !status)
    return status.takeError().in(escapeForMessage(path, 1000));
  for (const std::string &asked : (*tokenizer)->notApplied)
    mlir::emitRemark(module.getLoc(),
                     "generation_config.json asks for " + asked + ", which is not implemented: runs go without it");
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  TokenizerOp::create(builder, builder.getUnknownLoc(), "tokenizer", pathInIR(path, options.outputDirectory),
                      tokenizerDigest(spec));
  return {};
}

Type qopt::cacheElement(MLIRContext &context, const ImportOptions &options) {
  return options.halfCache ? Type(Float16Type::get(&context)) : Type(Float32Type::get(&context));
}

std::string qopt::describeShape(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

Result<ParameterBinding> qopt::bindTensor(const LlamaParameter &parameter, const Archive &archive, StringRef symbol,
                                          const TensorEntry &entry, MLIRContext &context) {
  std::string where = escapeForMessage(archive.path(), 1000) + ": tensor \"" + escapeForMessage(entry.name) + "\"";
  if (ArrayRef<int64_t>(entry.shape) != ArrayRef<int64_t>(parameter.shape))
    return badInput("expected shape " + describeShape(parameter.shape) + " for " + parameter.name + ", but got " +
                        describe(entry),
                    where)
        .withNext("compare the tensor with the model's configuration");
  Type element;
  switch (entry.format) {
  case ElementFormat::F16:
    element = Float16Type::get(&context);
    break;
  case ElementFormat::BF16:
    element = BFloat16Type::get(&context);
    break;
  default:
    element = Float32Type::get(&context);
  }
  std::optional<Encoding> encoding = symbolizeEncoding(info(entry.format).name);
  if (!encoding || *encoding == Encoding::U8)
    return badInput("expected a tensor of f32, f16, bf16 or GGUF blocks, but got " + describe(entry), where)
        .withNext("convert the checkpoint to one of these formats");
  auto attribute = EntryAttr::get(&context, FlatSymbolRefAttr::get(&context, symbol),
                                  StringAttr::get(&context, entry.name), *encoding);
  return ParameterBinding{attribute, element, entry.name, /*permuted=*/false};
}

Error qopt::missingTensor(const LlamaParameter &parameter, StringRef tensor, const std::string &path) {
  return badInput("expected tensor \"" + tensor.str() + "\" of shape " + describeShape(parameter.shape) + " for " +
                      parameter.name + ", but the checkpoint has none of that name",
                  escapeForMessage(path, 1000))
      .withNext("compare the number of layers and the biases in the configuration with the checkpoint's tensors");
}

Error qopt::surplusTensor(const TensorEntry &entry, const std::string &path) {
  return badInput("expected only tensors that a llama model has, but got \"" + escapeForMessage(entry.name) + "\", " +
                      describe(entry),
                  escapeForMessage(path, 1000))
      .withNext("import a checkpoint of the plain architecture; adapters and extra heads are not implemented");
}

Error qopt::unsupportedField(StringRef field, StringRef value, const std::string &path) {
  return badInput("field \"" + escapeForMessage(field) + "\" is not implemented with the value " +
                      escapeForMessage(value),
                  escapeForMessage(path, 1000))
      .withNext("this field may change the model's mathematics, so it is not ignored; import a model without it");
}
