#ifndef QOPT_DIALECTS_TRANSFORMER_ATTRIBUTES_TD
#define QOPT_DIALECTS_TRANSFORMER_ATTRIBUTES_TD

include "dialects/Transformer/Dialect.td"

class Transformer_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Transformer_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

// How an archive stores a tensor. The names are those of lib/Numerics/ElementFormat.h; packed_u2 to packed_u6
// and u8 hold codes.
def Transformer_Encoding : I32EnumAttr<"Encoding", "how an archive stores a tensor's elements", [
    I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"F16", 1, "f16">, I32EnumAttrCase<"BF16", 2, "bf16">,
    I32EnumAttrCase<"U8", 3, "u8">, I32EnumAttrCase<"PackedU4", 4, "packed_u4">,
    I32EnumAttrCase<"Q4_0", 5, "q4_0">, I32EnumAttrCase<"Q4_1", 6, "q4_1">, I32EnumAttrCase<"Q5_0", 7, "q5_0">,
    I32EnumAttrCase<"Q5_1", 8, "q5_1">, I32EnumAttrCase<"Q8_0", 9, "q8_0">, I32EnumAttrCase<"Q6_K", 10, "q6_k">,
    I32EnumAttrCase<"PackedU2", 11, "packed_u2">, I32EnumAttrCase<"PackedU3", 12, "packed_u3">,
    I32EnumAttrCase<"PackedU5", 13, "packed_u5">, I32EnumAttrCase<"PackedU6", 14, "packed_u6">]> {
  let cppNamespace = "::qopt::transformer";
  let genSpecializedAttr = 0;
}
def Transformer_EncodingAttr : EnumAttr<Transformer_Dialect, Transformer_Encoding, "encoding"> {
  let description = [{
    Within `#transformer.entry` the name alone is written.

    ```mlir
    #transformer<encoding q4_1>
    ```
  }];
}

def Transformer_ActivationKind : I32EnumAttr<"ActivationKind", "an elementwise nonlinearity", [
    I32EnumAttrCase<"Silu", 0, "silu">, I32EnumAttrCase<"GeluErf", 1, "gelu">,
    I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">, I32EnumAttrCase<"Relu", 3, "relu">]> {
  let cppNamespace = "::qopt::transformer";
  let genSpecializedAttr = 0;
}
def Transformer_ActivationKindAttr : EnumAttr<Transformer_Dialect, Transformer_ActivationKind, "activation"> {
  let description = [{
    silu: x / (1 + exp(−x)); gelu: x · (1 + erf(x / √2)) / 2; gelu_tanh: its approximation
    x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2 (Hendrycks and Gimpel, arXiv:1606.08415); relu: max(x, 0). In ops the
    name alone is written.

    ```mlir
    #transformer<activation silu>
    ```
  }];
}

def Transformer_EntryAttr : Transformer_Attr<"Entry", "entry"> {
  let summary = "a tensor in an archive: file, key, and how its elements are stored";
  let description = [{
    Reading the entry gives the parameter's type: a block encoding such as `q4_1` is decoded exactly to f32, `f16` and
    `bf16` may be widened to f32. `packed_u2` to `packed_u6` hold codes of so many bits, which follow each
    other from the lowest bit of the first byte up: of two 4-bit codes in a byte, the lower index is in the lower nibble.

    ```mlir
    #transformer.entry<@checkpoint, "blk.0.ffn_up.weight", q4_1>
    ```
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$archive, "::mlir::StringAttr":$key, "Encoding":$encoding);
  let assemblyFormat = "`<` $archive `,` $key `,` $encoding `>`";
}

def Transformer_RotaryAttr : Transformer_Attr<"Rotary", "rotary"> {
  let summary = "a rotary position embedding: dimension, base, and Llama 3's frequency scaling";
  let description = [{
    Frequencies are base^(−2i/dim), i < dim/2 (Su et al., RoFormer, arXiv:2104.09864), halves layout: element i is
    paired with i + dim/2. With `factor` other than 1 they are scaled as Llama 3.1 does: wavelengths longer than
    originalContext/lowFrequency are divided by `factor`, shorter than originalContext/highFrequency are kept, those
    between are blended.

    ```mlir
    #transformer.rotary<dim = 64, base = 1.000000e+05 : f64>
    #transformer.rotary<dim = 64, base = 5.000000e+05 : f64, factor = 32.0 : f64, lowFrequency = 1.0 : f64,
                        highFrequency = 4.0 : f64, originalContext = 8192>
    ```
  }];
  let parameters = (ins "int64_t":$dim, "::mlir::FloatAttr":$base,
    OptionalParameter<"::mlir::FloatAttr">:$factor, OptionalParameter<"::mlir::FloatAttr">:$lowFrequency,
    OptionalParameter<"::mlir::FloatAttr">:$highFrequency, DefaultValuedParameter<"int64_t", "0">:$originalContext);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The dim/2 frequencies in radians per token, rounded to f32 as the reference implementations do.
    ::llvm::SmallVector<float> getFrequencies() const;
  }];
}

#endif // QOPT_DIALECTS_TRANSFORMER_ATTRIBUTES_TD
