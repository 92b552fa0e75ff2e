// One refusal for each labelled constraint of the dialect; `tools/dev/check_labels.py` keeps the two lists equal.
// RUN: qopt %s --split-input-file --verify-diagnostics

// activations_type_c1
func.func @f(%x: tensor<?x?xf32>) {
  // expected-error@+1 {{operand #0 must be f32 tensor of tokens and a known number of channels}}
  %0 = lowbit.encode %x <kind = bf16> : tensor<?x?xf32> -> tensor<?x64xbf16>
  return
}

// -----

// tokens_type_c1
func.func @f(%t: tensor<?xi64>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{operand #0 must be 1D tensor of 32-bit signless integer values}}
  %0 = lowbit.embedding %t, %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<?xi64>, tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<?x64xf32>
  return
}

// -----

// weight_type_c1
func.func @f(%w: tensor<?x64xf32>) {
  // expected-error@+1 {{operand #0 must be f32 matrix of known shape, but got 'tensor<?x64xf32>'}}
  %0, %1 = lowbit.quantize %w <bits = 4, symmetric = true, group = 32, scale = f16>
      : tensor<?x64xf32> -> tensor<8x64xi4>, tensor<8x2xf16>
  return
}

// -----

// codes_c1
func.func @f(%c: tensor<8x?xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{operand #0 must be matrix of codes of 2 to 8 bits, of known shape, but got 'tensor<8x?xi4>'}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x?xi4>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

// codes_c1
func.func @f(%c: tensor<8x64xi16>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{operand #0 must be matrix of codes of 2 to 8 bits, of known shape, but got 'tensor<8x64xi16>'}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi16>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

// scales_c1
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x2xi8>) {
  // expected-error@+1 {{operand #1 must be float matrix of known shape, but got 'tensor<8x2xi8>'}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xi8>) -> tensor<8x64xf32>
  return
}

// -----

// zero_points_c1
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x2xf16>, %z: tensor<8x2xi4>) {
  // expected-error@+1 {{operand #2 must be i8 matrix of known shape, but got 'tensor<8x2xi4>'}}
  %0 = lowbit.dequantize %c, %s zeros %z <bits = 4, symmetric = false, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf16>, tensor<8x2xi4>) -> tensor<8x64xf32>
  return
}

// -----

// bias_c1
func.func @f(%x: tensor<?x64xf32>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>, %b: tensor<?xf32>) {
  // expected-error@+1 {{operand #3 must be float vector of known length, but got 'tensor<?xf32>'}}
  %0 = lowbit.linear %x, %c, %s bias %b 
      <weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<8x64xi4>, tensor<8x2xf16>, tensor<?xf32>) -> tensor<?x8xf32>
  return
}

// -----

// payload_c1
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{result #0 must be i8, bf16 or f32 tensor of tokens and a known number of channels}}
  %0 = lowbit.encode %x <kind = bf16> : tensor<?x64xf32> -> tensor<?x64xf16>
  return
}

// -----

// token_scales_c1
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{result #1 must be f32 tensor of tokens and a known number of groups}}
  %0, %1 = lowbit.encode %x <kind = i8> : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x?xf32>
  return
}

// -----

// sums_c1
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{result #1 must be i32 or f32 tensor of tokens and a known number of groups}}
  %0, %1 = lowbit.encode %x <kind = bf16> sums 32 : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x2xi64>
  return
}

// -----

// packed_type_c1
func.func @f(%t: tensor<?xi32>, %w: tensor<?x544xi8>) {
  // expected-error@+1 {{operand #1 must be i8 matrix of known shape}}
  %0 = lowbit.gather %t, %w rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?xi32>, tensor<?x544xi8>) -> tensor<?x64xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x64xf32>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x8xf32>'}}
  %0 = lowbit.linear %x, %c, %s 
      <weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<3x64xf32>, tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<2x8xf32>
  return
}

// -----

