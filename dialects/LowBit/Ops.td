#ifndef QOPT_DIALECTS_LOWBIT_OPS_TD
#define QOPT_DIALECTS_LOWBIT_OPS_TD

include "dialects/Kernel/Interfaces.td"
include "dialects/LowBit/Attributes.td"
include "dialects/Shapes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class LowBit_Op<string mnemonic, list<Trait> traits = []> : Op<LowBit_Dialect, mnemonic, traits>;

// [tokens, channels]
def LowBit_Activations : Qopt_KnownAxis<2DTensorOf<[F32]>, 1, // activations_type_c1
    "f32 tensor of tokens and a known number of channels">;
def LowBit_Tokens : 1DTensorOf<[I32]>; // tokens_type_c1
// [outputs, inputs], [outputs, groups]
def LowBit_Weight : Qopt_KnownMatrix<2DTensorOf<[F32]>, "f32 matrix of known shape">; // weight_type_c1
def LowBit_Codes : Qopt_KnownMatrix<2DTensorOf<[I<2>, I<3>, I<4>, I<5>, I<6>, I<7>, I8]>, // codes_c1
    "matrix of codes of 2 to 8 bits, of known shape">;
def LowBit_Scales : Qopt_KnownMatrix<2DTensorOf<[F16, BF16, F32]>, "float matrix of known shape">; // scales_c1
def LowBit_ZeroPoints : Qopt_KnownMatrix<2DTensorOf<[I8]>, "i8 matrix of known shape">; // zero_points_c1
def LowBit_Bias : Qopt_KnownAxis<1DTensorOf<[F32, F16, BF16]>, 0, "float vector of known length">; // bias_c1
def LowBit_ActivationScale : Type<And<[1DTensorOf<[F32]>.predicate, Qopt_AxisIs<0, 1>]>, // activation_scale_type_c1
    "f32 tensor of one element", "::mlir::RankedTensorType">;
// [tokens, inputs], [tokens, groups]
def LowBit_Payload : Qopt_KnownAxis<2DTensorOf<[I8, BF16, F32]>, 1, // payload_c1
    "i8, bf16 or f32 tensor of tokens and a known number of channels">;
def LowBit_TokenScales : Qopt_KnownAxis<2DTensorOf<[F32]>, 1, // token_scales_c1
    "f32 tensor of tokens and a known number of groups">;
def LowBit_Sums : Qopt_KnownAxis<2DTensorOf<[I32, F32]>, 1, // sums_c1
    "i32 or f32 tensor of tokens and a known number of groups">;
// [tiles, bytes]
def LowBit_Packed : Qopt_KnownMatrix<2DTensorOf<[I8]>, "i8 matrix of known shape">; // packed_type_c1

//===----------------------------------------------------------------------===//
// Calibration
//===----------------------------------------------------------------------===//

