#ifndef QOPT_PASSES_QUANTIZE_PASSES_TD
#define QOPT_PASSES_QUANTIZE_PASSES_TD

include "mlir/Pass/PassBase.td"

def QuantizeRtn : Pass<"quantize-rtn", "::mlir::ModuleOp"> {
  let summary = "Round the weights of linears and embeddings to the nearest codes of a scheme";
  let description = [{
    Each weight that the recipe selects is read, rounded by lib/Numerics/RoundToNearest.h and written, as codes, scales
    and zero points, to an overlay archive; `transformer.linear` and `transformer.embedding` become their `lowbit`
    namesakes. A weight that several ops share, such as a tied embedding, is quantized once. The overlay also holds the
    ledger: a row for every parameter.

    *Requires*: `@forward`; weights read by `transformer.get`; archives that can be opened from `directory`.
    *Guarantees*: no weight that the recipe selects is left; parameters that nothing uses any more are gone; the overlay
    is complete before the IR names it; the same bytes for any number of threads.
    *Leaves alone*: norms, biases, and what the recipe keeps.
    *Refuses*: groups that do not divide a weight's inputs; a rule that decides nothing; weights that are not finite.

    Example, with `scheme=w4a8:g64`:
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
           "scheme of the embedding and the output head, or keep; default w8:g32 if the body has 4 bits, "
           "else the body's">,
    ListOption<"keep", "keep", "std::string", "globs of weights to keep as they are">,
    Option<"recipe", "recipe", "std::string", "\"\"", "a recipe in YAML, in place of scheme, head and keep">,
    Option<"overlay", "overlay", "std::string", "\"overlay.safetensors\"", "the archive to write">,
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
