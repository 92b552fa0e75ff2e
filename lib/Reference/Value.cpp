#include "lib/Reference/Value.h"

#include "lib/Numerics/Float.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

Tensor Tensor::zeros(RankedTensorType type) {
  Tensor tensor{type, {}, {}};
  if (tensor.isFloat())
    tensor.floats.resize(type.getNumElements());
  else
    tensor.integers.resize(type.getNumElements());
  return tensor;
}

Tensor Tensor::zeros(RankedTensorType type, ArrayRef<int64_t> sizes) {
  SmallVector<int64_t> shape(type.getShape());
  for (int64_t &dim : shape)
    if (ShapedType::isDynamic(dim)) {
      dim = sizes.front();
      sizes = sizes.drop_front();
    }
  return zeros(RankedTensorType::get(shape, type.getElementType()));
}

Tensor Tensor::fromAttribute(DenseElementsAttr attribute) {
  Tensor tensor = zeros(RankedTensorType::get(attribute.getType().getShape(), attribute.getElementType()));
  if (tensor.isFloat())
    for (auto [index, value] : llvm::enumerate(attribute.getValues<APFloat>()))
      tensor.floats[index] = static_cast<float>(value.convertToDouble());
  else
    for (auto [index, value] : llvm::enumerate(attribute.getValues<APInt>()))
      tensor.integers[index] =
          static_cast<int32_t>(value.getBitWidth() == 1 ? value.getZExtValue() : value.getSExtValue());
  return tensor;
}

float reference::roundTo(Type type, double value) {
  // Twice rounded, through f32: what kernels do that compute in f32 and store narrower.
  float single = static_cast<float>(value);
  if (type.isF16())
    return halfToFloat(floatToHalf(single));
  if (type.isBF16())
    return bfloat16ToFloat(floatToBfloat16(single));
  return single;
}

Cache::Cache(transformer::CacheType type, int64_t pageTokens)
    : cacheType(type), tokens(pageTokens), layers(type.getLayers(), std::make_shared<const Layer>()) {}

const Cache::Row *Cache::find(int64_t layer, Place place) const {
  auto found = layers[layer]->find(place);
  return found == layers[layer]->end() ? nullptr : &found->second;
}

Cache Cache::with(int64_t layer, std::vector<std::pair<Place, Row>> rows) const {
  auto updated = std::make_shared<Layer>(*layers[layer]);
  for (auto &[place, row] : rows)
    updated->insert_or_assign(place, std::move(row));
  Cache result = *this;
  result.layers[layer] = std::move(updated);
  return result;
}
