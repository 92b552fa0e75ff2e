// Quantized ops on small integers, where every number is exact.
// RUN: qopt-reference %s | FileCheck %s

// Symmetric: u − 8; asymmetric: u − z; a codebook stands for itself.
// CHECK-LABEL: @dequantize result 0: tensor<2x4xf32>
// CHECK-NEXT: -4 -0.5 0 3.5
// CHECK-NEXT: -16 -2 2 14
// CHECK: @dequantize result 1: tensor<1x4xf32>
// CHECK-NEXT: -3 0 4 24
// CHECK: @dequantize result 2: tensor<1x4xf32>
// CHECK-NEXT: -256 -2 0 254
// CHECK: @dequantize result 3: tensor<1x4xf32>
// CHECK-NEXT: -2 -0.5 0.5 2
func.func @dequantize() -> (tensor<2x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>) {
  %c = arith.constant dense<[[0, 7, 8, 15], [0, 7, 9, 15]]> : tensor<2x4xi4>
  %s = arith.constant dense<[[0.5], [2.0]]> : tensor<2x1xf16>
  %0 = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 0, scale = f16>
      : (tensor<2x4xi4>, tensor<2x1xf16>) -> tensor<2x4xf32>
  %d = arith.constant dense<[[0, 3, 3, 13]]> : tensor<1x4xi4>
  %t = arith.constant dense<[[1.0, 2.0]]> : tensor<1x2xf32>
  %z = arith.constant dense<[[3, 1]]> : tensor<1x2xi8>
  %1 = lowbit.dequantize %d, %t zeros %z <bits = 4, symmetric = false, group = 2, scale = f32>
      : (tensor<1x4xi4>, tensor<1x2xf32>, tensor<1x2xi8>) -> tensor<1x4xf32>
  %e = arith.constant dense<[[0, 127, 128, 255]]> : tensor<1x4xi8>
  %u = arith.constant dense<[[2.0]]> : tensor<1x1xbf16>
  %2 = lowbit.dequantize %e, %u <bits = 8, symmetric = true, group = 0, scale = bf16>
      : (tensor<1x4xi8>, tensor<1x1xbf16>) -> tensor<1x4xf32>
  %b = arith.constant dense<[[0, 1, 2, 3]]> : tensor<1x4xi2>
  %3 = lowbit.dequantize %b, %u <bits = 2, symmetric = true, group = 0, scale = bf16, codebook = [-1.0, -0.25, 0.25, 1.0]>
      : (tensor<1x4xi2>, tensor<1x1xbf16>) -> tensor<1x4xf32>
  return %0, %1, %2, %3 : tensor<2x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>
}

// Scale 7.5 / 7.5: codes are w + 8, and +7.5 is clamped to the last. Row 1 is all zero: scale 0, codes 8.
// CHECK-LABEL: @quantize result 0: tensor<2x4xi4>
// CHECK-NEXT: 15 6 8 11
// CHECK-NEXT: 8 8 8 8
// CHECK: @quantize result 1: tensor<2x1xf16>
// CHECK-NEXT: 1
// CHECK-NEXT: 0
func.func @quantize() -> (tensor<2x4xi4>, tensor<2x1xf16>) {
  %w = arith.constant dense<[[7.5, -2.0, 0.25, 3.0], [0.0, 0.0, 0.0, 0.0]]> : tensor<2x4xf32>
  %c, %s = lowbit.quantize %w <bits = 4, symmetric = true, group = 0, scale = f16>
      : tensor<2x4xf32> -> tensor<2x4xi4>, tensor<2x1xf16>
  return %c, %s : tensor<2x4xi4>, tensor<2x1xf16>
}

// The range [−1, 14] has scale 1 and zero point 1.
// CHECK-LABEL: @quantize_asymmetric result 0: tensor<1x4xi4>
// CHECK-NEXT: 0 1 3 15
// CHECK: @quantize_asymmetric result 1: tensor<1x1xf32>
// CHECK-NEXT: 1
// CHECK: @quantize_asymmetric result 2: tensor<1x1xi8>
// CHECK-NEXT: 1
func.func @quantize_asymmetric() -> (tensor<1x4xi4>, tensor<1x1xf32>, tensor<1x1xi8>) {
  %w = arith.constant dense<[[-1.0, 0.0, 2.0, 14.0]]> : tensor<1x4xf32>
  %c, %s, %z = lowbit.quantize %w <bits = 4, symmetric = false, group = 0, scale = f32>
      : tensor<1x4xf32> -> tensor<1x4xi4>, tensor<1x1xf32>, tensor<1x1xi8>
  return %c, %s, %z : tensor<1x4xi4>, tensor<1x1xf32>, tensor<1x1xi8>
}

