#ifndef QOPT_PASSES_LOWER_EMIT_KERNELBUILDER_H
#define QOPT_PASSES_LOWER_EMIT_KERNELBUILDER_H

#include "passes/Lower/Passes.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace qopt::emit {

/// Lanes of an f32 vector in emitted code. Targets with narrower registers split it; what is summed where stays the
/// same.
constexpr int64_t kLanes = 16;

/// Tokens in a page of the cache, and keys that attention takes at a time.
constexpr int64_t kBlockTokens = 32;

/// The largest divisor of `value` that is at most `limit`; 1 if there is no other.
int64_t largestDivisorUpTo(int64_t value, int64_t limit);

/// Inputs whose products with i8 activations an i32 can sum, whatever codes of the layout they are. What is accumulated
/// may wrap on its way, since unsigned codes are corrected for their zero point elsewhere; the sum must fit.
int64_t mostInputsOfSum(kernel::PanelAttr layout);

/// What rows that only later ops of a dispatch read may take of a worker's stack, in bytes.
constexpr int64_t kMostScratchBytes = 256 * 1024;
/// The bytes of one row of [rows, channels]; 0 of what is no tensor.
int64_t rowBytes(mlir::Value value);

/// Builds loops and vectors with the constants, casts and loads that kernels are full of.
class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  mlir::Value index(int64_t value);
  mlir::Value i32(int32_t value);
  mlir::Value f32(float value);
  mlir::VectorType vector(int64_t lanes, mlir::Type element) { return mlir::VectorType::get({lanes}, element); }
  mlir::VectorType vectorF32(int64_t lanes = kLanes) { return vector(lanes, getF32Type()); }
  /// A vector (or, with `lanes` 0, a scalar) of one value.
  mlir::Value splat(int64_t lanes, float value);
  mlir::Value splatInt(int64_t lanes, mlir::Type element, int64_t value);
  mlir::Value broadcast(int64_t lanes, mlir::Value scalar);

  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b) { return b == 0 ? a : add(a, index(b)); }
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b) { return b == 1 ? a : mul(a, index(b)); }
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);
  mlir::Value minIndex(mlir::Value a, mlir::Value b);
  /// a / b of unsigned indices.
  mlir::Value div(mlir::Value a, int64_t b);
  mlir::Value rem(mlir::Value a, int64_t b);
  /// Any integer as an index.
  mlir::Value toIndex(mlir::Value integer);
  /// f16, bf16 or f32 as f32.
  mlir::Value extendToF32(mlir::Value value);

  /// `lanes` elements of a row, from its innermost position; lanes of 1 give a vector of one.
  mlir::Value load(mlir::Value memref, mlir::ValueRange indices, int64_t lanes);
  void store(mlir::Value value, mlir::Value memref, mlir::ValueRange indices);
  mlir::Value loadScalar(mlir::Value memref, mlir::ValueRange indices);
  /// `count` adjacent elements of a row as one scalar of so many bits, splat over lanes, as a vector of the elements.
  mlir::Value loadRepeated(mlir::Value memref, mlir::ValueRange indices, int64_t count);

  using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange)>;
  /// for (iv = lower; iv < upper; iv += step), with carried values; returns their last.
  llvm::SmallVector<mlir::Value> loop(mlir::Value lower, mlir::Value upper, int64_t step, mlir::ValueRange carried,
                                      LoopBody body);
  void loop(mlir::Value lower, mlir::Value upper, int64_t step, llvm::function_ref<void(mlir::Value)> body);

  /// Calls `body` for pieces that cover [0, width): `kLanes` elements in a loop, then powers of two.
  void forEachPiece(int64_t width, llvm::function_ref<void(mlir::Value offset, int64_t lanes)> body);
  /// a > b ? a : b, one instruction on x86: b where one is not a number.
  mlir::Value larger(mlir::Value a, mlir::Value b);
  enum class Reduction { Sum, SumInt, Max, MaxInt }; ///< Max may pass over a NaN
  mlir::Value combine(mlir::Value a, mlir::Value b, Reduction kind);
  /// The sum or maximum over [0, width) of what `body` gives for each piece. The order is that of the width alone.
  mlir::Value reducePieces(int64_t width, Reduction kind,
                           llvm::function_ref<mlir::Value(mlir::Value offset, int64_t lanes)> body);
  /// Of the lanes, a power of two: both halves are combined, and what comes of it again. Left to itself LLVM takes one
  /// lane after the other, because it may not decide how floats are summed, nor which NaN a maximum is.
  mlir::Value reduceVector(mlir::Value vector, Reduction kind);

  /// A nonlinearity, elementwise on a vector of f32.
  mlir::Value activation(transformer::ActivationKind kind, mlir::Value x);
};

/// A row of a buffer: what a value of the graph is within a kernel that works on one token.
struct Row {
  mlir::Value memref;
  mlir::Value row;    // index of the first axis
  int64_t column = 0; // first column, as a slice sees it
  int64_t width = 0;

  Row slice(int64_t offset, int64_t newWidth) const { return Row{memref, row, column + offset, newWidth}; }
  mlir::Value load(KernelBuilder &b, mlir::Value offset, int64_t lanes) const {
    return b.load(memref, {row, b.add(offset, column)}, lanes);
  }
  mlir::Value loadScalar(KernelBuilder &b, mlir::Value offset) const {
    return b.loadScalar(memref, {row, b.add(offset, column)});
  }
  void store(KernelBuilder &b, mlir::Value value, mlir::Value offset) const {
    b.store(value, memref, {row, b.add(offset, column)});
  }
};

/// The value that slices were taken from; what they skip of its columns is added to `column`.
mlir::Value throughSlices(mlir::Value value, int64_t &column);

/// How a graph value looks as a buffer: memref<?xWxT>, the cache as [pages, layer, head, key or value, elements].
mlir::MemRefType bufferType(mlir::Type type);

/// What a kernel function is made from: its dispatch, and the buffers of the bindings and results.
struct KernelContext {
  kernel::DispatchOp dispatch;
  llvm::DenseMap<mlir::Value, mlir::Value> buffers; // body argument or yielded value → memref (or index)
  mlir::Value lower, upper;                         // the range of the grid
  int64_t mostTokens = 12; // vectors of kLanes accumulators that the target's registers hold, at most
  bool bf16Tiles = false;  // whether f32 is multiplied in tiles of bf16 (MatmulTiles.h)
};

/// Emit the body of a kernel at the builder's insertion point; an error is emitted at the op that has no kernel.
mlir::LogicalResult emitMatmul(KernelBuilder &b, KernelContext &context);
mlir::LogicalResult emitAttention(KernelBuilder &b, KernelContext &context);
mlir::LogicalResult emitRowOps(KernelBuilder &b, KernelContext &context);

} // namespace qopt::emit

#endif // QOPT_PASSES_LOWER_EMIT_KERNELBUILDER_H
