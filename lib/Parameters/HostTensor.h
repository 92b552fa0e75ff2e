// A parameter's numbers in memory: owned, or a view into a mapped archive.
#ifndef QOPT_LIB_PARAMETERS_HOSTTENSOR_H
#define QOPT_LIB_PARAMETERS_HOSTTENSOR_H

#include "lib/Numerics/ElementFormat.h"

#include "mlir/IR/BuiltinTypes.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace qopt {

/// Row-major, outermost axis first. The canonical form of the elements: f32, f16, bf16 and integers of 8 bits and more
/// as they are, little-endian; narrower integers (codes) one to a byte.
struct HostTensor {
  mlir::RankedTensorType type;
  std::span<const std::byte> bytes;  ///< no alignment is promised for a view into an archive
  std::shared_ptr<const void> owner; ///< keeps `bytes` alive
  bool packed = false; ///< codes of 2 to 4 bits as an archive holds them (CodePacking.h): only between ops of
                       ///< one evaluation

  int64_t elements() const { return type.getNumElements(); }
  /// Rows along the first axis; 1 for a scalar.
  int64_t rows() const { return type.getRank() == 0 ? 1 : type.getDimSize(0); }

  /// F32, F16 or BF16 by the element type; nothing for integers.
  std::optional<ElementFormat> floatFormat() const;

  /// The same numbers in the canonical form.
  HostTensor canonical() const;
};

/// Bytes of one element in the canonical form.
int64_t canonicalElementBytes(mlir::Type element);

/// A tensor of `type` and room for its canonical form, or for `bytes` bytes; uninitialized, aligned to 64 bytes.
struct OwnedTensor {
  HostTensor tensor;
  std::span<std::byte> bytes; ///< the same memory, to be written

  static OwnedTensor allocate(mlir::RankedTensorType type);
  static OwnedTensor allocate(mlir::RankedTensorType type, int64_t bytes);
  template <typename T> std::span<T> as() { return {reinterpret_cast<T *>(bytes.data()), bytes.size() / sizeof(T)}; }
};

/// Numbers of a float tensor as f32 : [elements], aligned: a view where they are, else a copy that is owned.
struct FloatView {
  std::span<const float> values;
  std::shared_ptr<const void> owner;
};
/// `tensor` has a floatFormat().
FloatView viewAsF32(const HostTensor &tensor);

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_HOSTTENSOR_H
