#ifndef QOPT_DIALECTS_TRANSFORMER_OPS_TD
#define QOPT_DIALECTS_TRANSFORMER_OPS_TD

include "dialects/Shapes.td"
include "dialects/Transformer/Attributes.td"
include "dialects/Transformer/Types.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Transformer_Op<string mnemonic, list<Trait> traits = []> : Op<Transformer_Dialect, mnemonic, traits>;

// [tokens, channels]
def Transformer_Activations : Qopt_KnownAxis<2DTensorOf<[F32]>, 1, // activations_c1
    "f32 tensor of tokens and a known number of channels">;
def Transformer_Indices : 1DTensorOf<[I32]>;     // indices_c1
def Transformer_BlockTables : 2DTensorOf<[I32]>; // block_tables_c1
// [outputs, inputs]
def Transformer_FloatMatrix : Qopt_KnownMatrix<2DTensorOf<[F32, F16, BF16]>, // float_matrix_c1
    "float matrix of known shape">;
def Transformer_FloatVector : Qopt_KnownAxis<1DTensorOf<[F32, F16, BF16]>, 0, // float_vector_c1
    "float vector of known length">;

//===----------------------------------------------------------------------===//
// The module: files, parameters
//===----------------------------------------------------------------------===//

def Transformer_ArchiveOp : Transformer_Op<"archive", [Symbol]> {
  let summary = "name a file that holds tensors";
  let description = [{
    A safetensors or GGUF file, known by its path (relative to the IR file), its size in bytes and the digest of its
    header. Opening a file that differs is an error.

    ```mlir
    transformer.archive @checkpoint "model.safetensors" size 1024 header "sha256:00"
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$path, I64Attr:$size, StrAttr:$header_digest);
  let assemblyFormat = "$sym_name $path `size` $size `header` $header_digest attr-dict";
  let hasVerifier = 1;
}

def Transformer_TokenizerOp : Transformer_Op<"tokenizer", [Symbol]> {
  let summary = "name the file that holds the tokenizer";
  let description = [{
    A GGUF file, a `tokenizer.json`, or the folder of a checkpoint (`tokenizer.json`, `tokenizer_config.json` and
    `generation_config.json` are read from it), with the digest of the tokenizer's canonical JSON.

    ```mlir
    transformer.tokenizer @tokenizer "model.gguf" digest "sha256:00"
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$path, StrAttr:$digest);
  let assemblyFormat = "$sym_name $path `digest` $digest attr-dict";
}

def Transformer_ParameterOp : Transformer_Op<"parameter", [Symbol, IsolatedFromAbove,
    SingleBlock, NoRegionArguments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "bind a symbol to a tensor outside of the IR, or to a computation of it";
  let description = [{
    A parameter names an entry of an archive, or carries an initializer: a region of pure ops over other parameters.
    A parameter with neither is a shape without values, good for planning only.

    ```mlir
    transformer.archive @checkpoint "model.gguf" size 1024 header "sha256:00"
    transformer.parameter @up : tensor<1536x576xf32> from <@checkpoint, "blk.0.ffn_up.weight", q4_1>
    transformer.parameter @gate : tensor<1536x576xf32> from <@checkpoint, "blk.0.ffn_gate.weight", q4_1>
    transformer.parameter @both : tensor<3072x576xf32> {
      %gate = transformer.get @gate : tensor<1536x576xf32>
      %up = transformer.get @up : tensor<1536x576xf32>
      %both = transformer.concat %gate, %up : (tensor<1536x576xf32>, tensor<1536x576xf32>) -> tensor<3072x576xf32>
      transformer.yield %both : tensor<3072x576xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Qopt_StaticTensor>:$type,
                       OptionalAttr<Transformer_EntryAttr>:$source);
  let regions = (region MaxSizedRegion<1>:$initializer);
  // With the keyword: braces alone would be read as the initializer.
  let assemblyFormat = "$sym_name `:` $type (`from` $source^)? attr-dict-with-keyword ($initializer^)?";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Transformer_GetOp : Transformer_Op<"get", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a parameter";
  let description = [{
    ```mlir
    transformer.parameter @norm : tensor<576xf32>
    func.func @f() -> tensor<576xf32> {
      %0 = transformer.get @norm : tensor<576xf32>
      return %0 : tensor<576xf32>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter);
  let results = (outs Qopt_StaticTensor:$value);
  let assemblyFormat = "$parameter `:` type($value) attr-dict";
}

def Transformer_YieldOp : Transformer_Op<"yield", [Pure, Terminator, HasParent<"ParameterOp">]> {
  let summary = "the value of an initializer";
  let description = [{
    ```mlir
    transformer.parameter @stored : tensor<8x4xf32>
    transformer.parameter @same : tensor<8x4xf32> {
      %0 = transformer.get @stored : tensor<8x4xf32>
      transformer.yield %0 : tensor<8x4xf32>
    }
    ```
  }];
  let arguments = (ins Qopt_StaticTensor:$value);
  let assemblyFormat = "$value `:` type($value) attr-dict";
}

//===----------------------------------------------------------------------===//
// Initializers
//===----------------------------------------------------------------------===//

def Transformer_ConcatOp : Transformer_Op<"concat", [Pure]> {
  let summary = "join tensors along the first axis, or interleave them in blocks of rows";
  let description = [{
    Without `interleave`, the rows of the first tensor, then those of the second, and so on. With `interleave = b`, b
    rows of each in turn: gate and up projections lie side by side so that one tile of a kernel sees both.

    ```mlir
    transformer.parameter @gate : tensor<32x8xf32>
    transformer.parameter @up : tensor<32x8xf32>
    transformer.parameter @both : tensor<64x8xf32> {
      %gate = transformer.get @gate : tensor<32x8xf32>
      %up = transformer.get @up : tensor<32x8xf32>
      %0 = transformer.concat %gate, %up interleave 16 : (tensor<32x8xf32>, tensor<32x8xf32>) -> tensor<64x8xf32>
      transformer.yield %0 : tensor<64x8xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Qopt_StaticTensor>:$inputs, DefaultValuedAttr<I64Attr, "0">:$interleave);
  let results = (outs Qopt_StaticTensor:$result);
  let assemblyFormat = "$inputs (`interleave` $interleave^)? attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Transformer_UnpermuteRotaryOp : Transformer_Op<"unpermute_rotary", [Pure, SameOperandsAndResultType]> {
  let summary = "undo the row permutation that GGUF applies to query and key projections";
  let description = [{
    GGUF stores each head's rows as pairs (0, 1), (2, 3), …; the halves layout of `transformer.rotary` wants row i
    paired with i + dim/2. With x viewed as [heads, dim/2, 2, inputs], the result is [heads, 2, dim/2, inputs].
    A vector (the bias of such a projection) is permuted likewise.

    ```mlir
    transformer.parameter @stored : tensor<128x32xf32>
    transformer.parameter @q : tensor<128x32xf32> {
      %0 = transformer.get @stored : tensor<128x32xf32>
      %1 = transformer.unpermute_rotary %0 heads 2 : tensor<128x32xf32>
      transformer.yield %1 : tensor<128x32xf32>
    }
    ```
  }];
  let arguments = (ins Qopt_StaticTensor:$input, I64Attr:$heads);
  let results = (outs Qopt_StaticTensor:$result);
  let assemblyFormat = "$input `heads` $heads attr-dict `:` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

def Transformer_EmbeddingOp : Transformer_Op<"embedding", [Pure]> {
  let summary = "rows of a table, one for each token";
  let description = [{
    ```mlir
    func.func @f(%tokens: tensor<?xi32>, %table: tensor<49152x576xf32>) -> tensor<?x576xf32> {
      %0 = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<49152x576xf32>) -> tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Indices:$tokens, Transformer_FloatMatrix:$table);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$tokens `,` $table attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

def Transformer_RmsNormOp : Transformer_Op<"rms_norm", [Pure]> {
  let summary = "x · weight / sqrt(mean(x²) + epsilon), over each row";
  let description = [{
    Zhang and Sennrich, arXiv:1910.07467.

    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %w: tensor<576xf32>) -> tensor<?x576xf32> {
      %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x576xf32>, tensor<576xf32>) -> tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, Transformer_FloatVector:$weight, F64Attr:$epsilon);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$input `,` $weight `epsilon` $epsilon attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

def Transformer_LayerNormOp : Transformer_Op<"layer_norm", [Pure]> {
  let summary = "(x − mean) · weight / sqrt(variance + epsilon) + bias, over each row";
  let description = [{
    Ba et al., arXiv:1607.06450; the variance divides by the number of channels.

    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>, %b: tensor<64xf32>) -> tensor<?x64xf32> {
      %0 = transformer.layer_norm %x, %w bias %b epsilon 1.0e-5
          : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, Transformer_FloatVector:$weight,
                       Optional<Transformer_FloatVector>:$bias, F64Attr:$epsilon);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? `epsilon` $epsilon attr-dict `:` functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

def Transformer_LinearOp : Transformer_Op<"linear", [Pure]> {
  let summary = "x · weightᵀ + bias";
  let description = [{
    input: [tokens, inputs]; weight: [outputs, inputs]; bias: [outputs]. With a bf16 weight the input is rounded to bf16
    and products are summed in f32.

    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %w: tensor<192x576xf32>) -> tensor<?x192xf32> {
      %0 = transformer.linear %x, %w : (tensor<?x576xf32>, tensor<192x576xf32>) -> tensor<?x192xf32>
      return %0 : tensor<?x192xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, Transformer_FloatMatrix:$weight,
                       Optional<Transformer_FloatVector>:$bias);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$input `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, $result)";
  let hasVerifier = 1;
}

def Transformer_SliceOp : Transformer_Op<"slice", [Pure]> {
  let summary = "a range of channels";
  let description = [{
    The channels [offset, offset + width of the result).

    ```mlir
    func.func @f(%x: tensor<?x960xf32>) -> tensor<?x192xf32> {
      %0 = transformer.slice %x at 576 : tensor<?x960xf32> -> tensor<?x192xf32>
      return %0 : tensor<?x192xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, I64Attr:$offset);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$input `at` $offset attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Transformer_RotaryOp : Transformer_Op<"rotary", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotate each head by the token's position";
  let description = [{
    input: [tokens, heads · dim]. Angles are f32 products of position and frequency, their cosines and sines are rounded
    to f32: this is `transformer.rotate` by `transformer.rotary_table`.

    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %positions: tensor<?xi32>) -> tensor<?x576xf32> {
      %0 = transformer.rotary %x, %positions <dim = 64, base = 1.0e5 : f64> : tensor<?x576xf32>, tensor<?xi32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, Transformer_Indices:$positions, Transformer_RotaryAttr:$rotary);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$input `,` $positions $rotary attr-dict `:` type($input) `,` type($positions)";
  let hasVerifier = 1;
}

def Transformer_RotaryTableOp : Transformer_Op<"rotary_table", [Pure]> {
  let summary = "cosines and sines of each token's angles";
  let description = [{
    result: [tokens, dim]: dim/2 cosines, then dim/2 sines. `--share-rotary-tables` computes it once for all layers.

    ```mlir
    func.func @f(%positions: tensor<?xi32>) -> tensor<?x64xf32> {
      %0 = transformer.rotary_table %positions <dim = 64, base = 1.0e5 : f64> : tensor<?xi32> -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Indices:$positions, Transformer_RotaryAttr:$rotary);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$positions $rotary attr-dict `:` type($positions) `->` type($result)";
  let hasVerifier = 1;
}

def Transformer_RotateOp : Transformer_Op<"rotate", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotate each head by a table of cosines and sines";
  let description = [{
    With c, s the halves of the token's row of the table, and a, b the halves of a head: (a·c − b·s, b·c + a·s).

    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %table: tensor<?x64xf32>) -> tensor<?x576xf32> {
      %0 = transformer.rotate %x, %table : tensor<?x576xf32>, tensor<?x64xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, Transformer_Activations:$table);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$input `,` $table attr-dict `:` type($input) `,` type($table)";
  let hasVerifier = 1;
}

def Transformer_CacheUpdateOp : Transformer_Op<"cache_update", [Pure, AllTypesMatch<["cache", "result"]>,
    AllTypesMatch<["key", "value"]>]> {
  let summary = "write the keys and values of a batch of tokens into a layer of the cache";
  let description = [{
    key, value: [tokens, heads · dim]. Token t goes to position positions[t] of sequence sequences[t]; block_tables
    [sequences, blocks] names the page of each range of positions. Keys and values are rounded to the cache's element type.

    ```mlir
    func.func @f(%cache: !transformer.cache<layers = 30, heads = 3, dim = 64, f16>, %layer: index,
                 %k: tensor<?x192xf32>, %v: tensor<?x192xf32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                 %tables: tensor<?x?xi32>) -> !transformer.cache<layers = 30, heads = 3, dim = 64, f16> {
      %0 = transformer.cache_update %cache[%layer], %k, %v at (%positions, %sequences, %tables)
          : !transformer.cache<layers = 30, heads = 3, dim = 64, f16>, tensor<?x192xf32>,
            tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
      return %0 : !transformer.cache<layers = 30, heads = 3, dim = 64, f16>
    }
    ```
  }];
  let arguments = (ins Transformer_CacheType:$cache, Index:$layer, Transformer_Activations:$key,
                       Transformer_Activations:$value, Transformer_Indices:$positions,
                       Transformer_Indices:$sequences, Transformer_BlockTables:$block_tables);
  let results = (outs Transformer_CacheType:$result);
  let assemblyFormat = [{
    $cache `[` $layer `]` `,` $key `,` $value `at` `(` $positions `,` $sequences `,` $block_tables `)` attr-dict `:`
    type($cache) `,` type($key) `,` type($positions) `,` type($sequences) `,` type($block_tables)
  }];
  let hasVerifier = 1;
}

def Transformer_AttentionOp : Transformer_Op<"attention", [Pure, AllTypesMatch<["query", "result"]>]> {
  let summary = "causal attention of each token over its own sequence in the cache";
  let description = [{
    query: [tokens, heads · dim]; query head h reads key/value head h / (heads / cache heads), so multi-head, grouped and
    multi-query attention are one op. Token t sees positions p with max(0, q − window + 1) ≤ p ≤ q, q = positions[t]
    (window 0: all). result = softmax(scale · q·kᵀ) · v per head.

    ```mlir
    func.func @f(%q: tensor<?x576xf32>, %cache: !transformer.cache<layers = 30, heads = 3, dim = 64, f16>,
                 %layer: index, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %tables: tensor<?x?xi32>)
        -> tensor<?x576xf32> {
      %0 = transformer.attention %q, %cache[%layer] at (%positions, %sequences, %tables) scale 0.125
          : tensor<?x576xf32>, !transformer.cache<layers = 30, heads = 3, dim = 64, f16>,
            tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$query, Transformer_CacheType:$cache, Index:$layer,
                       Transformer_Indices:$positions, Transformer_Indices:$sequences,
                       Transformer_BlockTables:$block_tables, F64Attr:$scale, DefaultValuedAttr<I64Attr, "0">:$window);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = [{
    $query `,` $cache `[` $layer `]` `at` `(` $positions `,` $sequences `,` $block_tables `)` `scale` $scale
    (`window` $window^)? attr-dict `:`
    type($query) `,` type($cache) `,` type($positions) `,` type($sequences) `,` type($block_tables)
  }];
  let hasVerifier = 1;
}

def Transformer_ActivationOp : Transformer_Op<"activation", [Pure, SameOperandsAndResultType]> {
  let summary = "an elementwise nonlinearity";
  let description = [{
    ```mlir
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %0 = transformer.activation gelu %x : tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_ActivationKindAttr:$kind, Transformer_Activations:$input);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$kind $input attr-dict `:` type($result)";
}

def Transformer_GatedProductOp : Transformer_Op<"gated_product", [Pure, SameOperandsAndResultType]> {
  let summary = "activation(gate) · up";
  let description = [{
    Shazeer, arXiv:2002.05202.

    ```mlir
    func.func @f(%gate: tensor<?x64xf32>, %up: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %0 = transformer.gated_product silu %gate, %up : tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_ActivationKindAttr:$kind, Transformer_Activations:$gate,
                       Transformer_Activations:$up);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$kind $gate `,` $up attr-dict `:` type($result)";
}

def Transformer_InterleavedGatedProductOp : Transformer_Op<"interleaved_gated_product", [Pure]> {
  let summary = "activation(gate) · up, where gate and up alternate in blocks of channels";
  let description = [{
    The input's channels are `block` of gate, `block` of up, and so on, as `transformer.concat … interleave` arranges
    the rows of the weights.

    ```mlir
    func.func @f(%x: tensor<?x128xf32>) -> tensor<?x64xf32> {
      %0 = transformer.interleaved_gated_product silu %x block 16 : tensor<?x128xf32> -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_ActivationKindAttr:$kind, Transformer_Activations:$input, I64Attr:$block);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$kind $input `block` $block attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Transformer_ResidualOp : Transformer_Op<"residual", [Pure, SameOperandsAndResultType]> {
  let summary = "x + update";
  let description = [{
    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %update: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %0 = transformer.residual %x, %update : tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, Transformer_Activations:$update);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$input `,` $update attr-dict `:` type($result)";
}

def Transformer_SelectRowsOp : Transformer_Op<"select_rows", [Pure]> {
  let summary = "the rows of a batch whose logits are wanted";
  let description = [{
    ```mlir
    func.func @f(%x: tensor<?x576xf32>, %rows: tensor<?xi32>) -> tensor<?x576xf32> {
      %0 = transformer.select_rows %x, %rows : tensor<?x576xf32>, tensor<?xi32> -> tensor<?x576xf32>
      return %0 : tensor<?x576xf32>
    }
    ```
  }];
  let arguments = (ins Transformer_Activations:$input, Transformer_Indices:$rows);
  let results = (outs Transformer_Activations:$result);
  let assemblyFormat = "$input `,` $rows attr-dict `:` type($input) `,` type($rows) `->` type($result)";
  let hasVerifier = 1;
}

#endif // QOPT_DIALECTS_TRANSFORMER_OPS_TD