// Per token the largest is 127, so codes are the numbers; per two channels the scales are 1 and 2.
// CHECK-LABEL: @encode result 0: tensor<1x4xi8>
// CHECK-NEXT: 127 -2 0 64
// CHECK: @encode result 1: tensor<1x1xf32>
// CHECK-NEXT: 1
// CHECK: @encode result 2: tensor<1x2xi32>
// CHECK-NEXT: 125 64
// CHECK: @encode result 3: tensor<1x4xi8>
// CHECK-NEXT: 127 1 -127 2
// CHECK: @encode result 4: tensor<1x2xf32>
// CHECK-NEXT: 1 2
// CHECK: @encode result 5: tensor<1x2xbf16>
// CHECK-NEXT: 256 260
// CHECK: @encode result 6: tensor<1x1xf32>
// CHECK-NEXT: 516
func.func @encode() -> (tensor<1x4xi8>, tensor<1x1xf32>, tensor<1x2xi32>, tensor<1x4xi8>, tensor<1x2xf32>,
                        tensor<1x2xbf16>, tensor<1x1xf32>) {
  %x = arith.constant dense<[[127.0, -1.5, 0.5, 64.0]]> : tensor<1x4xf32> // ties go to even
  %0, %1, %2 = lowbit.encode %x <kind = i8> sums 2
      : tensor<1x4xf32> -> tensor<1x4xi8> scales tensor<1x1xf32> sums tensor<1x2xi32>
  %y = arith.constant dense<[[127.0, 1.0, -254.0, 4.0]]> : tensor<1x4xf32>
  %3, %4 = lowbit.encode %y <kind = i8, group = 2> : tensor<1x4xf32> -> tensor<1x4xi8> scales tensor<1x2xf32>
  %z = arith.constant dense<[[257.0, 259.0]]> : tensor<1x2xf32>
  %5, %6 = lowbit.encode %z <kind = bf16> sums 2 : tensor<1x2xf32> -> tensor<1x2xbf16> sums tensor<1x1xf32>
  return %0, %1, %2, %3, %4, %5, %6 : tensor<1x4xi8>, tensor<1x1xf32>, tensor<1x2xi32>, tensor<1x4xi8>,
      tensor<1x2xf32>, tensor<1x2xbf16>, tensor<1x1xf32>
}

// A static scale of 2 is that of every token: codes beyond ±127 are clamped, ties go to even.
// CHECK-LABEL: @encode_static result 0: tensor<2x4xi8>
// CHECK-NEXT: 127 -127 127 0
// CHECK-NEXT: 2 -2 1 0
// CHECK: @encode_static result 1: tensor<2x1xf32>
// CHECK-NEXT: 2
// CHECK-NEXT: 2
// CHECK: @encode_static result 2: tensor<2x1xi32>
// CHECK-NEXT: 127
// CHECK-NEXT: 1
// CHECK: @encode_static result 3: tensor<2x1xf32>
// CHECK-NEXT: 254
// CHECK-NEXT: 2
func.func @encode_static() -> (tensor<2x4xi8>, tensor<2x1xf32>, tensor<2x1xi32>, tensor<2x1xf32>) {
  %x = arith.constant dense<[[1.0e9, -255.5, 254.0, 1.0], [3.0, -5.0, 2.0, 0.0]]> : tensor<2x4xf32>
  %i = transformer.get @two : tensor<1xf32>
  %0, %1, %2 = lowbit.encode %x static %i <kind = i8, fixed = true> sums 4
      : tensor<2x4xf32>, tensor<1xf32> -> tensor<2x4xi8> scales tensor<2x1xf32> sums tensor<2x1xi32>
  %c = arith.constant dense<129> : tensor<1x4xi8>
  %s = arith.constant dense<1.0> : tensor<1x1xf32>
  %3 = lowbit.linear %x, %c, %s static %i
      <weights = <bits = 8, symmetric = true, group = 0, scale = f32>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<2x4xf32>, tensor<1x4xi8>, tensor<1x1xf32>, tensor<1xf32>) -> tensor<2x1xf32>
  return %0, %1, %2, %3 : tensor<2x4xi8>, tensor<2x1xf32>, tensor<2x1xi32>, tensor<2x1xf32>
}
transformer.parameter @two : tensor<1xf32> {
  %0 = lowbit.activation_scale 2.0 : tensor<1xf32>
  transformer.yield %0 : tensor<1xf32>
}

