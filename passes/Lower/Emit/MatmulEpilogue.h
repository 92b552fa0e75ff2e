#ifndef QOPT_PASSES_LOWER_EMIT_MATMULEPILOGUE_H
#define QOPT_PASSES_LOWER_EMIT_MATMULEPILOGUE_H

#include "passes/Lower/Emit/KernelBuilder.h"

namespace qopt::emit {

/// What becomes of a matmul's sums, however they were computed: the bias, the elementwise op that follows, the buffer.
class MatmulEpilogue {
public:
  /// `after` is the residual, activation or interleaved gated product of the dispatch, or null.
  MatmulEpilogue(KernelBuilder &b, KernelContext &context, lowbit::MatmulOp op, mlir::Operation *after);

  /// Whether a tile is two panels, a gate and what it multiplies.
  bool isPaired() const { return gatedProduct() != nullptr; }
  /// The sums of 16 outputs with their bias.
  mlir::Value withBias(mlir::Value sums, mlir::Value panel);
  /// act(gate) · up, of a matmul that is paired.
  mlir::Value gated(mlir::Value gate, mlir::Value up);
  /// Stores 16 outputs of adjacent tokens from `token` on: what of them exists.
  void store(mlir::Value tile, mlir::Value token, llvm::ArrayRef<mlir::Value> results);

private:
  transformer::InterleavedGatedProductOp gatedProduct() const {
    return llvm::dyn_cast_or_null<transformer::InterleavedGatedProductOp>(after);
  }
  void storePieces(mlir::Value token, mlir::Value column, llvm::ArrayRef<mlir::Value> results,
                   llvm::ArrayRef<std::pair<int64_t, int64_t>> pieces);

  KernelBuilder &b;
  mlir::Operation *after;
  mlir::Value bias, output, residualInput;
  int64_t residualColumn = 0; // where a slice begins in its buffer
  int64_t outputs;
};

} // namespace qopt::emit

#endif // QOPT_PASSES_LOWER_EMIT_MATMULEPILOGUE_H