// tokens_c1
func.func @f(%t: tensor<3xi32>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x64xf32>'}}
  %0 = lowbit.embedding %t, %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<3xi32>, tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<2x64xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x64xf32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x1xf32>'}}
  %0, %1 = lowbit.encode %x <kind = i8> : tensor<3x64xf32> -> tensor<?x64xi8> scales tensor<2x1xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x64xi8>, %s: tensor<?x1xf32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<4x32xf32>'}}
  %0 = lowbit.matmul %x scales %s, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<3x64xi8>, tensor<?x1xf32>, tensor<2x544xi8>) -> tensor<4x32xf32>
  return
}

// -----

// tokens_c1
func.func @f(%t: tensor<3xi32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x64xf32>'}}
  %0 = lowbit.gather %t, %w rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<3xi32>, tensor<2x544xi8>) -> tensor<2x64xf32>
  return
}

// -----

// weight_c1
func.func @f(%c: tensor<8x64xi8>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected codes of 4 bits, but got 'tensor<8x64xi8>'}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi8>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

// weight_c2
func.func @f(%c: tensor<8x48xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected a group that divides 48 inputs, but got 32}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x48xi4>, tensor<8x2xf16>) -> tensor<8x48xf32>
  return
}

// -----

// weight_c3
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x2xf32>) {
  // expected-error@+1 {{expected scales of 'f16', but got 'tensor<8x2xf32>'}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf32>) -> tensor<8x64xf32>
  return
}

// -----

// weight_c4
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x1xf16>) {
  // expected-error@+1 {{expected 8x2 scales, but got 'tensor<8x1xf16>'}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x1xf16>) -> tensor<8x64xf32>
  return
}

// -----

// weight_c5
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected zero points, but got none}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = false, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

// weight_c5
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x2xf16>, %z: tensor<8x2xi8>) {
  // expected-error@+1 {{expected no zero points, but got some}}
  %0 = lowbit.dequantize %c, %s zeros %z <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf16>, tensor<8x2xi8>) -> tensor<8x64xf32>
  return
}

// -----

// weight_c6
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x2xf16>, %z: tensor<8x1xi8>) {
  // expected-error@+1 {{expected 8x2 zero points, but got 'tensor<8x1xi8>'}}
  %0 = lowbit.dequantize %c, %s zeros %z <bits = 4, symmetric = false, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf16>, tensor<8x1xi8>) -> tensor<8x64xf32>
  return
}

// -----

// quantize_c1
func.func @f(%w: tensor<8x32xf32>) {
  // expected-error@+1 {{expected codes of the weight's shape, but got 'tensor<8x64xi4>'}}
  %0, %1 = lowbit.quantize %w <bits = 4, symmetric = true, group = 32, scale = f16>
      : tensor<8x32xf32> -> tensor<8x64xi4>, tensor<8x2xf16>
  return
}

// -----

// dequantize_c1
func.func @f(%c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected a result of the codes' shape, but got 'tensor<8x32xf32>'}}
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<8x32xf32>
  return
}

// -----

// linear_c1
func.func @f(%x: tensor<?x32xf32>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected the codes' inputs to be 32, but got 64}}
  %0 = lowbit.linear %x, %c, %s 
      <weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x32xf32>, tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<?x8xf32>
  return
}

// -----

// linear_c2
func.func @f(%x: tensor<?x64xf32>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected the result's channels to be 8, but got 64}}
  %0 = lowbit.linear %x, %c, %s 
      <weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<?x64xf32>
  return
}

// -----

// linear_c3
func.func @f(%x: tensor<?x64xf32>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>, %b: tensor<64xf32>) {
  // expected-error@+1 {{expected the bias's length to be 8, but got 64}}
  %0 = lowbit.linear %x, %c, %s bias %b 
      <weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<8x64xi4>, tensor<8x2xf16>, tensor<64xf32>) -> tensor<?x8xf32>
  return
}

// -----

// linear_c4
func.func @f(%x: tensor<?x64xf32>, %c: tensor<8x64xi4>, %s: tensor<8x1xf16>) {
  // expected-error@+1 {{expected a group of activations that divides 64 inputs, but got 48}}
  %0 = lowbit.linear %x, %c, %s 
      <weights = <bits = 4, symmetric = true, group = 0, scale = f16>, activations = <kind = i8, group = 48>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<8x64xi4>, tensor<8x1xf16>) -> tensor<?x8xf32>
  return
}