// Weights (u − 8) · s, scales 1 and 2: row 0 is [1, −1 | 2, 0], row 1 is [7, −8 | −2, 4]. Per token the scale is 1.
// CHECK-LABEL: @linear_i8 result 0: tensor<1x2xf32>
// CHECK-NEXT: 131 889
// Per two channels the second scale is 2, and 127 is seen as 2 · 64 = 128: 127 + 508 + 4, and 889 − 508 + 512 + 12.
// CHECK: @linear_i8 result 1: tensor<1x2xf32>
// CHECK-NEXT: 639 905
func.func @linear_i8() -> (tensor<1x2xf32>, tensor<1x2xf32>) {
  %x = arith.constant dense<[[127.0, 0.0, 2.0, 1.0]]> : tensor<1x4xf32>
  %c = arith.constant dense<[[9, 7, 9, 8], [15, 0, 7, 10]]> : tensor<2x4xi4>
  %s = arith.constant dense<[[1.0, 2.0], [1.0, 2.0]]> : tensor<2x2xf16>
  %0 = lowbit.linear %x, %c, %s
      <weights = <bits = 4, symmetric = true, group = 2, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<1x4xf32>, tensor<2x4xi4>, tensor<2x2xf16>) -> tensor<1x2xf32>
  %y = arith.constant dense<[[127.0, 0.0, 254.0, 127.0]]> : tensor<1x4xf32>
  %e = arith.constant dense<[4.0, 12.0]> : tensor<2xf32>
  %1 = lowbit.linear %y, %c, %s bias %e
      <weights = <bits = 4, symmetric = true, group = 2, scale = f16>, activations = <kind = i8, group = 2>,
       accumulation = i32>
      : (tensor<1x4xf32>, tensor<2x4xi4>, tensor<2x2xf16>, tensor<2xf32>) -> tensor<1x2xf32>
  return %0, %1 : tensor<1x2xf32>, tensor<1x2xf32>
}

// A per-token i8 input of 1000 and 1: the one is lost (1000/127 > 2); bf16 keeps both, 257 becomes 256; f32 keeps all.
// CHECK-LABEL: @linear_sees_its_input result 0: tensor<1x1xf32>
// CHECK-NEXT: 1000{{$}}
// CHECK: @linear_sees_its_input result 1: tensor<1x1xf32>
// CHECK-NEXT: 257
// CHECK: @linear_sees_its_input result 2: tensor<1x1xf32>
// CHECK-NEXT: 258
func.func @linear_sees_its_input() -> (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>) {
  %c = arith.constant dense<129> : tensor<1x2xi8>
  %s = arith.constant dense<1.0> : tensor<1x1xf32>
  %x = arith.constant dense<[[1000.0, 1.0]]> : tensor<1x2xf32>
  %0 = lowbit.linear %x, %c, %s
      <weights = <bits = 8, symmetric = true, group = 0, scale = f32>, activations = <kind = i8>, accumulation = i32>
      : (tensor<1x2xf32>, tensor<1x2xi8>, tensor<1x1xf32>) -> tensor<1x1xf32>
  %y = arith.constant dense<[[257.0, 1.0]]> : tensor<1x2xf32>
  %1 = lowbit.linear %y, %c, %s
      <weights = <bits = 8, symmetric = true, group = 0, scale = f32>, activations = <kind = bf16>, accumulation = f32>
      : (tensor<1x2xf32>, tensor<1x2xi8>, tensor<1x1xf32>) -> tensor<1x1xf32>
  %2 = lowbit.linear %y, %c, %s
      <weights = <bits = 8, symmetric = true, group = 0, scale = f32>, activations = <kind = f32>, accumulation = f32>
      : (tensor<1x2xf32>, tensor<1x2xi8>, tensor<1x1xf32>) -> tensor<1x1xf32>
  return %0, %1, %2 : tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>
}

