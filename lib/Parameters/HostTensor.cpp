#include "lib/Parameters/HostTensor.h"

#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/Decode.h"

#include <new>

using namespace mlir;
using namespace qopt;

static constexpr std::align_val_t alignment{64};

std::optional<ElementFormat> HostTensor::floatFormat() const {
  Type element = type.getElementType();
  if (element.isF32())
    return ElementFormat::F32;
  if (element.isF16())
    return ElementFormat::F16;
  if (element.isBF16())
    return ElementFormat::BF16;
  return std::nullopt;
}

int64_t qopt::canonicalElementBytes(Type element) { return (element.getIntOrFloatBitWidth() + 7) / 8; }

OwnedTensor OwnedTensor::allocate(RankedTensorType type) {
  return allocate(type, type.getNumElements() * canonicalElementBytes(type.getElementType()));
}

OwnedTensor OwnedTensor::allocate(RankedTensorType type, int64_t bytes) {
  void *memory = ::operator new(bytes, alignment);
  std::shared_ptr<const void> owner(memory, [](void *data) { ::operator delete(data, alignment); });
  std::span<std::byte> span(static_cast<std::byte *>(memory), bytes);
  return {HostTensor{type, span, std::move(owner), /*packed=*/false}, span};
}

HostTensor HostTensor::canonical() const {
  if (!packed)
    return *this;
  OwnedTensor result = OwnedTensor::allocate(type);
  // The sizes were checked when the entry was read.
  (void)static_cast<bool>(unpackCodes(type.getElementTypeBitWidth(), bytes, result.as<uint8_t>()));
  return result.tensor;
}

FloatView qopt::viewAsF32(const HostTensor &tensor) {
  bool aligned = reinterpret_cast<uintptr_t>(tensor.bytes.data()) % alignof(float) == 0;
  ElementFormat format = *tensor.floatFormat();
  if (format == ElementFormat::F32 && aligned)
    return {{reinterpret_cast<const float *>(tensor.bytes.data()), static_cast<size_t>(tensor.elements())},
            tensor.owner};
  auto type = RankedTensorType::get(tensor.type.getShape(), Float32Type::get(tensor.type.getContext()));
  OwnedTensor result = OwnedTensor::allocate(type);
  decodeToF32(format, tensor.bytes, result.as<float>());
  return {result.as<float>(), result.tensor.owner};
}
