#ifndef QOPT_DIALECTS_LOWBIT_DIALECT_TD
#define QOPT_DIALECTS_LOWBIT_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def LowBit_Dialect : Dialect {
  let name = "lowbit";
  let cppNamespace = "::qopt::lowbit";
  let summary = "Quantized tensors whose scales and zero points are values";
  let description = [{
    Upstream's `quant` types carry scales as attributes: right for a convolution, not for a model with a scale for every
    64 weights. Here codes, scales and zero points are three tensors, and the scheme is an attribute with separate
    fields for weights, activations and accumulation.

    Codes are unsigned: with b bits, u in [0, 2^b − 1], and the value is scale · (u − zero). A symmetric scheme has
    zero = 2^(b−1) and stores none.

    The discardable attribute `lowbit.quantize` of a `transformer.linear` or `transformer.embedding` says how its weight shall
    be quantized, before what a recipe says: a dictionary of `scheme` and `method`, as a recipe's rule has them, or of
    `keep`, a unit. Ops that share a weight have the same.
  }];
  let dependentDialects = ["::qopt::kernel::KernelDialect", "::qopt::transformer::TransformerDialect"];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
}

#endif // QOPT_DIALECTS_LOWBIT_DIALECT_TD
