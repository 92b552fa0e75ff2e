// Cuts a model where one value alone carries it from what is done to what is left, and takes parts out of it.
//
// Calibration and the algorithms that follow the quantized model run a model piece by piece: a piece, its weights and
// its statistics fit into memory when the model does not, and a piece whose weights have changed need not drag the
// whole model along.
#ifndef QOPT_PASSES_CALIBRATE_SEGMENTS_H
#define QOPT_PASSES_CALIBRATE_SEGMENTS_H

#include "lib/Support/Error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace qopt {

/// A stretch of @forward between two cuts. A cut is a place in the order of ops where exactly one tensor over tokens is
/// still needed: in a decoder, the residual stream before and after each attention and each MLP.
struct Segment {
  mlir::Value input;  ///< null: the first, which starts from the tokens
  mlir::Value output; ///< null: the last, which ends in what @forward returns
  /// The ops between, in order, but for parameters and constants.
  llvm::SmallVector<mlir::Operation *> ops;
};

/// Refuses, as bad input, what the functions below cannot cut: a @forward that is not flat, does not take tensors and
/// then a cache as its first six arguments, or names layers of the cache by anything but constants.
Status checkCuts(mlir::func::FuncOp forward);

/// The segments of a flat @forward, as importers and quantizers leave it, in order: at least one.
llvm::SmallVector<Segment> findSegments(mlir::func::FuncOp forward);

/// A module of its own whose @forward computes `outputs` from `inputs` (values of @forward, tensors over tokens):
///
///   func.func @forward(tokens, positions, sequences, block tables, rows, cache, inputs…) -> (outputs…, cache)
///       attributes {transformer.part = {inputs = ["…"], outputs = ["…"]}}
///
/// It has the archives, and the parameters that it needs. Its cache has the layers that it uses, numbered from 0.
/// Each output is the result of an op of @forward, named once.
mlir::OwningOpRef<mlir::ModuleOp> extractPart(mlir::ModuleOp module, llvm::ArrayRef<mlir::Value> inputs,
                                              llvm::ArrayRef<mlir::Value> outputs);

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_SEGMENTS_H
