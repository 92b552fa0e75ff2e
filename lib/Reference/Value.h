// What the reference evaluator computes with: tensors of host numbers, and a cache of keys and values.
#ifndef QOPT_LIB_REFERENCE_VALUE_H
#define QOPT_LIB_REFERENCE_VALUE_H

#include "dialects/Transformer/Dialect.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace qopt::reference {

/// A tensor in host memory, row-major, outermost axis first. One of the two vectors holds the elements.
struct Tensor {
  mlir::RankedTensorType type; ///< of static shape
  std::vector<float> floats;   ///< f32, f16 or bf16 elements; an f16 or bf16 is held as the f32 that equals it
  /// Elements of 2 to 32 bits. Codes, zero points and packed bytes are unsigned, payloads and i32 are signed; who reads
  /// narrow elements accepts either, as the bits say it.
  std::vector<int32_t> integers;

  /// Zeros of a type of static shape, with float or integer elements.
  static Tensor zeros(mlir::RankedTensorType type);
  /// Zeros of `type` with its dynamic axes set: each takes the next of `sizes`.
  static Tensor zeros(mlir::RankedTensorType type, llvm::ArrayRef<int64_t> sizes);
  /// The elements of a constant.
  static Tensor fromAttribute(mlir::DenseElementsAttr attribute);

  bool isFloat() const { return mlir::isa<mlir::FloatType>(type.getElementType()); }
  int64_t dim(unsigned axis) const { return type.getDimSize(axis); }
  int64_t elements() const { return type.getNumElements(); }
  /// Elements of one row: those of all axes but the first.
  int64_t rowElements() const { return type.getNumElements() / std::max<int64_t>(type.getDimSize(0), 1); }
};

/// `value` rounded to `type` (f32, f16 or bf16) to nearest even.
float roundTo(mlir::Type type, double value);

/// Keys and values of all layers, by page (the entries of block tables) and slot within the page. A value: an update
/// makes a new cache, which shares the layers that it leaves alone.
class Cache {
public:
  /// One token's keys and values in one layer, [heads · dim] each, rounded to the cache's element type.
  struct Row {
    std::vector<float> key, value;
  };
  using Place = std::pair<int32_t, int64_t>; ///< page, slot
  using Layer = std::map<Place, Row>;

  /// An empty cache with pages of so many tokens.
  explicit Cache(transformer::CacheType type, int64_t pageTokens = 32);

  transformer::CacheType type() const { return cacheType; }
  int64_t pageTokens() const { return tokens; }
  /// Tokens whose keys and values `layer` holds.
  size_t size(int64_t layer) const { return layers[layer]->size(); }
  const Layer &rows(int64_t layer) const { return *layers[layer]; }
  /// What was last written to a place; null if nothing was. `layer` is one of the type's.
  const Row *find(int64_t layer, Place place) const;
  /// This cache with other rows at some places of a layer.
  Cache with(int64_t layer, std::vector<std::pair<Place, Row>> rows) const;

private:
  transformer::CacheType cacheType;
  int64_t tokens;
  std::vector<std::shared_ptr<const Layer>> layers;
};

using TensorRef = std::shared_ptr<const Tensor>;
/// A value of the IR: a tensor, a cache or an index.
using HostValue = std::variant<TensorRef, Cache, int64_t>;

} // namespace qopt::reference

#endif // QOPT_LIB_REFERENCE_VALUE_H