// CHECK-LABEL: @embedding result 0: tensor<2x2xf32>
// CHECK-NEXT: 4 -1
// CHECK-NEXT: 0 7
func.func @embedding() -> tensor<2x2xf32> {
  %t = arith.constant dense<[1, 0]> : tensor<2xi32>
  %z = arith.constant dense<[[8], [7]]> : tensor<2x1xi8>
  %u = arith.constant dense<[[1.0], [1.0]]> : tensor<2x1xf32>
  %d = arith.constant dense<[[8, 15], [11, 6]]> : tensor<2x2xi4>
  %0 = lowbit.embedding %t, %d, %u zeros %z <bits = 4, symmetric = false, group = 2, scale = f32>
      : (tensor<2xi32>, tensor<2x2xi4>, tensor<2x1xf32>, tensor<2x1xi8>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

transformer.parameter @codes : tensor<20x32xi4>
transformer.parameter @w.scales : tensor<20x2xf16>
transformer.parameter @zeros : tensor<20x2xi8> {
  %0 = transformer.get @w.zeros : tensor<20x2xi8>
  transformer.yield %0 : tensor<20x2xi8>
}
transformer.parameter @w.zeros : tensor<20x2xi8>
transformer.parameter @x : tensor<3x32xf32>
transformer.parameter @b : tensor<20xf32>

// What the layout holds is what the graph says: the packed forms of a linear and of an embedding agree with the plain
// ones to the last bit (outputs that are no multiple of 16, two groups, zero points).
// CHECK-LABEL: @packed_linear result 0: tensor<3x20xf32>
// CHECK: @packed_linear result 1: tensor<3x20xf32>
func.func @packed_linear() -> (tensor<3x20xf32>, tensor<3x20xf32>) {
  %x = transformer.get @x : tensor<3x32xf32>
  %c = transformer.get @codes : tensor<20x32xi4>
  %s = transformer.get @w.scales : tensor<20x2xf16>
  %z = transformer.get @zeros : tensor<20x2xi8>
  %b = transformer.get @b : tensor<20xf32>
  %0 = lowbit.linear %x, %c, %s zeros %z bias %b
      <weights = <bits = 4, symmetric = false, group = 16, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<3x32xf32>, tensor<20x32xi4>, tensor<20x2xf16>, tensor<20x2xi8>, tensor<20xf32>) -> tensor<3x20xf32>
  %1 = lowbit.linear %x, %c, %s
      <weights = <bits = 4, symmetric = true, group = 16, scale = f16>, activations = <kind = bf16>, accumulation = f32>
      : (tensor<3x32xf32>, tensor<20x32xi4>, tensor<20x2xf16>) -> tensor<3x20xf32>
  return %0, %1 : tensor<3x20xf32>, tensor<3x20xf32>
}

// Columns, rows and elements, times a factor or divided by it, in f32 also where the input is narrower.
// CHECK-LABEL: @scale result 0: tensor<2x3xf32>
// CHECK-NEXT: 2 1 -12
// CHECK-NEXT: 8 2.5 -24
// CHECK: @scale result 1: tensor<2x3xf32>
// CHECK-NEXT: 0.5 4 -0.75
// CHECK-NEXT: 2 10 -1.5
// CHECK: @scale result 2: tensor<2x3xf32>
// CHECK-NEXT: 8 16 24
// CHECK-NEXT: 1 1.25 1.5
// CHECK: @scale result 3: tensor<2xf32>
// CHECK-NEXT: 24 0.5
// CHECK: @scale result 4: tensor<2xf32>
// CHECK-NEXT: 0.375 8
func.func @scale() -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2xf32>, tensor<2xf32>) {
  %x = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %w = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xbf16>
  %s = arith.constant dense<[2.0, 0.5, -4.0]> : tensor<3xf32>
  %r = arith.constant dense<[8.0, 0.25]> : tensor<2xf32>
  %b = arith.constant dense<[3.0, 2.0]> : tensor<2xf16>
  %0 = lowbit.scale %x by %s axis 1 : tensor<2x3xf32>, tensor<3xf32> -> tensor<2x3xf32>
  %1 = lowbit.scale %x by %s axis 1 inverse : tensor<2x3xf32>, tensor<3xf32> -> tensor<2x3xf32>
  %2 = lowbit.scale %w by %r axis 0 : tensor<2x3xbf16>, tensor<2xf32> -> tensor<2x3xf32>
  %3 = lowbit.scale %b by %r axis 0 : tensor<2xf16>, tensor<2xf32> -> tensor<2xf32>
  %4 = lowbit.scale %b by %r axis 0 inverse : tensor<2xf16>, tensor<2xf32> -> tensor<2xf32>
  return %0, %1, %2, %3, %4 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2xf32>, tensor<2xf32>
}

// Two value heads of two elements, three query heads each.
// CHECK-LABEL: @repeat_heads result 0: tensor<12xf32>
// CHECK-NEXT: 1 2 1 2 1 2 3 4 3 4 3 4
// CHECK: @repeat_heads result 1: tensor<4xf32>
// CHECK-NEXT: 1 2 3 4
func.func @repeat_heads() -> (tensor<12xf32>, tensor<4xf32>) {
  %s = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %0 = lowbit.repeat_heads %s times 3 dim 2 : tensor<4xf32> -> tensor<12xf32>
  %1 = lowbit.repeat_heads %s times 1 dim 4 : tensor<4xf32> -> tensor<4xf32>
  return %0, %1 : tensor<12xf32>, tensor<4xf32>
}
