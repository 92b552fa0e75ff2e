// The reference on small numbers that can be checked by hand. Cases with irrational results are in oracle.mlir.
// RUN: qopt-reference %s | FileCheck %s

// CHECK-LABEL: @embedding result 0: tensor<3x2xf32>
// CHECK-NEXT: 5 6
// CHECK-NEXT: 1 2
// CHECK-NEXT: 5 6
func.func @embedding() -> tensor<?x2xf32> {
  %t = arith.constant dense<[2, 0, 2]> : tensor<3xi32>
  %w = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf16>
  %0 = transformer.embedding %t, %w : (tensor<3xi32>, tensor<3x2xf16>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// The mean of squares is 12.5, and so is epsilon: the divisor is 5.
// CHECK-LABEL: @rms_norm result 0: tensor<1x2xf32>
// CHECK-NEXT: 0.600000024 -1.60000002
func.func @rms_norm() -> tensor<1x2xf32> {
  %x = arith.constant dense<[[3.0, 4.0]]> : tensor<1x2xf32>
  %w = arith.constant dense<[1.0, -2.0]> : tensor<2xf32>
  %0 = transformer.rms_norm %x, %w epsilon 12.5 : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  return %0 : tensor<1x2xf32>
}

// mean 4, variance 4: (x − 4) / 2.
// CHECK-LABEL: @layer_norm result 0: tensor<1x4xf32>
// CHECK-NEXT: -1 -1 2 102
func.func @layer_norm() -> tensor<1x4xf32> {
  %x = arith.constant dense<[[2.0, 2.0, 6.0, 6.0]]> : tensor<1x4xf32>
  %w = arith.constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %b = arith.constant dense<[0.0, 0.0, 0.0, 100.0]> : tensor<4xf32>
  %0 = transformer.layer_norm %x, %w bias %b epsilon 0.0
      : (tensor<1x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4xf32>
  return %0 : tensor<1x4xf32>
}

// CHECK-LABEL: @linear result 0: tensor<2x3xf32>
// CHECK-NEXT: 3 13 -1.5
// CHECK-NEXT: -1 14 -5
func.func @linear() -> tensor<2x3xf32> {
  %x = arith.constant dense<[[1.0, 2.0], [3.0, -4.0]]> : tensor<2x2xf32>
  %w = arith.constant dense<[[1.0, 1.0], [2.0, 0.5], [-1.0, 0.25]]> : tensor<3x2xf32>
  %b = arith.constant dense<[0.0, 10.0, -1.0]> : tensor<3xf32>
  %0 = transformer.linear %x, %w bias %b : (tensor<2x2xf32>, tensor<3x2xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// Beside a bf16 weight 257 is rounded to 256 (a tie, to even) and 259 to 260; beside an f32 weight neither is.
// CHECK-LABEL: @linear_bf16 result 0: tensor<2x1xf32>
// CHECK-NEXT: 256
// CHECK-NEXT: 260
// CHECK: @linear_bf16 result 1: tensor<2x1xf32>
// CHECK-NEXT: 257
// CHECK-NEXT: 259
func.func @linear_bf16() -> (tensor<2x1xf32>, tensor<2x1xf32>) {
  %x = arith.constant dense<[[257.0], [259.0]]> : tensor<2x1xf32>
  %w = arith.constant dense<1.0> : tensor<1x1xbf16>
  %v = arith.constant dense<1.0> : tensor<1x1xf32>
  %0 = transformer.linear %x, %w : (tensor<2x1xf32>, tensor<1x1xbf16>) -> tensor<2x1xf32>
  %1 = transformer.linear %x, %v : (tensor<2x1xf32>, tensor<1x1xf32>) -> tensor<2x1xf32>
  return %0, %1 : tensor<2x1xf32>, tensor<2x1xf32>
}

// Sums are f64: in f32, 2^24 + 1 would lose its one.
// CHECK-LABEL: @linear_sums_in_f64 result 0: tensor<1x1xf32>
// CHECK-NEXT: 1{{$}}
func.func @linear_sums_in_f64() -> tensor<1x1xf32> {
  %x = arith.constant dense<[[16777216.0, 1.0, -16777216.0]]> : tensor<1x3xf32>
  %w = arith.constant dense<1.0> : tensor<1x3xf32>
  %0 = transformer.linear %x, %w : (tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<1x1xf32>
  return %0 : tensor<1x1xf32>
}

// CHECK-LABEL: @slice result 0: tensor<2x2xf32>
// CHECK-NEXT: 2 3
// CHECK-NEXT: 6 7
func.func @slice() -> tensor<2x2xf32> {
  %x = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32>
  %0 = transformer.slice %x at 1 : tensor<2x4xf32> -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// Two heads of four channels: (a, b) halves with c = [0, 1], s = [1, 0] give (−b, a) and (a, b).
// CHECK-LABEL: @rotate result 0: tensor<1x8xf32>
// CHECK-NEXT: -3 2 1 4 -7 6 5 8
func.func @rotate() -> tensor<1x8xf32> {
  %x = arith.constant dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]> : tensor<1x8xf32>
  %t = arith.constant dense<[[0.0, 1.0, 1.0, 0.0]]> : tensor<1x4xf32>
  %0 = transformer.rotate %x, %t : tensor<1x8xf32>, tensor<1x4xf32>
  return %0 : tensor<1x8xf32>
}

// At position 0 every angle is 0.
// CHECK-LABEL: @rotary_table result 0: tensor<2x4xf32>
// CHECK-NEXT: 1 1 0 0
// CHECK-NEXT: 0.540302277 0.999949992 0.841470957 0.00999983307
func.func @rotary_table() -> tensor<2x4xf32> {
  %p = arith.constant dense<[0, 1]> : tensor<2xi32>
  %0 = transformer.rotary_table %p <dim = 4, base = 1.0e4 : f64> : tensor<2xi32> -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// CHECK-LABEL: @activations result 0: tensor<1x3xf32>
// CHECK-NEXT: -0.268941432 0 0.731058598
// CHECK: @activations result 1: tensor<1x3xf32>
// CHECK-NEXT: -0.158655256 0 0.841344774
// CHECK: @activations result 2: tensor<1x3xf32>
// CHECK-NEXT: -0.158808008 0 0.841192007
// CHECK: @activations result 3: tensor<1x3xf32>
// CHECK-NEXT: 0 0 1
func.func @activations() -> (tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>) {
  %x = arith.constant dense<[[-1.0, 0.0, 1.0]]> : tensor<1x3xf32>
  %0 = transformer.activation silu %x : tensor<1x3xf32>
  %1 = transformer.activation gelu %x : tensor<1x3xf32>
  %2 = transformer.activation gelu_tanh %x : tensor<1x3xf32>
  %3 = transformer.activation relu %x : tensor<1x3xf32>
  return %0, %1, %2, %3 : tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>
}

// CHECK-LABEL: @gated result 0: tensor<1x4xf32>
// CHECK-NEXT: 0 20 0 -80
// CHECK: @gated result 1: tensor<1x4xf32>
// CHECK-NEXT: 0 20 0 -80
func.func @gated() -> (tensor<1x4xf32>, tensor<1x4xf32>) {
  %g = arith.constant dense<[[-1.0, 2.0, 0.0, 4.0]]> : tensor<1x4xf32>
  %u = arith.constant dense<[[10.0, 10.0, 10.0, -20.0]]> : tensor<1x4xf32>
  %b = arith.constant dense<[[-1.0, 2.0, 10.0, 10.0, 0.0, 4.0, 10.0, -20.0]]> : tensor<1x8xf32>
  %0 = transformer.gated_product relu %g, %u : tensor<1x4xf32>
  %1 = transformer.interleaved_gated_product relu %b block 2 : tensor<1x8xf32> -> tensor<1x4xf32>
  return %0, %1 : tensor<1x4xf32>, tensor<1x4xf32>
}

// CHECK-LABEL: @rows result 0: tensor<2x2xf32>
// CHECK-NEXT: 44 55
// CHECK-NEXT: 11 22
func.func @rows() -> tensor<2x2xf32> {
  %x = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]> : tensor<3x2xf32>
  %y = arith.constant dense<[[10.0, 20.0], [30.0, 40.0], [40.0, 50.0]]> : tensor<3x2xf32>
  %r = arith.constant dense<[2, 0]> : tensor<2xi32>
  %0 = transformer.residual %x, %y : tensor<3x2xf32>
  %1 = transformer.select_rows %0, %r : tensor<3x2xf32>, tensor<2xi32> -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// No rows wanted: the graph still runs.
// CHECK-LABEL: @no_rows result 0: tensor<0x2xf32>
// CHECK-NOT: {{^[0-9]}}
func.func @no_rows() -> tensor<?x2xf32> {
  %x = arith.constant dense<[[1.0, 2.0]]> : tensor<1x2xf32>
  %r = arith.constant dense<[]> : tensor<0xi32>
  %w = arith.constant dense<1.0> : tensor<2xf32>
  %0 = transformer.select_rows %x, %r : tensor<1x2xf32>, tensor<0xi32> -> tensor<?x2xf32>
  %1 = transformer.rms_norm %0, %w epsilon 1.0e-5 : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// CHECK-LABEL: @initializers result 0: tensor<12x1xf32>
// CHECK-NEXT: {{^}}0{{$}}
// CHECK-NEXT: {{^}}2{{$}}
// CHECK-NEXT: {{^}}4{{$}}
// CHECK-NEXT: {{^}}1{{$}}
// CHECK-NEXT: {{^}}3{{$}}
// CHECK-NEXT: {{^}}5{{$}}
// CHECK-NEXT: {{^}}6{{$}}
// CHECK-NEXT: {{^}}8{{$}}
// CHECK-NEXT: {{^}}10{{$}}
// CHECK-NEXT: {{^}}7{{$}}
// CHECK-NEXT: {{^}}9{{$}}
// CHECK-NEXT: {{^}}11{{$}}
// CHECK: @initializers result 1: tensor<6xi4>
// CHECK-NEXT: 1 2 3 4 5 6
// CHECK: @initializers result 2: tensor<8xi32>
// CHECK-NEXT: 1 2 5 6 3 4 7 8
transformer.parameter @pairs : tensor<12x1xf32> {
  %0 = arith.constant dense<[[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0], [8.0], [9.0],
                              [10.0], [11.0]]> : tensor<12x1xf32>
  transformer.yield %0 : tensor<12x1xf32>
}
transformer.parameter @halves : tensor<12x1xf32> {
  %0 = transformer.get @pairs : tensor<12x1xf32>
  %1 = transformer.unpermute_rotary %0 heads 2 : tensor<12x1xf32>
  transformer.yield %1 : tensor<12x1xf32>
}
func.func @initializers() -> (tensor<12x1xf32>, tensor<6xi4>, tensor<8xi32>) {
  %0 = transformer.get @halves : tensor<12x1xf32>
  %a = arith.constant dense<[1, 2]> : tensor<2xi4>
  %b = arith.constant dense<[3, 4, 5, 6]> : tensor<4xi4>
  %1 = transformer.concat %a, %b : (tensor<2xi4>, tensor<4xi4>) -> tensor<6xi4>
  %c = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi32>
  %d = arith.constant dense<[5, 6, 7, 8]> : tensor<4xi32>
  %2 = transformer.concat %c, %d interleave 2 : (tensor<4xi32>, tensor<4xi32>) -> tensor<8xi32>
  return %0, %1, %2 : tensor<12x1xf32>, tensor<6xi4>, tensor<8xi32>
}

// With equal keys attention is a mean of values: of positions 0 to 2, of one sequence, and within a window of 2.
// Two sequences take turns in one batch; the pages are out of order.
// CHECK-LABEL: @attention result 0: tensor<4x2xf32>
// CHECK-NEXT: 3 30
// CHECK-NEXT: 7 70
// CHECK-NEXT: 4.5 45
// CHECK-NEXT: 6 60
// CHECK: @attention result 1: tensor<4x2xf32>
// CHECK-NEXT: 3 30
// CHECK-NEXT: 7 70
// CHECK-NEXT: 4.5 45
// CHECK-NEXT: 7.5 75
// CHECK: @attention result 2: !transformer.cache<layers = 2, heads = 1, dim = 2, f32>: 0 4
func.func @attention(%cache: !transformer.cache<layers = 2, heads = 1, dim = 2, f32>)
    -> (tensor<4x2xf32>, tensor<4x2xf32>, !transformer.cache<layers = 2, heads = 1, dim = 2, f32>) {
  %l = arith.constant 1 : index
  %k = arith.constant dense<1.0> : tensor<4x2xf32>
  %v = arith.constant dense<[[3.0, 30.0], [7.0, 70.0], [6.0, 60.0], [9.0, 90.0]]> : tensor<4x2xf32>
  %q = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32>
  %p = arith.constant dense<[0, 0, 1, 2]> : tensor<4xi32>
  %s = arith.constant dense<[0, 1, 0, 0]> : tensor<4xi32>
  %t = arith.constant dense<[[5, 2], [3, -1]]> : tensor<2x2xi32>
  %c = transformer.cache_update %cache[%l], %k, %v at (%p, %s, %t)
      : !transformer.cache<layers = 2, heads = 1, dim = 2, f32>, tensor<4x2xf32>, tensor<4xi32>, tensor<4xi32>,
        tensor<2x2xi32>
  %0 = transformer.attention %q, %c[%l] at (%p, %s, %t) scale 1.0
      : tensor<4x2xf32>, !transformer.cache<layers = 2, heads = 1, dim = 2, f32>, tensor<4xi32>, tensor<4xi32>,
        tensor<2x2xi32>
  %1 = transformer.attention %q, %c[%l] at (%p, %s, %t) scale 1.0 window 2
      : tensor<4x2xf32>, !transformer.cache<layers = 2, heads = 1, dim = 2, f32>, tensor<4xi32>, tensor<4xi32>,
        tensor<2x2xi32>
  return %0, %1, %c : tensor<4x2xf32>, tensor<4x2xf32>, !transformer.cache<layers = 2, heads = 1, dim = 2, f32>
}

// Keys and values are rounded to the cache's f16: 2049 to 2048, 2051 to 2052.
// CHECK-LABEL: @cache_in_f16 result 0: tensor<1x2xf32>
// CHECK-NEXT: 2048 2052
func.func @cache_in_f16(%cache: !transformer.cache<layers = 1, heads = 1, dim = 2, f16>) -> tensor<1x2xf32> {
  %l = arith.constant 0 : index
  %x = arith.constant dense<[[2049.0, 2051.0]]> : tensor<1x2xf32>
  %z = arith.constant dense<0> : tensor<1xi32>
  %t = arith.constant dense<7> : tensor<1x1xi32>
  %c = transformer.cache_update %cache[%l], %x, %x at (%z, %z, %t)
      : !transformer.cache<layers = 1, heads = 1, dim = 2, f16>, tensor<1x2xf32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  %0 = transformer.attention %x, %c[%l] at (%z, %z, %t) scale 1.0
      : tensor<1x2xf32>, !transformer.cache<layers = 1, heads = 1, dim = 2, f16>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  return %0 : tensor<1x2xf32>
}