// -----

// embedding_c1
func.func @f(%t: tensor<?xi32>, %c: tensor<8x64xi4>, %s: tensor<8x2xf16>) {
  // expected-error@+1 {{expected the result's channels to be 64, but got 32}}
  %0 = lowbit.embedding %t, %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<?xi32>, tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<?x32xf32>
  return
}

// -----

// packed_c1
func.func @f(%t: tensor<?xi32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected a group that divides 96 inputs, but got 64}}
  %0 = lowbit.gather %t, %w rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?xi32>, tensor<2x544xi8>) -> tensor<?x96xf32>
  return
}

// -----

// packed_c1
func.func @f(%t: tensor<?xi32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected a matrix, but got -1x64}}
  %0 = lowbit.gather %t, %w rows -1 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?xi32>, tensor<2x544xi8>) -> tensor<?x64xf32>
  return
}

// -----

// packed_c1: a size that overflows
func.func @f(%t: tensor<?xi32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected at most 72057594037927936 elements, but got 9223372036854775807x64}}
  %0 = lowbit.gather %t, %w rows 9223372036854775807 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?xi32>, tensor<2x544xi8>) -> tensor<?x64xf32>
  return
}

// -----

// packed_c2
func.func @f(%t: tensor<?xi32>, %w: tensor<2x543xi8>) {
  // expected-error@+1 {{expected a packed weight of 2x544 bytes, but got 'tensor<2x543xi8>'}}
  %0 = lowbit.gather %t, %w rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?xi32>, tensor<2x543xi8>) -> tensor<?x64xf32>
  return
}

// -----

// packed_c2
func.func @f(%t: tensor<?xi32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected a packed weight of 3x544 bytes, but got 'tensor<2x544xi8>'}}
  %0 = lowbit.gather %t, %w rows 33 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?xi32>, tensor<2x544xi8>) -> tensor<?x64xf32>
  return
}

// -----

// static_tensor_c1
func.func @f(%w: tensor<?x64xf32>) {
  // expected-error@+1 {{operand #0 must be tensor of static shape, of at least one axis and one element}}
  %0 = lowbit.pack %w layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<?x64xf32>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c1
func.func @f(%w: tensor<64xf32>) {
  // expected-error@+1 {{expected a matrix, but got 'tensor<64xf32>'}}
  %0 = lowbit.pack %w layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<64xf32>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c2
func.func @f(%w: tensor<32x64xi8>, %s: tensor<32x1xf16>) {
  // expected-error@+1 {{expected codes of 4 bits, but got 'tensor<32x64xi8>'}}
  %0 = lowbit.pack %w scales %s layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<32x64xi8>, tensor<32x1xf16>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c2
func.func @f(%w: tensor<32x64xi32>) {
  // expected-error@+1 {{expected floats of 32 bits, but got 'tensor<32x64xi32>'}}
  %0 = lowbit.pack %w layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<32x64xi32>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c3
func.func @f(%w: tensor<32x64xf16>) {
  // expected-error@+1 {{expected floats of at least 32 bits, but got 'tensor<32x64xf16>'}}
  %0 = lowbit.pack %w layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<32x64xf16>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c4
func.func @f(%w: tensor<32x64xi4>) {
  // expected-error@+1 {{expected the layout's scales, and no scales where it has none}}
  %0 = lowbit.pack %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<32x64xi4>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c4
func.func @f(%w: tensor<32x64xi4>, %s: tensor<32x1xf32>) {
  // expected-error@+1 {{expected the layout's scales, and no scales where it has none}}
  %0 = lowbit.pack %w scales %s layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<32x64xi4>, tensor<32x1xf32>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c4
func.func @f(%w: tensor<32x64xf32>, %s: tensor<32x1xf16>) {
  // expected-error@+1 {{expected the layout's scales, and no scales where it has none}}
  %0 = lowbit.pack %w scales %s layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<32x64xf32>, tensor<32x1xf16>) -> tensor<2x4096xi8>
  return
}

// -----

// pack_c5
func.func @f(%w: tensor<32x64xi4>, %s: tensor<32x1xf16>) {
  // expected-error@+1 {{expected zero points where the layout has them, and nowhere else}}
  %0 = lowbit.pack %w scales %s layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16, zeroPoints = true>)
      : (tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<2x552xi8>
  return
}

// -----

// pack_c6
func.func @f(%w: tensor<32x64xi4>, %s: tensor<32x2xf16>) {
  // expected-error@+1 {{expected 32x1 scales and zero points, but got 'tensor<32x2xf16>'}}
  %0 = lowbit.pack %w scales %s layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<32x64xi4>, tensor<32x2xf16>) -> tensor<2x544xi8>
  return
}

// -----

// pack_c6
func.func @f(%w: tensor<32x64xi4>, %s: tensor<32x1xf16>, %z: tensor<31x1xi8>) {
  // expected-error@+1 {{expected 32x1 scales and zero points, but got 'tensor<31x1xi8>'}}
  %0 = lowbit.pack %w scales %s zeros %z layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16, zeroPoints = true>)
      : (tensor<32x64xi4>, tensor<32x1xf16>, tensor<31x1xi8>) -> tensor<2x552xi8>
  return
}

// -----

// encode_c1
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected the payload's channels to be 64, but got 32}}
  %0 = lowbit.encode %x <kind = bf16> : tensor<?x64xf32> -> tensor<?x32xbf16>
  return
}

// -----

// encode_c2
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected a payload of bf16, but got 'f32'}}
  %0 = lowbit.encode %x <kind = bf16> : tensor<?x64xf32> -> tensor<?x64xf32>
  return
}

