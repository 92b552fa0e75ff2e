#ifndef QOPT_PASSES_QUANTIZE_PASSES_TD
#define QOPT_PASSES_QUANTIZE_PASSES_TD

include "mlir/Pass/PassBase.td"

def QuantizeRtn : Pass<"quantize-rtn", "::mlir::ModuleOp"> {
  let summary = "Round the weights of linears and embeddings to the nearest codes of a scheme";
  let description = [{
    Each weight that the recipe selects is read, rounded by lib/Numerics/RoundToNearest.h and written, as codes, scales
    and zero points, to an overlay archive; `transformer.linear` and `transformer.embedding` become their `lowbit`
    namesakes. A weight that several ops share, such as a tied embedding, is quantized once. The overlay also holds the
    ledger: a row for every parameter. For static activations (a8s) the model is first run over the samples of the
    statistics, and each value that linears read gets one scale: a parameter whose initializer is
    `lowbit.activation_scale`.

    *Requires*: `@forward`; weights read by `transformer.get`; archives that can be opened from `directory`.
    *Guarantees*: no weight that the recipe selects is left; parameters that nothing uses any more are gone; the overlay
    is complete before the IR names it; the same bytes for any number of threads.
    *Leaves alone*: norms, biases, and what the recipe keeps.
    *Refuses*: groups that do not divide a weight's inputs; a rule that decides nothing; weights that are not finite;
    static activations without statistics, of the output head, or of values that are always 0; as `overlay` an archive
    of the model, and a file that no pass has written.

    Example, with `scheme=w4a8:g64 overlay=q.safetensors`:
    ```mlir
    %w = transformer.get @up : tensor<1536x576xf32>
    %0 = transformer.linear %x, %w : (tensor<?x576xf32>, tensor<1536x576xf32>) -> tensor<?x1536xf32>
    // becomes
    %c = transformer.get @up.codes : tensor<1536x576xi4>
    %s = transformer.get @up.scales : tensor<1536x9xf16>
    %0 = lowbit.linear %x, %c, %s <weights = <bits = 4, symmetric = true, group = 64, scale = f16>,
        activations = <kind = i8>, accumulation = i32>
        : (tensor<?x576xf32>, tensor<1536x576xi4>, tensor<1536x9xf16>) -> tensor<?x1536xf32>
    ```
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", "\"\"",
           "scheme of all linears, such as w4a8:g64:asym (lib/Numerics/Scheme.h), or keep">,
    Option<"head", "head", "std::string", "\"\"",
           "scheme of the embedding and the output head, or keep; default w8:g32 if the body has fewer than "
           "8 bits, else the body's">,
    ListOption<"keep", "keep", "std::string", "globs of weights to keep as they are">,
    Option<"recipe", "recipe", "std::string", "\"\"", "a recipe in YAML, in place of scheme, head and keep">,
    Option<"range", "range", "::qopt::RangeRule", "::qopt::RangeRule::MinMax",
           "how the range of a group of a linear's weights is chosen",
           [{::llvm::cl::values(clEnumValN(::qopt::RangeRule::MinMax, "minmax", "all of the weights' range"),
                                clEnumValN(::qopt::RangeRule::Squared, "squared", "least squared error"),
                                clEnumValN(::qopt::RangeRule::Diagonal, "diagonal",
                                           "least squared error, each input by its mean square; needs statistics"),
                                clEnumValN(::qopt::RangeRule::Power, "power", "least sum of |error|^2.4"),
                                clEnumValN(::qopt::RangeRule::Hessian, "hessian", "least error of the output"),
                                clEnumValN(::qopt::RangeRule::Signed, "signed",
                                           "the same, and symmetric scales of either sign"),
                                clEnumValN(::qopt::RangeRule::Clip, "clip",
                                           "AWQ's: the same, of magnitudes, coarsely, not of q and k"),
                                clEnumValN(::qopt::RangeRule::ClipAll, "clip-all", "of q and k too"))}]>,
    Option<"statistics", "statistics", "std::string", "\"\"",
           "the archive that 'qopt calibrate' wrote, for range=diagonal, hessian, signed and clip, and for static activations">,
    Option<"overlay", "overlay", "std::string", "\"\"", "the archive to write; must be said">,
    Option<"directory", "directory", "std::string", "\".\"",
           "the directory that the IR's archive paths are relative to">,
    ListOption<"absorb", "absorb", "std::string",
               "files of archives whose tensors the overlay takes over, so that they need not be kept">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::transformer::TransformerDialect"];
}

def QuantizeGptq : Pass<"quantize-gptq", "::mlir::ModuleOp"> {
  let summary = "Round weights column by column, each column's error taken up by those that are left (GPTQ)";
  let description = [{
    Frantar et al., 2023; lib/Algorithms/Gptq.h states the formulas and where they differ from common implementations.
    Linears that the recipe's scheme or a rule selects are rounded with the Hessian of their input; the embedding and the
    head, unless a rule names them, by round to nearest. What is written is as `--quantize-rtn` writes it; the ledger also
    has the damping, the tokens seen, and the error of the output.

    *Requires*: what `--quantize-rtn` requires, and `statistics` of this very model; with `inputs=statistics` they have Gram
    matrices, else the model is run, part by part, over the samples that they were taken from.
    *Guarantees*: as `--quantize-rtn`; no linear falls back to another method but those that `max-fallback` allows, which
    are named in the ledger and in a warning.
    *Leaves alone*: norms, biases, and what the recipe keeps.
    *Refuses*: statistics of another model; a linear without statistics; fewer tokens than a linear has inputs; a Hessian
    that is not finite, or that no damping makes positive definite; as `overlay` an archive of the model, and a file that
    no pass has written.

    Example, with `scheme=w4a16:g64 statistics=stats.safetensors overlay=q.safetensors`: as for `--quantize-rtn`.
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", "\"\"", "scheme of all linears, such as w4a16:g64:asym, or keep">,
    Option<"head", "head", "std::string", "\"\"",
           "scheme of the embedding and the output head (round to nearest); they are kept without one">,
    ListOption<"keep", "keep", "std::string", "globs of weights to keep as they are">,
    Option<"recipe", "recipe", "std::string", "\"\"", "a recipe in YAML, in place of scheme, head and keep">,
    Option<"overlay", "overlay", "std::string", "\"\"", "the archive to write; must be said">,
    Option<"directory", "directory", "std::string", "\".\"",
           "the directory that the IR's archive paths are relative to">,
    ListOption<"absorb", "absorb", "std::string",
               "files of archives whose tensors the overlay takes over, so that they need not be kept">,
    Option<"statistics", "statistics", "std::string", "\"\"", "the archive that 'qopt calibrate' wrote">,
    Option<"inputs", "inputs", "::qopt::HessianInputs", "::qopt::HessianInputs::Quantized",
           "whose activations the Hessians are made from",
           [{::llvm::cl::values(clEnumValN(::qopt::HessianInputs::Quantized, "quantized",
                                           "the model's as it is being quantized; run over the archive's samples"),
                                clEnumValN(::qopt::HessianInputs::Statistics, "statistics",
                                           "the original's, as the archive has them"))}]>,
    Option<"order", "order", "::qopt::ColumnOrder", "::qopt::ColumnOrder::Activation", "which columns come first",
           [{::llvm::cl::values(clEnumValN(::qopt::ColumnOrder::Activation, "activation", "those of the greatest H_ii"),
                                clEnumValN(::qopt::ColumnOrder::Stored, "stored", "as they are stored"))}]>,
    Option<"scales", "scales", "::qopt::GptqOptions::Scales", "::qopt::GptqOptions::Scales::Static",
           "what a group's scale is taken from",
           [{::llvm::cl::values(clEnumValN(::qopt::GptqOptions::Scales::Static, "static", "weights before any update"),
                                clEnumValN(::qopt::GptqOptions::Scales::Live, "live",
                                           "weights with all feedback so far; needs order=stored"))}]>,
    Option<"range", "range", "::qopt::RangeRule", "::qopt::RangeRule::Hessian", "how a group's range is chosen",
           [{::llvm::cl::values(clEnumValN(::qopt::RangeRule::MinMax, "minmax", "all of the weights' range"),
                                clEnumValN(::qopt::RangeRule::Squared, "squared", "least squared error"),
                                clEnumValN(::qopt::RangeRule::Diagonal, "diagonal",
                                           "least squared error, each input by its mean square; needs statistics"),
                                clEnumValN(::qopt::RangeRule::Power, "power", "least sum of |error|^2.4"),
                                clEnumValN(::qopt::RangeRule::Hessian, "hessian", "least error of the output"),
                                clEnumValN(::qopt::RangeRule::Signed, "signed",
                                           "the same, and symmetric scales of either sign"),
                                clEnumValN(::qopt::RangeRule::Clip, "clip",
                                           "AWQ's: the same, of magnitudes, coarsely, not of q and k"),
                                clEnumValN(::qopt::RangeRule::ClipAll, "clip-all", "of q and k too"))}]>,
    Option<"shrink", "shrink", "double", "0.1", "all of H but its diagonal times 1 - shrink">,
    ListOption<"damping", "damping", "double", "ladder of λ (default 0.01,0.03,0.1,0.3,1)">,
    Option<"maxFallback", "max-fallback", "int64_t", "0",
           "how many linears may be rounded to nearest where GPTQ refuses">,
  ];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::func::FuncDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::qopt::kernel::KernelDialect", "::qopt::lowbit::LowBitDialect",
    "::qopt::transformer::TransformerDialect"];
}

def SmoothQuant : Pass<"smooth-quant", "::mlir::ModuleOp"> {
  let summary = "Move what makes activations hard to round into the weights (SmoothQuant)";
  let description = [{
    Xiao et al., 2023: s_j = max|X_j|^α / max|W_j|^(1−α) over all linears that read X (lib/Algorithms/SmoothQuant.h), put
    into the graph as pairs of `lowbit.scale` that `--fold-scales` takes in. Query heads that share a value head have one
    scale. A recipe may ask for an α to be searched for: then the model is run on samples of the statistics, and each site
    has the α of 0, 0.05, … 1, or no scale at all, with the least error of what its linears give, weights and activations
    rounded as their schemes have it.

    *Requires*: `@forward`, and `statistics` of this model or of what it was before scales were folded into it.
    *Guarantees*: every site of the given kinds is scaled, or a search has left it; the factors are in the archive
    `overlay`, with how they were found. *Leaves alone*: sites whose linears are all kept; values that something else than
    linears reads; the output head. *Refuses*: statistics of another model, a site without statistics, an α out of [0, 1],
    to scale what is kept altogether; as `overlay` an archive of the model, and a file that no pass has written.

    Example, with `statistics=stats.safetensors overlay=q.safetensors`:
    ```mlir
    %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    // becomes
    %s = transformer.get @w.smooth_quant : tensor<64xf32>
    %0 = lowbit.scale %x by %s axis 1 inverse : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
    %1 = lowbit.scale %w by %s axis 1 : tensor<32x64xf32>, tensor<64xf32> -> tensor<32x64xf32>
    %2 = transformer.linear %0, %1 : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    ```
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", "\"\"",
           "scheme that linears will have, such as w8a8:channel, or keep; without one all sites are scaled">,
    Option<"head", "head", "std::string", "\"\"", "scheme of the embedding and the output head; they are not scaled">,
    ListOption<"keep", "keep", "std::string", "globs of weights to keep as they are">,
    Option<"recipe", "recipe", "std::string", "\"\"", "a recipe in YAML, in place of scheme, head, keep, alpha, sites and alphas">,
    Option<"alpha", "alpha", "double", "0.5", "α of all sites">,
    ListOption<"sites", "sites", "::qopt::SiteKind",
               "which values to scale: attention-input (what q, k and v read), attention-output, mlp-input (what gate and "
               "up read), mlp-output; default: all of these">,
    ListOption<"alphas", "alphas", "double", "α of each of `sites`, in place of alpha">,
    Option<"statistics", "statistics", "std::string", "\"\"", "the archive that 'qopt calibrate' wrote">,
    Option<"overlay", "overlay", "std::string", "\"\"", "the archive to write; must be said">,
    Option<"directory", "directory", "std::string", "\".\"",
           "the directory that the IR's archive paths are relative to">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::transformer::TransformerDialect"];
}

def Awq : Pass<"awq", "::mlir::ModuleOp"> {
  let summary = "Scale the channels that carry most so that they are rounded most finely (AWQ)";
  let description = [{
    Lin et al., 2023; lib/Algorithms/Awq.h states the search and where it differs from common implementations. Scales are
    put into the graph as pairs of `lowbit.scale` that `--fold-scales` takes in; AWQ's clipping is `range=clip` of what
    rounds the weights afterwards.

    *Requires*: `@forward`; the schemes that weights will have; `statistics` with Gram matrices, of this model or of what
    it was before scales were folded into it. *Guarantees*: a site is scaled if that lowers the error of its linears'
    outputs, or, by `objective=module`, of what attention or MLP makes of them (ModuleObjective.h); the factors are in the archive `overlay`, with how they were found. *Leaves alone*: sites whose linears are
    all kept; values that something else than linears reads; the output head. *Refuses*: statistics of another model, a
    site without statistics, a shrinkage out of [0, 1), to scale what is kept altogether; as `overlay` an archive of the model, and a
    file that no pass has written.

    Example, with `scheme=w4a16:g64:asym statistics=stats.safetensors overlay=q.safetensors`:
    ```mlir
    %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    // becomes
    %s = transformer.get @w.awq : tensor<64xf32>
    %0 = lowbit.scale %x by %s axis 1 inverse : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
    %1 = lowbit.scale %w by %s axis 1 : tensor<32x64xf32>, tensor<64xf32> -> tensor<32x64xf32>
    %2 = transformer.linear %0, %1 : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
    ```
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", "\"\"", "scheme of all linears, such as w4a16:g64:asym, or keep">,
    Option<"head", "head", "std::string", "\"\"", "scheme of the embedding and the output head; they are not scaled">,
    ListOption<"keep", "keep", "std::string", "globs of weights to keep as they are">,
    Option<"recipe", "recipe", "std::string", "\"\"", "a recipe in YAML, in place of scheme, head, keep, sites, shrink and objective">,
    ListOption<"sites", "sites", "::qopt::SiteKind",
               "which values to scale: attention-input (what q, k and v read), attention-output, mlp-input (what gate and "
               "up read), mlp-output; default: all of these">,
    Option<"shrink", "shrink", "double", "0.1", "all of H but its diagonal times 1 - shrink">,
    Option<"objective", "objective", "::qopt::AwqError", "::qopt::AwqError::Output", "the error that scales are chosen by",
           [{::llvm::cl::values(clEnumValN(::qopt::AwqError::Output, "output", "of what the linears give, by H"),
                                clEnumValN(::qopt::AwqError::Module, "module",
                                           "of what their attention or MLP gives, on 8192 tokens of the samples"))}]>,
    Option<"statistics", "statistics", "std::string", "\"\"", "the archive that 'qopt calibrate' wrote">,
    Option<"overlay", "overlay", "std::string", "\"\"", "the archive to write; must be said">,
    Option<"directory", "directory", "std::string", "\".\"",
           "the directory that the IR's archive paths are relative to">,
  ];
  let dependentDialects = ["::qopt::lowbit::LowBitDialect", "::qopt::transformer::TransformerDialect"];
}

def SetCacheFormat : Pass<"set-cache-format", "::mlir::ModuleOp"> {
  let summary = "Keep keys and values as f16 or as f32";
  let description = [{
    *Requires:* nothing. *Guarantees:* every `transformer.cache` of the module has elements of the format. *Leaves alone:*
    all else.

    ```mlir
    func.func private @forward(%cache: !transformer.cache<layers = 2, heads = 3, dim = 64, f32>)
    // becomes, with format=f16
    func.func private @forward(%cache: !transformer.cache<layers = 2, heads = 3, dim = 64, f16>)
    ```
  }];
  let options = [
    Option<"format", "format", "::qopt::CacheFormat", "::qopt::CacheFormat::F16", "the elements' type",
           [{::llvm::cl::values(clEnumValN(::qopt::CacheFormat::F16, "f16", "half precision"),
                                clEnumValN(::qopt::CacheFormat::F32, "f32", "single precision"))}]>,
  ];
  let dependentDialects = ["::qopt::transformer::TransformerDialect"];
}

#endif // QOPT_PASSES_QUANTIZE_PASSES_TD
