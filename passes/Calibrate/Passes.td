#ifndef QOPT_PASSES_CALIBRATE_PASSES_TD
#define QOPT_PASSES_CALIBRATE_PASSES_TD

include "mlir/Pass/PassBase.td"

def InsertObservers : Pass<"insert-observers", "::mlir::ModuleOp"> {
  let summary = "Mark the inputs of linears as places where calibration looks";
  let description = [{
    A value that several linears read is one site, named after the weight of the first of them.

    *Requires*: `@forward`; no observers yet.
    *Guarantees*: a `lowbit.observe` right after each value over tokens that a linear reads whose weight matches `match` and is
    one of `weights`, if there are any.
    *Leaves alone*: everything that computes; linears over the wanted rows (the output head).
    *Refuses*: what no linear fits; a second time.

    Example, with `gram`:
    ```mlir
    %1 = transformer.rms_norm %0, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    lowbit.observe %1 "model.layers.0.self_attn.q_proj.weight" gram : tensor<?x64xf32>
    ```
  }];
  let options = [
    Option<"match", "match", "std::string", "\"*\"", "a glob for the names of weights">,
    ListOption<"weights", "weights", "std::string", "names of weights, such as those that a recipe's algorithms ask for">,
    Option<"gram", "gram", "bool", "false", "sum x·xᵀ, which GPTQ and AWQ need">,
    Option<"histogram", "histogram", "bool", "false", "count which magnitude occurs how often">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect"];
}

def ExtractSegment : Pass<"extract-segment", "::mlir::ModuleOp"> {
  let summary = "Keep one segment of a model, between two values that alone carry it";
  let description = [{
    A model can be cut where one tensor over tokens is all that later ops still need: in a decoder, the residual stream
    before and after each attention and each MLP. What calibration runs piece by piece can be looked at, compiled and
    compared by this pass.

    *Requires*: a flat `@forward`, as importers and quantizers leave it.
    *Guarantees*: `@forward` takes the segment's input after its six arguments, if it has one, and returns the segment's
    output before the cache; parameters that it does not read are gone; its cache has the layers that it uses, numbered
    from 0.
    *Leaves alone*: the ops of the segment.
    *Refuses*: a number that no segment has; the last segment, which ends in logits.

    Example, with `index=1` on a model of one layer:
    ```mlir
    func.func @forward(…, %cache: !transformer.cache<layers = 1, …>, %x: tensor<?x64xf32>)
        -> (tensor<?x64xf32>, !transformer.cache<layers = 1, …>)
        attributes {transformer.part = {inputs = ["model.embed_tokens.weight"], outputs = ["model.layers.0"]}}
    ```
  }];
  let options = [Option<"index", "index", "int64_t", "0", "the number of the segment, from 0">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::qopt::transformer::TransformerDialect"];
}

#endif // QOPT_PASSES_CALIBRATE_PASSES_TD