// -----

// encode_c3
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected scales for i8 activations, and for no others}}
  %0 = lowbit.encode %x <kind = i8> : tensor<?x64xf32> -> tensor<?x64xi8>
  return
}

// -----

// encode_c3
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected scales for i8 activations, and for no others}}
  %0, %1 = lowbit.encode %x <kind = bf16> : tensor<?x64xf32> -> tensor<?x64xbf16> scales tensor<?x1xf32>
  return
}

// -----

// encode_c10
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected activations of i8 or bf16: a matmul reads f32 as they are}}
  %0 = lowbit.encode %x <kind = f32> : tensor<?x64xf32> -> tensor<?x64xf32>
  return
}

// -----

// encode_c4
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected a group that divides 64 inputs, but got 48}}
  %0, %1 = lowbit.encode %x <kind = i8, group = 48> : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x1xf32>
  return
}

// -----

// encode_c5
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected the number of scales to be 2, but got 1}}
  %0, %1 = lowbit.encode %x <kind = i8, group = 32> : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x1xf32>
  return
}

// -----

// encode_c6
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected sums where a group for them is given, and nowhere else}}
  %0, %1 = lowbit.encode %x <kind = bf16> : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x2xf32>
  return
}

// -----

// encode_c7
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected a group of sums that divides 64 inputs, but got 48}}
  %0, %1 = lowbit.encode %x <kind = bf16> sums 48 : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x2xf32>
  return
}

// -----

// encode_c7
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected a group of sums that divides 64 inputs, but got -32}}
  %0, %1 = lowbit.encode %x <kind = bf16> sums -32 : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x2xf32>
  return
}

// -----

// encode_c8
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected the number of sums to be 2, but got 1}}
  %0, %1 = lowbit.encode %x <kind = bf16> sums 32 : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x1xf32>
  return
}

// -----

// encode_c9
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected sums of f32, but got 'tensor<?x2xi32>'}}
  %0, %1 = lowbit.encode %x <kind = bf16> sums 32 : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x2xi32>
  return
}

// -----

// matmul_c1
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>, %w: tensor<2x544xi8>, %b: tensor<16xf32>) {
  // expected-error@+1 {{expected the bias's length to be 32, but got 16}}
  %0 = lowbit.matmul %x scales %s, %w bias %b layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<2x544xi8>, tensor<16xf32>) -> tensor<?x32xf32>
  return
}

