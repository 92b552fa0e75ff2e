#ifndef QOPT_PASSES_FOLD_PASSES_TD
#define QOPT_PASSES_FOLD_PASSES_TD

include "mlir/Pass/PassBase.td"

def FoldScales : Pass<"fold-scales", "::mlir::ModuleOp"> {
  let summary = "Take pairs of lowbit.scale into the weights around them";
  let description = [{
    A scale of activations goes into what makes them: a norm's weight, the rows of a linear, the up side of a gated
    product, attention's values (where the query heads of a group are scaled alike), an embedding's table, or through
    the selection of rows. Its inverse, on the inputs of the weights that read them, goes into those weights. Nothing is
    computed: parameters get initializers, and what they were is `@w.unscaled`.

    *Requires*: factors that are parameters; archives that can be opened from `directory`.
    *Guarantees*: the same logits but for rounding in f32; no `lowbit.scale` is left in a function.
    *Leaves alone*: all else, and everything where a pair cannot be folded.
    *Refuses*: a pair that cannot be folded (with `unfoldable=cancel` both its scales go, with a remark): a value that
    something else reads too, a weight that is shared or tied, query heads of a group that are not scaled alike, an op
    that a scale does not pass (a quantized linear is one), a factor that is zero or not finite, or whose reciprocal is
    not. And a scale that is not one of a pair, where it cannot be folded.

    Example:
    ```mlir
    %0 = transformer.rms_norm %x, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
    %2 = lowbit.scale %w by %s axis 1 : tensor<32x64xf32>, tensor<64xf32> -> tensor<32x64xf32>
    %3 = transformer.linear %1, %2 : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    // becomes, with initializers that divide @norm and multiply @w
    %0 = transformer.rms_norm %x, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %1 = transformer.linear %0, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    ```
  }];
  let options = [
    Option<"unfoldable", "unfoldable", "::qopt::Unfoldable", "::qopt::Unfoldable::Refuse",
           "what becomes of a pair that cannot be folded",
           [{::llvm::cl::values(clEnumValN(::qopt::Unfoldable::Refuse, "refuse", "an error"),
                                clEnumValN(::qopt::Unfoldable::Cancel, "cancel", "its scales go, with a remark"))}]>,
    Option<"directory", "directory", "std::string", "\".\"",
           "the directory that the IR's archive paths are relative to">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::transformer::TransformerDialect"];
}

def RandomScales : Pass<"random-scales", "::mlir::ModuleOp"> {
  let summary = "Put pairs of random scales wherever linears alone read a value";
  let description = [{
    A proof of folding for a model at hand: the model computes the same with the pairs, and must do so when
    `--fold-scales` has taken them in. Factors are 2^u, u uniform in ±`octaves`, of a seeded Mersenne twister.

    *Requires*: `@forward`.
    *Guarantees*: every value that linears, and nothing else, read is divided by factors, and the inputs of their weights
    are multiplied by them; the factors are in the archive `overlay`.
    *Leaves alone*: all else.
    *Refuses*: a second time; an archive of the model as `overlay`.

    Example:
    ```mlir
    %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    // becomes
    %s = transformer.get @w.random : tensor<64xf32>
    %0 = lowbit.scale %x by %s axis 1 inverse : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
    %1 = lowbit.scale %w by %s axis 1 : tensor<32x64xf32>, tensor<64xf32> -> tensor<32x64xf32>
    %2 = transformer.linear %0, %1 : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    ```
  }];
  let options = [
    Option<"seed", "seed", "uint64_t", "0", "of the random numbers">,
    Option<"octaves", "octaves", "double", "2", "factors lie between 2^-octaves and 2^octaves">,
    Option<"overlay", "overlay", "std::string", "\"scales.safetensors\"", "the archive to write">,
    Option<"directory", "directory", "std::string", "\".\"",
           "the directory that the IR's archive paths are relative to">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::transformer::TransformerDialect"];
}

#endif // QOPT_PASSES_FOLD_PASSES_TD
