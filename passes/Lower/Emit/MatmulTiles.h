#ifndef QOPT_PASSES_LOWER_EMIT_MATMULTILES_H
#define QOPT_PASSES_LOWER_EMIT_MATMULTILES_H

#include "passes/Lower/Emit/KernelBuilder.h"

namespace qopt::emit {

/// Whether f32 activations meet a plain weight whose rows are whole tiles, and short enough for scratch memory. Not of
/// how many tokens there are: an element is summed in one order, whoever else is there.
bool hasMatmulTiles(lowbit::MatmulOp op);

/// Emits such a matmul in products of bf16 tiles (AMX), which only targets with them may ask for. `after` as in
/// MatmulEpilogue.
void emitMatmulTiles(KernelBuilder &b, KernelContext &context, lowbit::MatmulOp op, mlir::Operation *after);

} // namespace qopt::emit

#endif // QOPT_PASSES_LOWER_EMIT_MATMULTILES_H
