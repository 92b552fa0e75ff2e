#ifndef QOPT_PASSES_FUSE_PASSES_TD
#define QOPT_PASSES_FUSE_PASSES_TD

include "mlir/Pass/PassBase.td"

def ShareRotaryTables : Pass<"share-rotary-tables", "::mlir::func::FuncOp"> {
  let summary = "Compute the cosines and sines of positions once for all layers";
  let description = [{
    *Requires:* nothing. *Guarantees:* no `transformer.rotary` is left; each distinct pair of positions and frequencies
    has one `transformer.rotary_table`, at the start of the function. *Leaves alone:* all else.

    ```mlir
    %0 = transformer.rotary %q, %positions <dim = 64, base = 1.0e5 : f64> : tensor<?x576xf32>, tensor<?xi32>
    // becomes
    %t = transformer.rotary_table %positions <dim = 64, base = 1.0e5 : f64> : tensor<?xi32> -> tensor<?x64xf32>
    %0 = transformer.rotate %q, %t : tensor<?x576xf32>, tensor<?x64xf32>
    ```
  }];
  let dependentDialects = ["::qopt::transformer::TransformerDialect"];
}

def FuseProjections : Pass<"fuse-projections", "::mlir::ModuleOp"> {
  let summary = "Join linears that share an input into one";
  let description = [{
    Query, key and value projections become one linear whose result is sliced; gate and up become one whose outputs alternate
    in blocks of 16, followed by `transformer.interleaved_gated_product`. One linear is one stream of weights and one
    dispatch.

    *Requires:* weights that are values of parameters used by one linear each. *Guarantees:* the same results to the last
    bit. *Leaves alone:* linears whose schemes or types differ, that mix biases with none, whose outputs 16 does not
    divide, or of which `@forward` returns one.

    ```mlir
    %q = transformer.linear %x, %wq : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %k = transformer.linear %x, %wk : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    // becomes
    %qk = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
    %q = transformer.slice %qk at 0 : tensor<?x96xf32> -> tensor<?x64xf32>
    %k = transformer.slice %qk at 64 : tensor<?x96xf32> -> tensor<?x32xf32>
    ```
  }];
  let dependentDialects = ["::qopt::transformer::TransformerDialect", "::qopt::lowbit::LowBitDialect"];
}

#endif // QOPT_PASSES_FUSE_PASSES_TD
