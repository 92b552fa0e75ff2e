#include "lib/Reference/RandomParameters.h"

#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a well-mixed function of its argument.
static uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

Tensor reference::randomTensor(StringRef name, RankedTensorType type, uint64_t seed) {
  uint64_t key = mix(seed);
  for (char c : name)
    key = mix(key ^ static_cast<unsigned char>(c));
  Tensor tensor = Tensor::zeros(type);
  if (!tensor.isFloat()) {
    // Zero points that codes of 4 bits and more may have.
    unsigned bits = name.ends_with(".zeros") ? 4 : std::min(type.getElementTypeBitWidth(), 31u);
    for (int64_t i = 0; i < tensor.elements(); ++i)
      tensor.integers[i] = static_cast<int32_t>(mix(key + static_cast<uint64_t>(i)) >> (64 - bits));
    return tensor;
  }
  double middle = 0, reach = 0;
  if (name.ends_with(".scales"))
    middle = 0.01, reach = 0.005;
  else if (type.getRank() < 2)
    middle = 1.0, reach = 0.5;
  else
    reach = std::sqrt(3.0 / static_cast<double>(type.getShape().back()));
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    double unit = static_cast<double>(mix(key + static_cast<uint64_t>(i)) >> 11) * 0x1p-53; // [0, 1)
    tensor.floats[i] = roundTo(type.getElementType(), middle + reach * (2.0 * unit - 1.0));
  }
  return tensor;
}

ParameterSource reference::randomParameters(uint64_t seed, bool entriesToo) {
  return [=](transformer::ParameterOp parameter) -> FailureOr<TensorRef> {
    if (parameter.getSource() && !entriesToo)
      return parameter.emitError("expected a parameter without an archive entry");
    return std::make_shared<const Tensor>(
        randomTensor(parameter.getSymName(), cast<RankedTensorType>(parameter.getType()), seed));
  };
}