// -----

// matmul_c2
func.func @f(%x: tensor<?x64xi8>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected scales for an i8 payload, and for no other}}
  %0 = lowbit.matmul %x, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?x64xi8>, tensor<2x544xi8>) -> tensor<?x32xf32>
  return
}

// -----

// matmul_c2
func.func @f(%x: tensor<?x64xbf16>, %s: tensor<?x1xf32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected scales for an i8 payload, and for no other}}
  %0 = lowbit.matmul %x scales %s, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?x64xbf16>, tensor<?x1xf32>, tensor<2x544xi8>) -> tensor<?x32xf32>
  return
}

// -----

// matmul_c3
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>, %z: tensor<?x1xf32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected sums of i32, but got 'tensor<?x1xf32>'}}
  %0 = lowbit.matmul %x scales %s sums %z, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<2x544xi8>) -> tensor<?x32xf32>
  return
}

// -----

// matmul_c4
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x3xf32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected scales of groups that fit those of the weight, but got 'tensor<?x3xf32>'}}
  %0 = lowbit.matmul %x scales %s, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?x64xi8>, tensor<?x3xf32>, tensor<2x544xi8>) -> tensor<?x32xf32>
  return
}

// -----

// matmul_c5: one sum over two groups of the weight
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>, %z: tensor<?x1xi32>, %w: tensor<2x576xi8>) {
  // expected-error@+1 {{expected sums over as many inputs as divide 32, over which both scales are constant, but got 'tensor<?x1xi32>'}}
  %0 = lowbit.matmul %x scales %s sums %z, %w layout(#kernel.panel<code = u4, dot = 4, group = 32, scale = f16>)
      : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<2x576xi8>) -> tensor<?x32xf32>
  return
}

// -----

// matmul_c5: one sum over two groups of the activations
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x2xf32>, %z: tensor<?x1xi32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected sums over as many inputs as divide 32, over which both scales are constant, but got 'tensor<?x1xi32>'}}
  %0 = lowbit.matmul %x scales %s sums %z, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?x64xi8>, tensor<?x2xf32>, tensor<?x1xi32>, tensor<2x544xi8>) -> tensor<?x32xf32>
  return
}

// -----

// matmul_c5: sums that do not divide the inputs
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>, %z: tensor<?x3xi32>, %w: tensor<2x544xi8>) {
  // expected-error@+1 {{expected sums over as many inputs as divide 64, over which both scales are constant, but got 'tensor<?x3xi32>'}}
  %0 = lowbit.matmul %x scales %s sums %z, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
      : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x3xi32>, tensor<2x544xi8>) -> tensor<?x32xf32>
  return
}

// -----

// weights_c1
// expected-error@+1 {{expected 2 to 8 bits, but got 1}}
#a = #lowbit.weights<bits = 1, symmetric = true, group = 64, scale = f16>

// -----

// weights_c1
// expected-error@+1 {{expected 2 to 8 bits, but got 9}}
#a = #lowbit.weights<bits = 9, symmetric = true, group = 64, scale = f16>

// -----

// weights_c2
// expected-error@+1 {{expected a group of at least 1, or 0 for one group per output, but got -64}}
#a = #lowbit.weights<bits = 4, symmetric = true, group = -64, scale = f16>

// -----

// weights_c3
// expected-error@+1 {{expected scales of f16, bf16 or f32, but got 'f64'}}
#a = #lowbit.weights<bits = 4, symmetric = true, group = 64, scale = f64>

// -----

// weights_c4
// expected-error@+1 {{expected a codebook of 4 values, but got 3}}
#a = #lowbit.weights<bits = 2, symmetric = true, group = 64, scale = f16, codebook = [1.0, 2.0, 3.0]>

// -----

// weights_c5
// expected-error@+1 {{expected no zero points beside a codebook}}
#a = #lowbit.weights<bits = 2, symmetric = false, group = 64, scale = f16, codebook = [1.0, 2.0, 3.0, 4.0]>

// -----

