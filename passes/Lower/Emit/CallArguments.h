// What the caller of @qopt_forward hands in, as values of the function that is emitted: the fields of QoptForwardArgs,
// and the buffers behind its pointers as memrefs of the graph's types.
#ifndef QOPT_PASSES_LOWER_EMIT_CALLARGUMENTS_H
#define QOPT_PASSES_LOWER_EMIT_CALLARGUMENTS_H

#include "passes/Lower/Emit/KernelBuilder.h"

namespace qopt::emit {

/// Fields of QoptForwardArgs, lib/Runtime/CompiledAbi.h, in units of 8 bytes.
enum Field : int32_t {
  kWeights = 1,
  kArena,
  kCache,
  kTokens,
  kPositions,
  kSequences,
  kBlockTables,
  kBlocksPerSequence,
  kRows,
  kNumTokens,
  kNumRows,
  kLogits,
  kHidden,
  kCounters,
  kBarrier,
  kPool,
  kInputs,
  kOutputs
};

/// What stays the same while the function is emitted.
struct Environment {
  mlir::Value arguments, worker, workers;      // llvm.ptr, i64, i64
  mlir::Value weights, arena, cache, counters; // memref<?xi8>, …, memref<?xi64>
  mlir::Value numTokens, numRows;              // index
  mlir::Value barrier, pool;                   // llvm.ptr
  mlir::Value stopped;                         // memref<i32>: not 0 once a barrier said stop
};

/// Reads what every dispatch needs from the arguments of `entry`: (QoptForwardArgs *, worker, workers) -> i32.
Environment readArguments(KernelBuilder &b, mlir::func::FuncOp entry);

/// The buffers of a graph's arguments: the six of a model's entry, and then inputs.
llvm::DenseMap<mlir::Value, mlir::Value> inputBuffers(KernelBuilder &b, Environment &env, mlir::func::FuncOp forward);

mlir::Value loadField(KernelBuilder &b, Environment &env, Field field, mlir::Type type);

/// Element `index` of an array of pointers.
mlir::Value loadElement(KernelBuilder &b, Environment &env, Field array, int64_t index);

/// A memref<?xi8> at a pointer, of unknown length.
mlir::Value bytesAt(KernelBuilder &b, mlir::Value pointer);

mlir::Value view(KernelBuilder &b, mlir::Value bytes, mlir::Value offset, mlir::ValueRange sizes,
                 mlir::MemRefType type);

/// The caller's buffer, or the arena's where the caller gave none.
mlir::Value callersOrArena(KernelBuilder &b, Environment &env, Field field, mlir::Value offset, mlir::Value extent,
                           mlir::MemRefType type);

} // namespace qopt::emit

#endif // QOPT_PASSES_LOWER_EMIT_CALLARGUMENTS_H
