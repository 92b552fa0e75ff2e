#include "lib/Parameters/ParameterEvaluator.h"

#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/Decode.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/InitializerOps.h"
#include "lib/Parameters/ParallelRows.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

ParameterEvaluator::ParameterEvaluator(ModuleOp module) : module(module), rotations(std::make_unique<Rotations>()) {}
ParameterEvaluator::~ParameterEvaluator() = default;

Result<std::unique_ptr<ParameterEvaluator>> ParameterEvaluator::open(ModuleOp module, const std::string &directory) {
  std::unique_ptr<ParameterEvaluator> evaluator(new ParameterEvaluator(module));
  for (ArchiveOp op : module.getOps<ArchiveOp>()) {
    std::string path = resolvePath(op.getPath(), directory);
    Result<std::shared_ptr<const Archive>> archive = Archive::open(path);
    if (!archive)
      return archive.takeError().in("transformer.archive @" + op.getSymName().str());
    auto differs = [&](const char *what, const llvm::Twine &wanted, const std::string &got) {
      return Error{ErrorClass::BadInput,
                   (llvm::Twine("expected ") + what + " " + wanted + ", as the IR says, but got " + got).str(),
                   escapeForMessage(path, 1000) + ": transformer.archive @" + op.getSymName().str(),
                   "nothing was read from the file",
                   "restore the file that the IR was made from, or make the IR again from this one"};
    };
    if ((*archive)->fileSize() != op.getSize())
      return differs("a size of", llvm::Twine(op.getSize()), std::to_string((*archive)->fileSize()) + " bytes");
    if (std::string digest = (*archive)->headerDigest(); digest != op.getHeaderDigest())
      return differs("a header with digest", op.getHeaderDigest(), digest);
    evaluator->archives[op.getSymName()] = std::move(*archive);
  }
  return evaluator;
}

std::unique_ptr<ParameterEvaluator> ParameterEvaluator::forModule(ModuleOp other) const {
  std::unique_ptr<ParameterEvaluator> evaluator(new ParameterEvaluator(other));
  for (const auto &entry : archives)
    evaluator->archives[entry.getKey()] = entry.getValue();
  for (const auto &entry : provided)
    evaluator->provided[entry.getKey()] = entry.getValue();
  return evaluator;
}

const Archive *ParameterEvaluator::archive(StringRef symbol) const {
  auto found = archives.find(symbol);
  return found == archives.end() ? nullptr : found->second.get();
}

ParameterOp ParameterEvaluator::lookup(StringRef symbol) {
  return dyn_cast_or_null<ParameterOp>(SymbolTable::lookupSymbolIn(module, symbol));
}

Result<HostTensor> ParameterEvaluator::evaluate(ParameterOp parameter) {
  Result<HostTensor> result = evaluateAny(parameter);
  if (!result)
    return result;
  return result->canonical();
}

Result<HostTensor> ParameterEvaluator::evaluateAny(ParameterOp parameter) {
  std::string name = "parameter @" + parameter.getSymName().str();
  if (!active.insert(parameter))
    return badInput("expected an initializer that does not need itself", name);
  llvm::scope_exit leave([&] { active.remove(parameter); });
  if (!parameter.getSource() && parameter.getInitializer().empty()) {
    if (auto found = provided.find(parameter.getSymName()); found != provided.end())
      return found->getValue();
    return badInput("expected a parameter with values, but got one that is only a shape", name)
        .withNext("a module of shapes is good for planning; import the model from its checkpoint");
  }
  Result<HostTensor> result = parameter.getSource() ? readEntry(parameter) : runInitializer(parameter);
  if (!result)
    return result.takeError().in(name);
  return result;
}

/// Whether an archive's tensor is what the entry and the parameter's type say.
static Status checkEntry(const TensorEntry &tensor, Encoding encoding, RankedTensorType type) {
  SmallVector<int64_t> shape(type.getShape());
  bool formatFits;
  if (std::optional<unsigned> bits = getPackedBits(encoding)) {
    // The verifier has seen to it that rows are whole bytes.
    shape.back() = static_cast<int64_t>(packedCodeBytes(*bits, shape.back()).value_or(0));
    formatFits = tensor.format == ElementFormat::U8;
  } else if (encoding == Encoding::U8) {
    formatFits = tensor.format == ElementFormat::U8 || tensor.format == ElementFormat::I8;
  } else {
    formatFits = info(tensor.format).name == std::string_view(stringifyEncoding(encoding));
  }
  if (formatFits && ArrayRef<int64_t>(tensor.shape) == ArrayRef<int64_t>(shape))
    return {};
  std::string wanted = stringifyEncoding(encoding).str();
  for (int64_t dim : type.getShape())
    wanted += " x " + std::to_string(dim);
  return badInput("expected elements " + wanted + ", but got " + describe(tensor))
      .withNext("restore the file that the IR was made from, or make the IR again from this one");
}

