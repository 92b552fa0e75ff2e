#ifndef QOPT_DIALECTS_TRANSFORMER_TYPES_TD
#define QOPT_DIALECTS_TRANSFORMER_TYPES_TD

include "dialects/Transformer/Dialect.td"

def Transformer_CacheType : TypeDef<Transformer_Dialect, "Cache"> {
  let mnemonic = "cache";
  let summary = "the keys and values of all sequences and layers, in pages of tokens";
  let description = [{
    A value that `transformer.cache_update` takes and returns: the order of updates and reads is the order of the def-use
    chain. How a page lies in memory belongs to the target. The element type is that of stored keys and values.

    ```mlir
    !transformer.cache<layers = 30, heads = 3, dim = 64, f16>
    ```
  }];
  let parameters = (ins "int64_t":$layers, "int64_t":$heads, "int64_t":$dim, "::mlir::Type":$elementType);
  let assemblyFormat = "`<` `layers` `=` $layers `,` `heads` `=` $heads `,` `dim` `=` $dim `,` $elementType `>`";
  let genVerifyDecl = 1;
}

#endif // QOPT_DIALECTS_TRANSFORMER_TYPES_TD
