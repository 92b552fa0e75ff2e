#include "tools/dev/qopt-reference/TensorFiles.h"

#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Numerics/Decode.h"

#include <cstring>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

static Result<Tensor> readTensor(const Archive &archive, const TensorEntry &entry, MLIRContext *context) {
  std::span<const std::byte> bytes = archive.bytes(entry);
  if (isDecodable(entry.format)) {
    Tensor tensor = Tensor::zeros(RankedTensorType::get(entry.shape, Float32Type::get(context)));
    decodeToF32(entry.format, bytes, tensor.floats);
    return tensor;
  }
  Tensor tensor = Tensor::zeros(RankedTensorType::get(entry.shape, IntegerType::get(context, 32)));
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    int64_t value = 0;
    if (entry.format == ElementFormat::I64)
      std::memcpy(&value, bytes.data() + 8 * i, 8);
    else if (entry.format == ElementFormat::I32)
      std::memcpy(&tensor.integers[i], bytes.data() + 4 * i, 4), value = tensor.integers[i];
    else
      return badInput("expected floats, i32 or i64, but got " + describe(entry), archive.path() + ": " + entry.name);
    tensor.integers[i] = static_cast<int32_t>(value);
    if (tensor.integers[i] != value)
      return badInput("expected integers of 32 bits, but got " + std::to_string(value),
                      archive.path() + ": " + entry.name);
  }
  return tensor;
}

Result<NamedTensors> reference::readTensors(const std::string &path, MLIRContext *context) {
  auto archive = Archive::open(path);
  if (!archive)
    return archive.takeError();
  NamedTensors tensors;
  for (const TensorEntry &entry : (*archive)->tensors()) {
    Result<Tensor> tensor = readTensor(**archive, entry, context);
    if (!tensor)
      return tensor.takeError();
    tensors.emplace_back(entry.name, std::make_shared<const Tensor>(std::move(*tensor)));
  }
  return tensors;
}

Status reference::writeTensors(const std::string &path, const NamedTensors &tensors) {
  std::vector<TensorDeclaration> declarations;
  for (auto &[name, tensor] : tensors)
    declarations.push_back({name, tensor->isFloat() ? ElementFormat::F32 : ElementFormat::I32,
                            std::vector<int64_t>(tensor->type.getShape())});
  auto plan = planSafetensors(std::move(declarations));
  if (!plan)
    return plan.takeError();
  auto writer = SafetensorsWriter::create(path, *plan, {});
  if (!writer)
    return writer.takeError();
  for (auto &[name, tensor] : tensors) {
    auto bytes =
        tensor->isFloat() ? std::as_bytes(std::span(tensor->floats)) : std::as_bytes(std::span(tensor->integers));
    if (Status status = writer->append(name, bytes); !status)
      return status;
  }
  return writer->commit();
}
