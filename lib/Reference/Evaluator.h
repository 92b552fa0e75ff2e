// A slow, readable evaluator of the graph: the oracle that kernels and whole compiled models are compared with.
//
// It evaluates every op of `transformer` and `lowbit` on host numbers, through `kernel.dispatch`, `kernel.repeat` and
// calls of functions, one op after another as it stands in the IR: it knows nothing of fusion, layouts in registers,
// threads or chunks.
//
// Numerics. Sums, quotients, exponentials and so on are computed in f64 and each op's result is rounded once, to the
// element type of its result; where an op's description names a rounding or an integer sum, it happens: codes of
// activations by the formulas of lib/Numerics/Activations.h, inputs rounded to bf16 beside a bf16 weight, f32 angles,
// cosines and sines, keys and values in the type of the cache. Differences to a kernel therefore come from the kernel's
// f32 arithmetic alone.
#ifndef QOPT_LIB_REFERENCE_EVALUATOR_H
#define QOPT_LIB_REFERENCE_EVALUATOR_H

#include "lib/Reference/Value.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SetVector.h"

#include <functional>

namespace qopt::reference {

/// Gives the numbers of a parameter that has no initializer: of its declared shape and element type. On failure it has
/// emitted an error.
using ParameterSource = std::function<mlir::FailureOr<TensorRef>(transformer::ParameterOp)>;

class Evaluator {
public:
  /// Initializers are evaluated here, by the same ops; `source` is asked for everything else.
  Evaluator(mlir::ModuleOp module, ParameterSource source) : module(module), source(std::move(source)) {}

  /// The function's results. Failure, with an error at the culprit: an argument or result that does not have the
  /// declared type, an op that is not evaluated, an index (token, row, position, sequence, page) out of range, a read
  /// of keys that were not written, a parameter that needs itself.
  mlir::FailureOr<std::vector<HostValue>> call(mlir::func::FuncOp function, llvm::ArrayRef<HostValue> arguments);

  /// A parameter's numbers: its initializer's, else the source's. `user` is where errors point.
  mlir::FailureOr<TensorRef> parameter(mlir::FlatSymbolRefAttr name, mlir::Operation *user);

  /// Called after each op with its results: to see where two graphs part. Not for ops inside initializers.
  std::function<void(mlir::Operation *, llvm::ArrayRef<HostValue>)> observer;

private:
  mlir::FailureOr<std::vector<HostValue>> run(mlir::Block &block, llvm::ArrayRef<HostValue> arguments, bool observed);

  mlir::ModuleOp module;
  ParameterSource source;
  llvm::SetVector<mlir::Operation *>
      active; ///< initializers and functions being evaluated, to find one that needs itself
};

} // namespace qopt::reference

#endif // QOPT_LIB_REFERENCE_EVALUATOR_H