// weights_c6
// expected-error@+1 {{expected a codebook of finite values}}
#a = #lowbit.weights<bits = 2, symmetric = true, group = 64, scale = f16, codebook = [1.0, 2.0, 3.0, 1.0e39]>

// -----

// activations_c1
// expected-error@+1 {{expected a group of at least 1, or 0 for one scale per token, but got -1}}
#a = #lowbit.activations<kind = i8, group = -1>

// -----

// activations_c2
// expected-error@+1 {{expected a group for i8 activations only, but got one for bf16}}
#a = #lowbit.activations<kind = bf16, group = 32>

// -----

// scheme_c1
// expected-error@+1 {{expected accumulation in i32 for i8 activations, but got 'f32'}}
#a = #lowbit.scheme<weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = i8>, accumulation = f32>

// -----

// scheme_c1
// expected-error@+1 {{expected accumulation in f32 for bf16 activations, but got 'i32'}}
#a = #lowbit.scheme<weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = bf16>, accumulation = i32>

// -----

// scheme_c2
// expected-error@+1 {{expected a group of weights and a group of activations of which one divides the other, but got 32 and 48}}
#a = #lowbit.scheme<weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = i8, group = 48>, accumulation = i32>

// -----

// observe_c1
func.func @observe(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected a name for the site, but got none}}
  lowbit.observe %x "" : tensor<?x64xf32>
  return
}

// -----

// scalable_c1
func.func @scale(%x: tensor<2x4x8xf32>, %s: tensor<8xf32>) {
  // expected-error@+1 {{operand #0 must be activations, a float matrix or a float vector, but got 'tensor<2x4x8xf32>'}}
  %0 = lowbit.scale %x by %s axis 2 : tensor<2x4x8xf32>, tensor<8xf32> -> tensor<2x4x8xf32>
  return
}

// -----

// scalable_c1: codes are not scaled
func.func @scale(%c: tensor<4x8xi8>, %s: tensor<8xf32>) {
  // expected-error@+1 {{operand #0 must be activations, a float matrix or a float vector, but got 'tensor<4x8xi8>'}}
  %0 = lowbit.scale %c by %s axis 1 : tensor<4x8xi8>, tensor<8xf32> -> tensor<4x8xf32>
  return
}

// -----

// factor_c1
func.func @scale(%x: tensor<?x8xf32>, %s: tensor<8xf16>) {
  // expected-error@+1 {{operand #1 must be f32 vector of known length, but got 'tensor<8xf16>'}}
  %0 = lowbit.scale %x by %s axis 1 : tensor<?x8xf32>, tensor<8xf16> -> tensor<?x8xf32>
  return
}

// -----

// factor_c1
func.func @repeat_heads(%s: tensor<?xf32>) {
  // expected-error@+1 {{operand #0 must be f32 vector of known length, but got 'tensor<?xf32>'}}
  %0 = lowbit.repeat_heads %s times 2 dim 4 : tensor<?xf32> -> tensor<16xf32>
  return
}

// -----

// scale_c1
func.func @scale(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error@+1 {{expected an axis of 'tensor<?x8xf32>', but got 2}}
  %0 = lowbit.scale %x by %s axis 2 : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  return
}

// -----

// scale_c1
func.func @scale(%b: tensor<8xf32>, %s: tensor<8xf32>) {
  // expected-error@+1 {{expected an axis of 'tensor<8xf32>', but got -1}}
  %0 = lowbit.scale %b by %s axis -1 : tensor<8xf32>, tensor<8xf32> -> tensor<8xf32>
  return
}

// -----

// scale_c2
func.func @scale(%w: tensor<4x8xbf16>, %s: tensor<8xf32>) {
  // expected-error@+1 {{expected an f32 result of the input's shape, but got 'tensor<4x8xbf16>'}}
  %0 = lowbit.scale %w by %s axis 1 : tensor<4x8xbf16>, tensor<8xf32> -> tensor<4x8xbf16>
  return
}

// -----

