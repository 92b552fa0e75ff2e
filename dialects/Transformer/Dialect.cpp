// The transformer dialect: registration, attributes and types. Ops are in Ops.cpp.
#include "dialects/Transformer/Dialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace qopt::transformer;

#include "dialects/Transformer/Dialect.cpp.inc"
#include "dialects/Transformer/Enums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Transformer/Attributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Transformer/Types.cpp.inc"

void TransformerDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Transformer/Attributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Transformer/Types.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Transformer/Ops.cpp.inc"
      >();
}

LogicalResult RotaryAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t dim, FloatAttr base,
                                 FloatAttr factor, FloatAttr lowFrequency, FloatAttr highFrequency,
                                 int64_t originalContext) {
  if (dim <= 0 || dim % 2 != 0) // rotary_c1
    return emitError() << "expected a positive even dimension, but got " << dim;
  if (!(base.getValueAsDouble() > 1.0) || !std::isfinite(base.getValueAsDouble())) // rotary_c2
    return emitError() << "expected a finite base above 1, but got " << base.getValueAsDouble();
  if (!base.getType().isF64() || (factor && !factor.getType().isF64()) ||
      (lowFrequency && !lowFrequency.getType().isF64()) || (highFrequency && !highFrequency.getType().isF64()))
    return emitError() << "expected numbers of type f64"; // rotary_c7
  int given = (factor != nullptr) + (lowFrequency != nullptr) + (highFrequency != nullptr) + (originalContext != 0);
  if (given != 0 && given != 4) // rotary_c3
    return emitError() << "expected all of factor, lowFrequency, highFrequency and originalContext, or none";
  if (given == 4) {
    if (!(factor.getValueAsDouble() >= 1.0) || !std::isfinite(factor.getValueAsDouble())) // rotary_c4
      return emitError() << "expected a finite scaling factor of at least 1, but got " << factor.getValueAsDouble();
    if (!(lowFrequency.getValueAsDouble() > 0) ||
        !(highFrequency.getValueAsDouble() > lowFrequency.getValueAsDouble()) ||
        !std::isfinite(highFrequency.getValueAsDouble())) // rotary_c5
      return emitError() << "expected 0 < lowFrequency < highFrequency, but got " << lowFrequency.getValueAsDouble()
                         << " and " << highFrequency.getValueAsDouble();
    if (originalContext < 0) // rotary_c6
      return emitError() << "expected a positive originalContext, but got " << originalContext;
  }
  return success();
}

llvm::SmallVector<float> RotaryAttr::getFrequencies() const {
  llvm::SmallVector<float> frequencies;
  float base = static_cast<float>(getBase().getValueAsDouble());
  for (int64_t i = 0; i < getDim() / 2; ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(getDim());
    float frequency = 1.0f / static_cast<float>(std::pow(base, exponent));
    if (getFactor()) {
      // The blend of Llama 3.1: by how many of its wavelengths fit into the original context.
      double factor = getFactor().getValueAsDouble();
      double low = getLowFrequency().getValueAsDouble(), high = getHighFrequency().getValueAsDouble();
      double wavelength = 2.0 * M_PI / frequency;
      double context = static_cast<double>(getOriginalContext());
      if (wavelength > context / low)
        frequency = static_cast<float>(frequency / factor);
      else if (wavelength >= context / high) {
        double smooth = (context / wavelength - low) / (high - low);
        frequency = static_cast<float>((1.0 - smooth) * frequency / factor + smooth * frequency);
      }
    }
    frequencies.push_back(frequency);
  }
  return frequencies;
}

LogicalResult CacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers, int64_t heads,
                                int64_t dim, Type elementType) {
  if (layers <= 0 || heads <= 0 || dim <= 0) // cache_c1
    return emitError() << "expected positive layers, heads and dim, but got " << layers << ", " << heads << " and "
                       << dim;
  if (!elementType.isF32() && !elementType.isF16()) // cache_c2
    return emitError() << "expected f32 or f16 elements, but got " << elementType;
  int64_t row = 0, bytes = 0; // keys and values of all layers, at most 4 bytes each
  if (llvm::MulOverflow(heads, dim, row) || llvm::MulOverflow(row, layers, bytes) ||
      llvm::MulOverflow(bytes, int64_t{8}, bytes)) // cache_c3
    return emitError() << "expected a token whose bytes can be counted in 64 bits, but got " << layers << " layers of "
                       << heads << " heads of " << dim;
  return success();
}