Result<ParameterEvaluator::Entry> ParameterEvaluator::findEntry(ParameterOp parameter) {
  EntryAttr source = *parameter.getSource();
  auto found = archives.find(source.getArchive().getValue());
  if (found == archives.end())
    return badInput("expected @" + source.getArchive().getValue().str() + " to name an archive that has been opened");
  const std::shared_ptr<const Archive> &archive = found->second;
  Result<const TensorEntry *> entry = archive->get(source.getKey().getValue());
  if (!entry)
    return entry.takeError();
  auto type = cast<RankedTensorType>(parameter.getType());
  if (Status status = checkEntry(**entry, source.getEncoding(), type); !status)
    return status.takeError().in(escapeForMessage(archive->path(), 1000) + ": tensor \"" +
                                 escapeForMessage((*entry)->name) + "\"");
  return Entry{archive, *entry};
}

Result<HostTensor> ParameterEvaluator::readEntry(ParameterOp parameter) {
  Result<Entry> entry = findEntry(parameter);
  if (!entry)
    return entry.takeError();
  Encoding encoding = parameter.getSource()->getEncoding();
  auto type = cast<RankedTensorType>(parameter.getType());
  bool packed = getPackedBits(encoding).has_value();
  HostTensor stored{type, entry->archive->bytes(*entry->tensor), entry->archive, packed};
  ElementFormat format = entry->tensor->format;
  if (packed || encoding == Encoding::U8 || stored.floatFormat() == format)
    return stored;
  // Widened or decoded to f32: the verifier allows nothing else.
  OwnedTensor decoded = OwnedTensor::allocate(type);
  int64_t rows = stored.rows(), cols = stored.elements() / std::max<int64_t>(rows, 1);
  size_t rowBytes = stored.bytes.size() / std::max<int64_t>(rows, 1);
  Status status = parallelRows(parameter.getContext(), rows, rowsPerChunk(cols * 4),
                               [&](int64_t, int64_t first, int64_t end) -> Status {
                                 decodeToF32(format, stored.bytes.subspan(first * rowBytes, (end - first) * rowBytes),
                                             decoded.as<float>().subspan(first * cols, (end - first) * cols));
                                 return {};
                               });
  if (!status)
    return status.takeError();
  return decoded.tensor;
}

void FloatRows::read(int64_t first, int64_t count, std::span<float> out) const {
  size_t rowBytes = bytes.size() / rowCount;
  decodeToF32(format, bytes.subspan(first * rowBytes, count * rowBytes), out);
}

Result<FloatRows> ParameterEvaluator::openRows(ParameterOp parameter) {
  auto type = cast<RankedTensorType>(parameter.getType());
  if (type.getRank() != 2 || !isa<FloatType>(type.getElementType()) || type.getNumElements() == 0)
    return badInput("expected a matrix of floats", "parameter @" + parameter.getSymName().str());
  int64_t rows = type.getDimSize(0), cols = type.getDimSize(1);
  if (parameter.getSource()) {
    Result<Entry> entry = findEntry(parameter);
    if (!entry)
      return entry.takeError().in("parameter @" + parameter.getSymName().str());
    return FloatRows(entry->tensor->format, entry->archive->bytes(*entry->tensor), entry->archive, rows, cols);
  }
  Result<HostTensor> tensor = evaluate(parameter);
  if (!tensor)
    return tensor.takeError();
  if (!tensor->floatFormat())
    return badInput("expected f32, f16 or bf16", "parameter @" + parameter.getSymName().str());
  return FloatRows(*tensor->floatFormat(), tensor->bytes, tensor->owner, rows, cols);
}

Result<HostTensor> ParameterEvaluator::runInitializer(ParameterOp parameter) {
  Block &block = parameter.getInitializer().front();
  llvm::DenseMap<Value, HostTensor> values;
  llvm::DenseMap<Value, int64_t> usesLeft;
  for (Operation &op : block.without_terminator()) {
    llvm::SmallVector<HostTensor, 3> results;
    if (auto get = dyn_cast<GetOp>(op)) {
      ParameterOp source = lookup(get.getParameter());
      if (!source)
        return badInput("expected @" + get.getParameter().str() + " to name a parameter");
      Result<HostTensor> value = evaluateAny(source);
      if (!value)
        return value;
      results.push_back(std::move(*value));
    } else {
      llvm::SmallVector<HostTensor> operands;
      for (Value operand : op.getOperands())
        operands.push_back(values.at(operand));
      auto computed = evaluateOp(&op, operands, *rotations);
      if (!computed)
        return computed.takeError();
      results = std::move(*computed);
    }
    // What nobody needs any more is let go: an initializer takes the memory of the values that are alive.
    for (Value operand : op.getOperands())
      if (--usesLeft[operand] == 0)
        values.erase(operand);
    for (auto [value, tensor] : llvm::zip_equal(op.getResults(), results)) {
      usesLeft[value] = static_cast<int64_t>(std::distance(value.use_begin(), value.use_end()));
      if (usesLeft[value] != 0)
        values[value] = std::move(tensor);
    }
  }
  return values.at(cast<YieldOp>(block.getTerminator()).getValue());
}

void ParameterEvaluator::drop(ParameterOp parameter) {
  if (!active.insert(parameter))
    return;
  llvm::scope_exit leave([&] { active.remove(parameter); });
  if (auto source = parameter.getSource()) {
    const Archive *file = archive(source->getArchive().getValue());
    if (const TensorEntry *entry = file ? file->find(source->getKey().getValue()) : nullptr)
      file->drop(*entry);
  }
  parameter.getInitializer().walk([&](GetOp get) {
    if (ParameterOp inner = lookup(get.getParameter()))
      drop(inner);
  });
}