// scale_c2
func.func @scale(%w: tensor<4x8xf32>, %s: tensor<8xf32>) {
  // expected-error@+1 {{expected an f32 result of the input's shape, but got 'tensor<8x4xf32>'}}
  %0 = lowbit.scale %w by %s axis 1 : tensor<4x8xf32>, tensor<8xf32> -> tensor<8x4xf32>
  return
}

// -----

// scale_c3
func.func @scale(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error@+1 {{expected an axis of channels, but got that of tokens}}
  %0 = lowbit.scale %x by %s axis 0 : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  return
}

// -----

// scale_c4
func.func @scale(%w: tensor<4x8xf32>, %s: tensor<8xf32>) {
  // expected-error@+1 {{expected the factor's length to be 4, but got 8}}
  %0 = lowbit.scale %w by %s axis 0 : tensor<4x8xf32>, tensor<8xf32> -> tensor<4x8xf32>
  return
}

// -----

// repeat_heads_c1
func.func @repeat_heads(%s: tensor<8xf32>) {
  // expected-error@+1 {{expected heads of a size that divides 8, but got 3 (2 times)}}
  %0 = lowbit.repeat_heads %s times 2 dim 3 : tensor<8xf32> -> tensor<16xf32>
  return
}

// -----

// repeat_heads_c1
func.func @repeat_heads(%s: tensor<8xf32>) {
  // expected-error@+1 {{expected heads of a size that divides 8, but got 4 (0 times)}}
  %0 = lowbit.repeat_heads %s times 0 dim 4 : tensor<8xf32> -> tensor<8xf32>
  return
}

// -----

// repeat_heads_c1
func.func @repeat_heads(%s: tensor<8xf32>) {
  // expected-error@+1 {{expected heads of a size that divides 8, but got 0 (1 times)}}
  %0 = lowbit.repeat_heads %s times 1 dim 0 : tensor<8xf32> -> tensor<8xf32>
  return
}

// -----

// repeat_heads_c2
func.func @repeat_heads(%s: tensor<8xf32>) {
  // expected-error@+1 {{expected a result of at most 2^63 elements, but got 2305843009213693952 times}}
  %0 = lowbit.repeat_heads %s times 2305843009213693952 dim 4 : tensor<8xf32> -> tensor<8xf32>
  return
}

// -----

// repeat_heads_c3
func.func @repeat_heads(%s: tensor<8xf32>) {
  // expected-error@+1 {{expected the result's length to be 24, but got 16}}
  %0 = lowbit.repeat_heads %s times 3 dim 4 : tensor<8xf32> -> tensor<16xf32>
  return
}

// -----

// orthogonal_c1
func.func @orthogonal(%w: tensor<8x64xi8>) {
  // expected-error@+1 {{expected a float matrix or vector, but got 'tensor<8x64xi8>'}}
  %0 = lowbit.orthogonal hadamard %w axis 1 size 64 seed 0 : tensor<8x64xi8> -> tensor<8x64xf32>
  return
}

// -----

// orthogonal_c2
func.func @orthogonal(%w: tensor<64xf32>) {
  // expected-error@+1 {{expected an axis of 'tensor<64xf32>', but got 1}}
  %0 = lowbit.orthogonal hadamard %w axis 1 size 64 seed 0 : tensor<64xf32> -> tensor<64xf32>
  return
}

// -----

// orthogonal_c3
func.func @orthogonal(%w: tensor<8x64xf32>) {
  // expected-error@+1 {{expected a size that divides 64, but got 48}}
  %0 = lowbit.orthogonal hadamard %w axis 1 size 48 seed 0 : tensor<8x64xf32> -> tensor<8x64xf32>
  return
}

// -----

// orthogonal_c4
func.func @orthogonal(%w: tensor<8x64xbf16>) {
  // expected-error@+1 {{expected an f32 result of the input's shape, but got 'tensor<8x64xbf16>'}}
  %0 = lowbit.orthogonal orthogonal %w axis 1 size 64 seed 0 : tensor<8x64xbf16> -> tensor<8x64xbf16>
  return
}

// -----

// fill_c1
func.func @fill() {
  // expected-error@+1 {{expected an f32 tensor, but got 'tensor<8xi8>'}}
  %0 = lowbit.fill 1.0 : tensor<8xi8>
  return
}

