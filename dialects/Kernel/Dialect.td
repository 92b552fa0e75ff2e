#ifndef QOPT_DIALECTS_KERNEL_DIALECT_TD
#define QOPT_DIALECTS_KERNEL_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::qopt::kernel";
  let summary = "Dispatches: what is computed together, over which grid, on which buffers";
  let description = [{
    A `kernel.dispatch` holds the graph ops that one kernel computes; its operands are its bindings, its grid is affine in
    the number of tokens, and its dependencies are its operands' definitions. It says nothing of workers, barriers or
    vector registers: a CPU lowers it to SPMD code, a GPU to a list of launches. Layout attributes say how a weight lies in
    memory. `kernel.dot` and `kernel.decode_codes` are the two vector ops that each target spells in its own way.
  }];
  let useDefaultAttributePrinterParser = 1;
}

#endif // QOPT_DIALECTS_KERNEL_DIALECT_TD
