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
    *Refuses*: a second time; as `overlay` an archive of the model, and a file that no pass has written.

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
    Option<"overlay", "overlay", "std::string", "\"\"", "the archive to write; must be said">,
    Option<"directory", "directory", "std::string", "\".\"",
           "the directory that the IR's archive paths are relative to">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::transformer::TransformerDialect"];
}

def Rotate : Pass<"rotate", "::mlir::ModuleOp"> {
  let summary = "Rotate the residual stream and value heads by seeded orthogonal matrices (QuaRot's offline part)";
  let description = [{
    Ashkboos et al., 2024: the residual stream x becomes x·Q, so that outliers of single channels are spread over all of
    them; the model's function is the same. The weights of norms go into the linears after them, embeddings and what
    linears add to the stream are rotated, and what linears read from it is rotated back; a tied embedding becomes two
    parameters. Values of each head are rotated likewise, and taken back by what reads attention's result. All of it is
    initializers of parameters; what they were is `@w.unrotated`.

    *Requires*: `@forward`, of RMS norms. *Guarantees*: the same logits but for rounding in f32. *Leaves alone*: queries,
    keys, and the hidden channels of the MLP. *Refuses*: a stream that anything but norms, residuals and the selection of
    rows reads, or anything but embeddings and linears writes to; norms that subtract a mean; norms whose readers are not
    all linears; weights that several linears share, other than an embedding that is the output head too; attention that
    shares its layer of the cache, or whose values are not a linear's; a number of channels that the kind of matrix does
    not have.

    Example, with `value-heads=false`:
    ```mlir
    %0 = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<288x64xf32>) -> tensor<?x64xf32>
    // stays, and @table becomes
    transformer.parameter @table : tensor<288x64xf32> {
      %0 = transformer.get @table.unrotated : tensor<288x64xf32>
      %1 = lowbit.orthogonal hadamard %0 axis 1 size 64 seed 0 : tensor<288x64xf32> -> tensor<288x64xf32>
      transformer.yield %1 : tensor<288x64xf32>
    }
    ```
  }];
  let options = [
    Option<"kind", "kind", "::qopt::lowbit::RotationKind", "::qopt::lowbit::RotationKind::Hadamard",
           "which matrices",
           [{::llvm::cl::values(clEnumValN(::qopt::lowbit::RotationKind::Hadamard, "hadamard",
                                           "Hadamard matrices with random signs: channels a product of 2s, 12s, 20s"),
                                clEnumValN(::qopt::lowbit::RotationKind::Orthogonal, "orthogonal",
                                           "uniformly random ones, of any size"))}]>,
    Option<"seed", "seed", "uint64_t", "0", "of the matrices">,
    Option<"valueHeads", "value-heads", "bool", "true", "also rotate the values of each head">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::transformer::TransformerDialect"];
}

#endif // QOPT_PASSES_FOLD_PASSES_TD