// -----

// activations_c3
// expected-error@+1 {{expected a fixed scale for i8 activations without groups only}}
#a = #lowbit.activations<kind = i8, group = 32, fixed = true>

// -----

// activations_c3
// expected-error@+1 {{expected a fixed scale for i8 activations without groups only}}
#a = #lowbit.activations<kind = bf16, fixed = true>

// -----

// activation_scale_c1
func.func @scale() {
  // expected-error@+1 {{expected a finite scale of at least 2^-126, but got 0.000000e+00 : f32}}
  %0 = lowbit.activation_scale 0.0 : tensor<1xf32>
  return
}

// -----

// activation_scale_c1
func.func @scale() {
  // expected-error@+1 {{expected a finite scale of at least 2^-126, but got -1.000000e+00 : f32}}
  %0 = lowbit.activation_scale -1.0 : tensor<1xf32>
  return
}

// -----

// activation_scale_c1
func.func @scale() {
  // expected-error@+1 {{expected a finite scale of at least 2^-126, but got 0x7F800000 : f32}}
  %0 = lowbit.activation_scale 0x7F800000 : tensor<1xf32>
  return
}

// -----

// activation_scale_c1
func.func @scale() {
  // expected-error@+1 {{expected a finite scale of at least 2^-126, but got 0x7FC00000 : f32}}
  %0 = lowbit.activation_scale 0x7FC00000 : tensor<1xf32>
  return
}

// -----

// activation_scale_c1
func.func @scale() {
  // expected-error@+1 {{expected a finite scale of at least 2^-126, but got }}
  %0 = lowbit.activation_scale 1.0e-39 : tensor<1xf32>
  return
}

// -----

// activation_scale_type_c1
func.func @scale() {
  // expected-error@+1 {{result #0 must be f32 tensor of one element, but got 'tensor<2xf32>'}}
  %0 = lowbit.activation_scale 1.0 : tensor<2xf32>
  return
}

// -----

// static_scale_c1
func.func @f(%x: tensor<?x64xf32>, %c: tensor<8x64xi4>, %s: tensor<8x1xf16>) {
  // expected-error@+1 {{expected a static scale for fixed activations, and for no others}}
  %0 = lowbit.linear %x, %c, %s
      <weights = <bits = 4, symmetric = true, group = 0, scale = f16>, activations = <kind = i8, fixed = true>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<8x64xi4>, tensor<8x1xf16>) -> tensor<?x8xf32>
  return
}

// -----

// static_scale_c1
func.func @f(%x: tensor<?x64xf32>, %c: tensor<8x64xi4>, %s: tensor<8x1xf16>, %i: tensor<1xf32>) {
  // expected-error@+1 {{expected a static scale for fixed activations, and for no others}}
  %0 = lowbit.linear %x, %c, %s static %i
      <weights = <bits = 4, symmetric = true, group = 0, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<8x64xi4>, tensor<8x1xf16>, tensor<1xf32>) -> tensor<?x8xf32>
  return
}

// -----

// static_scale_c1
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{expected a static scale for fixed activations, and for no others}}
  %0, %1 = lowbit.encode %x <kind = i8, fixed = true> : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x1xf32>
  return
}

// -----

// quantize_attribute_c1
// expected-error@+1 {{has lowbit.quantize, expected it on transformer.linear and transformer.embedding alone}}
func.func @f() attributes {lowbit.quantize = {keep}} {
  return
}

// -----

// quantize_attribute_c2
func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{expected lowbit.quantize to be a dictionary of scheme, method or keep}}
  %0 = transformer.linear %x, %w {lowbit.quantize = "w4a16"} : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

// quantize_attribute_c3
func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{expected lowbit.quantize to have texts for scheme and method, or keep alone, but got bits = 4}}
  %0 = transformer.linear %x, %w {lowbit.quantize = {bits = 4 : i64}} : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

// quantize_attribute_c3
func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error@+1 {{or keep alone, but got keep}}
  %0 = transformer.linear %x, %w {lowbit.quantize = {keep, scheme = "w4a16"}} : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}
