#ifndef QOPT_DIALECTS_TRANSFORMER_DIALECT_TD
#define QOPT_DIALECTS_TRANSFORMER_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Transformer_Dialect : Dialect {
  let name = "transformer";
  let cppNamespace = "::qopt::transformer";
  let summary = "Transformers as a flat graph of a few ops, with the weights outside of the IR";
  let description = [{
    A model is a module: `transformer.archive` names the files that hold tensors, `transformer.parameter` binds a
    symbol to a tensor in an archive or to an initializer, and one function, `@forward`, computes the logits of chosen
    rows of a flat batch of tokens that may belong to many sequences.

    Activations are `tensor<?xHxf32>`: [tokens, channels]. Weights are [outputs, inputs], as checkpoints store them.
    Only `transformer.cache_update` and `transformer.attention` know of sequences; the cache is a value that is
    threaded through them.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 0;
}

#endif // QOPT_DIALECTS_TRANSFORMER_DIALECT_TD