def LowBit_ObserveOp : LowBit_Op<"observe", [MemoryEffects<[MemWrite]>]> {
  let summary = "a place where calibration looks at activations";
  let description = [{
    x: [tokens, channels]. What `qopt calibrate` gathers at a site: tokens, and per channel the greatest magnitude, the mean
    and the mean magnitude; with `gram` Σ x·xᵀ, with `histogram` how often which magnitude occurs. The op computes nothing
    in a compiled model, and one that is left over is an error there.

    ```mlir
    func.func @f(%x: tensor<?x64xf32>) {
      lowbit.observe %x "model.layers.0.mlp.down_proj.weight" gram : tensor<?x64xf32>
      return
    }
    ```
  }];
  let arguments = (ins LowBit_Activations:$input, StrAttr:$site, UnitAttr:$gram, UnitAttr:$histogram);
  let assemblyFormat = "$input $site (`gram` $gram^)? (`histogram` $histogram^)? attr-dict `:` type($input)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Scale pairs
//===----------------------------------------------------------------------===//

// [tokens, channels], [outputs, inputs] or [channels]
def LowBit_Scalable : AnyTypeOf<[ // scalable_c1
    LowBit_Activations, Qopt_KnownMatrix<2DTensorOf<[F32, F16, BF16]>, "float matrix of known shape">,
    Qopt_KnownAxis<1DTensorOf<[F32, F16, BF16]>, 0, "float vector of known length">],
    "activations, a float matrix or a float vector", "::mlir::RankedTensorType">;
def LowBit_Factor : Qopt_KnownAxis<1DTensorOf<[F32]>, 0, "f32 vector of known length">; // factor_c1

def LowBit_ScaleOp : LowBit_Op<"scale", [Pure]> {
  let summary = "each channel times its factor, or divided by it";
  let description = [{
    result[…, c, …] = input[…, c, …] · factor[c] (`inverse`: / factor[c]) in f32, c along `axis`. Scales come in pairs whose
    product is the identity: one divides the channels of activations, the other multiplies the inputs of each weight that
    reads them. `--fold-scales` takes the first into whatever makes the activations; a scale of activations that is left
    over is an error in a compiled model. A scale that is `alone` is none of a pair, but part of what a parameter is: for
    initializers.

    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %s: tensor<64xf32>) -> tensor<?x32xf32> {
      %0 = lowbit.scale %x by %s axis 1 inverse : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
      %1 = lowbit.scale %w by %s axis 1 : tensor<32x64xf32>, tensor<64xf32> -> tensor<32x64xf32>
      %2 = transformer.linear %0, %1 : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
      return %2 : tensor<?x32xf32>
    }
    ```
  }];
  let arguments = (ins LowBit_Scalable:$input, LowBit_Factor:$factor, I64Attr:$axis, UnitAttr:$inverse,
                       UnitAttr:$alone);
  let results = (outs LowBit_Scalable:$result);
  let assemblyFormat = [{
    $input `by` $factor `axis` $axis (`inverse` $inverse^)? (`alone` $alone^)? attr-dict `:` type($input) `,`
    type($factor) `->` type($result)
  }];
  let hasVerifier = 1;
}

def LowBit_RepeatHeadsOp : LowBit_Op<"repeat_heads", [Pure]> {
  let summary = "a vector over key and value heads as one over the query heads that share them";
  let description = [{
    input: [heads · dim]; result: [heads · times · dim], each head's `dim` elements `times` times in a row. It says of a
    scale of attention's result that query heads of one group are scaled alike, so that the value head can take it in.

    ```mlir
    func.func @f(%s: tensor<192xf32>) -> tensor<576xf32> {
      %0 = lowbit.repeat_heads %s times 3 dim 64 : tensor<192xf32> -> tensor<576xf32>
      return %0 : tensor<576xf32>
    }
    ```
  }];
  let arguments = (ins LowBit_Factor:$input, I64Attr:$times, I64Attr:$dim);
  let results = (outs LowBit_Factor:$result);
  let assemblyFormat = "$input `times` $times `dim` $dim attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def LowBit_OrthogonalOp : LowBit_Op<"orthogonal", [Pure]> {
  let summary = "vectors along an axis times a seeded orthogonal matrix";
  let description = [{
    Each run of `size` elements along `axis`, v, becomes v·Q in f32, Q : [size, size] of lib/Algorithms/Rotation.h. For
    initializers: with axis 1 a weight reads inputs that were rotated so, with axis 0 its outputs, or a bias, are.

    ```mlir
    transformer.parameter @stored : tensor<32x64xf32>
    transformer.parameter @rotated : tensor<32x64xf32> {
      %0 = transformer.get @stored : tensor<32x64xf32>
      %1 = lowbit.orthogonal hadamard %0 axis 1 size 64 seed 7 : tensor<32x64xf32> -> tensor<32x64xf32>
      transformer.yield %1 : tensor<32x64xf32>
    }
    ```
  }];
  let arguments = (ins Qopt_StaticTensor:$input, I64Attr:$axis, LowBit_RotationKindAttr:$kind, I64Attr:$size,
                       I64Attr:$seed);
  let results = (outs Qopt_StaticTensor:$result);
  let assemblyFormat = [{
    $kind $input `axis` $axis `size` $size `seed` $seed attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def LowBit_FillOp : LowBit_Op<"fill", [Pure]> {
  let summary = "a tensor of one number";
  let description = [{
    ```mlir
    transformer.parameter @ones : tensor<64xf32> {
      %0 = lowbit.fill 1.0 : tensor<64xf32>
      transformer.yield %0 : tensor<64xf32>
    }
    ```
  }];
  let arguments = (ins F64Attr:$value);
  let results = (outs Qopt_StaticTensor:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def LowBit_ActivationScaleOp : LowBit_Op<"activation_scale", [Pure]> {
  let summary = "the static scale of a linear's input";
  let description = [{
    For the initializer of the parameter that linears with fixed activations take their scale from, so that the number is
    in the IR: it is finite, and at least 2^−126, below which its inverse may overflow.

    ```mlir
    transformer.parameter @down.input_scale : tensor<1xf32> {
      %0 = lowbit.activation_scale 2.5e-2 : tensor<1xf32>
      transformer.yield %0 : tensor<1xf32>
    }
    ```
  }];
  let arguments = (ins F32Attr:$value);
  let results = (outs LowBit_ActivationScale:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

def LowBit_QuantizeOp : LowBit_Op<"quantize", [Pure]> {
  let summary = "round a weight to the nearest codes of a scheme";
  let description = [{
    weight: [outputs, inputs]; codes: [outputs, inputs]; scales and zero_points: [outputs, groups]. The formulas are in
    lib/Numerics/RoundToNearest.h.

    ```mlir
    func.func @f(%w: tensor<8x64xf32>) -> tensor<8x64xi4> {
      %codes, %scales = lowbit.quantize %w <bits = 4, symmetric = true, group = 32, scale = f16>
          : tensor<8x64xf32> -> tensor<8x64xi4>, tensor<8x2xf16>
      return %codes : tensor<8x64xi4>
    }
    ```
  }];
  let arguments = (ins LowBit_Weight:$weight, LowBit_WeightsAttr:$scheme);
  let results = (outs LowBit_Codes:$codes, LowBit_Scales:$scales, Optional<LowBit_ZeroPoints>:$zero_points);
  let assemblyFormat = [{
    $weight $scheme attr-dict `:` type($weight) `->` type($codes) `,` type($scales) (`,` type($zero_points)^)?
  }];
  let hasVerifier = 1;
}

def LowBit_DequantizeOp : LowBit_Op<"dequantize", [Pure]> {
  let summary = "the values that codes, scales and zero points stand for";
  let description = [{
    scale · (code − zero), in f32.

    ```mlir
    func.func @f(%codes: tensor<8x64xi4>, %scales: tensor<8x2xf16>) -> tensor<8x64xf32> {
      %0 = lowbit.dequantize %codes, %scales <bits = 4, symmetric = true, group = 32, scale = f16>
          : (tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<8x64xf32>
      return %0 : tensor<8x64xf32>
    }
    ```
  }];
  let arguments = (ins LowBit_Codes:$codes, LowBit_Scales:$scales, Optional<LowBit_ZeroPoints>:$zero_points,
                       LowBit_WeightsAttr:$scheme);
  let results = (outs LowBit_Weight:$weight);
  let assemblyFormat = [{
    $codes `,` $scales (`zeros` $zero_points^)? $scheme attr-dict `:` functional-type(operands, $weight)
  }];
  let hasVerifier = 1;
}

def LowBit_PackOp : LowBit_Op<"pack", [Pure, AttrSizedOperandSegments]> {
  let summary = "lay a weight out as a kernel reads it";
  let description = [{
    weight: codes, or an unquantized matrix [outputs, inputs] (rounded to the layout's type). result: [tiles, bytes of a tile] of the layout.

    ```mlir
    func.func @f(%codes: tensor<32x64xi4>, %scales: tensor<32x1xf16>) -> tensor<2x544xi8> {
      %0 = lowbit.pack %codes scales %scales layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
          : (tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<2x544xi8>
      return %0 : tensor<2x544xi8>
    }
    ```
  }];
  let arguments = (ins Qopt_StaticTensor:$weight, Optional<LowBit_Scales>:$scales,
                       Optional<LowBit_ZeroPoints>:$zero_points, Kernel_LayoutAttrInterface:$layout);
  let results = (outs LowBit_Packed:$packed);
  let assemblyFormat = [{
    $weight (`scales` $scales^)? (`zeros` $zero_points^)? `layout` `(` $layout `)` attr-dict `:` functional-type(operands, $packed)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// The quantized graph
//===----------------------------------------------------------------------===//

def LowBit_LinearOp : LowBit_Op<"linear", [Pure, AttrSizedOperandSegments]> {
  let summary = "x · dequantize(codes, scales, zeros)ᵀ + bias, with x as the scheme sees it";
  let description = [{
    input: [tokens, inputs]. i8 activations: products of codes are summed exactly within a group (or, where an i32 does not hold as
    many, within parts of it), then multiplied by both
    scales in f32. bf16: input rounded to bf16, products with (code − zero) summed in f32 within a group, then the scale.
    Fixed activations take their scale from `static`, which other activations do not have.

    ```mlir
    func.func @f(%x: tensor<?x64xf32>, %codes: tensor<32x64xi4>, %scales: tensor<32x1xf16>) -> tensor<?x32xf32> {
      %0 = lowbit.linear %x, %codes, %scales
          <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
          : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x32xf32>
      return %0 : tensor<?x32xf32>
    }
    ```
  }];
  let arguments = (ins LowBit_Activations:$input, LowBit_Codes:$codes, LowBit_Scales:$scales,
                       Optional<LowBit_ZeroPoints>:$zero_points, Optional<LowBit_Bias>:$bias,
                       Optional<LowBit_ActivationScale>:$static_scale, LowBit_SchemeAttr:$scheme);
  let results = (outs LowBit_Activations:$result);
  let assemblyFormat = [{
    $input `,` $codes `,` $scales (`zeros` $zero_points^)? (`bias` $bias^)? (`static` $static_scale^)? $scheme
    attr-dict `:`
    functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

def LowBit_EmbeddingOp : LowBit_Op<"embedding", [Pure]> {
  let summary = "dequantized rows of a table, one for each token";
  let description = [{
    ```mlir
    func.func @f(%t: tensor<?xi32>, %codes: tensor<32x64xi8>, %scales: tensor<32x2xf16>) -> tensor<?x64xf32> {
      %0 = lowbit.embedding %t, %codes, %scales <bits = 8, symmetric = true, group = 32, scale = f16>
          : (tensor<?xi32>, tensor<32x64xi8>, tensor<32x2xf16>) -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins LowBit_Tokens:$tokens, LowBit_Codes:$codes, LowBit_Scales:$scales,
                       Optional<LowBit_ZeroPoints>:$zero_points, LowBit_WeightsAttr:$scheme);
  let results = (outs LowBit_Activations:$result);
  let assemblyFormat = [{
    $tokens `,` $codes `,` $scales (`zeros` $zero_points^)? $scheme attr-dict `:` functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// With layouts: what kernels are made of
//===----------------------------------------------------------------------===//

def LowBit_EncodeOp : LowBit_Op<"encode", [Pure, AttrSizedResultSegments]> {
  let summary = "activations as a matmul reads them: codes, scales, and sums over groups";
  let description = [{
    i8: payload [tokens, inputs] codes, scales [tokens, 1 or inputs/group], and, where `sums` is not 0, the sums of the
    codes of each `sums` inputs [tokens, inputs/sums] in i32. bf16: payload rounded to nearest even, sums of the rounded
    values in f32. There is no encoding of f32: a matmul reads them as they are. A matmul multiplies sums by zero points,
    so that it can work on unsigned codes. Fixed activations take their scale from `static`, and it is the scale of every
    token. lib/Numerics/Activations.h has the formulas.

    ```mlir
    func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xi8> {
      %0, %1, %2 = lowbit.encode %x <kind = i8> sums 32
          : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x1xf32> sums tensor<?x2xi32>
      return %0 : tensor<?x64xi8>
    }
    ```
  }];
  let arguments = (ins LowBit_Activations:$input, Optional<LowBit_ActivationScale>:$static_scale,
                       LowBit_ActivationsAttr:$activations,
                       DefaultValuedAttr<I64Attr, "0">:$sums_group);
  let results = (outs LowBit_Payload:$payload, Optional<LowBit_TokenScales>:$scales, Optional<LowBit_Sums>:$sums);
  let assemblyFormat = [{
    $input (`static` $static_scale^)? $activations (`sums` $sums_group^)? attr-dict `:`
    type($input) (`,` type($static_scale)^)? `->` type($payload)
    (`scales` type($scales)^)? (`sums` type($sums)^)?
  }];
  let hasVerifier = 1;
}

def LowBit_MatmulOp : LowBit_Op<"matmul", [Pure, AttrSizedOperandSegments]> {
  let summary = "encoded activations times a packed weight";
  let description = [{
    payload: [tokens, inputs]; weight: [tiles, bytes] of the layout; result: [tokens, outputs]. scales: [tokens, 1 or
    inputs/group], sums: [tokens, inputs/stretch], as `lowbit.encode` gives them. Products are summed over a stretch of
    inputs, then scaled in f32. A stretch lies within one group of the weight and one of the scales; without sums it is
    the finer of the two groups.

    ```mlir
    func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>, %z: tensor<?x1xi32>, %w: tensor<2x544xi8>)
        -> tensor<?x32xf32> {
      %0 = lowbit.matmul %x scales %s sums %z, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
          : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<2x544xi8>) -> tensor<?x32xf32>
      return %0 : tensor<?x32xf32>
    }
    ```
  }];
  let arguments = (ins LowBit_Payload:$payload, Optional<LowBit_TokenScales>:$scales, Optional<LowBit_Sums>:$sums,
                       LowBit_Packed:$weight, Optional<LowBit_Bias>:$bias, Kernel_LayoutAttrInterface:$layout);
  let results = (outs LowBit_Activations:$result);
  let assemblyFormat = [{
    $payload (`scales` $scales^)? (`sums` $sums^)? `,` $weight (`bias` $bias^)? `layout` `(` $layout `)` attr-dict `:`
    functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

def LowBit_GatherOp : LowBit_Op<"gather", [Pure]> {
  let summary = "rows of a packed table, one for each token";
  let description = [{
    So that a tied embedding is stored once, in the layout that the output head reads.

    ```mlir
    func.func @f(%t: tensor<?xi32>, %table: tensor<2x544xi8>) -> tensor<?x64xf32> {
      %0 = lowbit.gather %t, %table rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
          : (tensor<?xi32>, tensor<2x544xi8>) -> tensor<?x64xf32>
      return %0 : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins LowBit_Tokens:$tokens, LowBit_Packed:$table, I64Attr:$rows,
                       Kernel_LayoutAttrInterface:$layout);
  let results = (outs LowBit_Activations:$result);
  let assemblyFormat = [{
    $tokens `,` $table `rows` $rows `layout` `(` $layout `)` attr-dict `:` functional-type(operands, $result)
  }];
  let hasVerifier = 1;
}

#endif // QOPT_DIALECTS_LOWBIT_OPS_TD
