// Every op and attribute of the dialect survives text, generic text and bytecode.
// RUN: qopt %s | qopt | FileCheck %s
// RUN: qopt %s --mlir-print-op-generic | qopt | FileCheck %s
// RUN: qopt %s --emit-bytecode -o %t.mlirbc && qopt %t.mlirbc | FileCheck %s

// CHECK: module attributes
// CHECK-SAME: lowbit.a0 = #lowbit.activations<kind = f32>
// CHECK-SAME: lowbit.a1 = #lowbit.activations<kind = bf16>
// CHECK-SAME: lowbit.a2 = #lowbit.activations<kind = i8, group = 32>
// CHECK-SAME: lowbit.s0 = #lowbit.scheme<weights = <bits = 4, symmetric = false, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
// CHECK-SAME: lowbit.w0 = #lowbit.weights<bits = 2, symmetric = true, group = 0, scale = f32, codebook = [-1.000000e+00, -2.500000e-01, 2.500000e-01, 1.000000e+00]>
// CHECK-SAME: lowbit.w1 = #lowbit.weights<bits = 8, symmetric = true, group = 128, scale = bf16>
module attributes {
  lowbit.a0 = #lowbit.activations<kind = f32>, lowbit.a1 = #lowbit.activations<kind = bf16, group = 0>,
  lowbit.a2 = #lowbit.activations<kind = i8, group = 32>,
  lowbit.s0 = #lowbit.scheme<weights = <bits = 4, symmetric = false, group = 64, scale = f16>, activations = <kind = i8>,
                      accumulation = i32>,
  lowbit.w0 = #lowbit.weights<bits = 2, symmetric = true, group = 0, scale = f32, codebook = [-1.0, -0.25, 0.25, 1.0]>,
  lowbit.w1 = #lowbit.weights<bits = 8, symmetric = true, group = 128, scale = bf16>
} {
  // CHECK-LABEL: func.func @weights
  func.func @weights(%w: tensor<32x64xf32>) -> (tensor<2x544xi8>, tensor<2x1184xi8>, tensor<2x4096xi8>) {
    // CHECK: %[[C:.*]], %[[S:.*]] = lowbit.quantize %{{.*}} <bits = 4, symmetric = true, group = 64, scale = f16> : tensor<32x64xf32> -> tensor<32x64xi4>, tensor<32x1xf16>
    %c, %s = lowbit.quantize %w <bits = 4, symmetric = true, group = 64, scale = f16>
        : tensor<32x64xf32> -> tensor<32x64xi4>, tensor<32x1xf16>
    // CHECK: lowbit.quantize {{.*}} : tensor<32x64xf32> -> tensor<32x64xi8>, tensor<32x2xf32>, tensor<32x2xi8>
    %c8, %s8, %z8 = lowbit.quantize %w <bits = 8, symmetric = false, group = 32, scale = f32>
        : tensor<32x64xf32> -> tensor<32x64xi8>, tensor<32x2xf32>, tensor<32x2xi8>
    // CHECK: %[[D:.*]] = lowbit.dequantize %[[C]], %[[S]] <bits = 4, symmetric = true, group = 64, scale = f16> : (tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<32x64xf32>
    %d = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 64, scale = f16>
        : (tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<32x64xf32>
    // CHECK: lowbit.dequantize %{{.*}}, %{{.*}} zeros %{{.*}} <bits = 8
    %d8 = lowbit.dequantize %c8, %s8 zeros %z8 <bits = 8, symmetric = false, group = 32, scale = f32>
        : (tensor<32x64xi8>, tensor<32x2xf32>, tensor<32x2xi8>) -> tensor<32x64xf32>
    // CHECK: lowbit.pack %[[C]] scales %[[S]] layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>) : (tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<2x544xi8>
    %p = lowbit.pack %c scales %s layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
        : (tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<2x544xi8>
    // CHECK: lowbit.pack %{{.*}} scales %{{.*}} zeros %{{.*}} layout(#kernel.panel<code = u8, dot = 2, group = 32, scale = f32, zeroPoints = true>)
    %p8 = lowbit.pack %c8 scales %s8 zeros %z8 layout(#kernel.panel<code = u8, dot = 2, group = 32, scale = f32, zeroPoints = true>)
        : (tensor<32x64xi8>, tensor<32x2xf32>, tensor<32x2xi8>) -> tensor<2x1184xi8>
    // CHECK: lowbit.pack %[[D]] layout(#kernel.panel<code = f32, dot = 1>) : (tensor<32x64xf32>) -> tensor<2x4096xi8>
    %pf = lowbit.pack %d layout(#kernel.panel<code = f32, dot = 1>) : (tensor<32x64xf32>) -> tensor<2x4096xi8>
    return %p, %p8, %pf : tensor<2x544xi8>, tensor<2x1184xi8>, tensor<2x4096xi8>
  }

  // CHECK-LABEL: func.func @graph
  func.func @graph(%t: tensor<?xi32>, %c: tensor<64x64xi4>, %s: tensor<64x1xf16>, %z: tensor<64x1xi8>,
                   %b: tensor<64xf32>) -> tensor<?x64xf32> {
    // CHECK: lowbit.embedding %{{.*}}, %{{.*}} zeros %{{.*}} <bits = 4, symmetric = false, group = 64, scale = f16>
    %x = lowbit.embedding %t, %c, %s zeros %z <bits = 4, symmetric = false, group = 64, scale = f16>
        : (tensor<?xi32>, tensor<64x64xi4>, tensor<64x1xf16>, tensor<64x1xi8>) -> tensor<?x64xf32>
    // CHECK: lowbit.linear %{{.*}}, %{{.*}}, %{{.*}} <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = bf16>, accumulation = f32>
    %y = lowbit.linear %x, %c, %s
        <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = bf16>, accumulation = f32>
        : (tensor<?x64xf32>, tensor<64x64xi4>, tensor<64x1xf16>) -> tensor<?x64xf32>
    // CHECK: lowbit.linear %{{.*}}, %{{.*}}, %{{.*}} zeros %{{.*}} bias %{{.*}} <weights
    %u = lowbit.linear %y, %c, %s zeros %z bias %b
        <weights = <bits = 4, symmetric = false, group = 64, scale = f16>, activations = <kind = i8, group = 32>,
         accumulation = i32>
        : (tensor<?x64xf32>, tensor<64x64xi4>, tensor<64x1xf16>, tensor<64x1xi8>, tensor<64xf32>) -> tensor<?x64xf32>
    return %u : tensor<?x64xf32>
  }

  // CHECK-LABEL: func.func @kernels
  func.func @kernels(%x: tensor<?x64xf32>, %t: tensor<?xi32>, %w: tensor<2x544xi8>, %f: tensor<2x4096xi8>,
                     %b: tensor<32xf16>, %i: tensor<1xf32>)
      -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x64xf32>) {
    // CHECK: lowbit.encode %{{.*}} <kind = i8> sums 64 : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x1xf32> sums tensor<?x1xi32>
    %q, %s, %z = lowbit.encode %x <kind = i8> sums 64
        : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x1xf32> sums tensor<?x1xi32>
    // CHECK: lowbit.encode %{{.*}} <kind = i8, group = 32> : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x2xf32>
    %q1, %s1 = lowbit.encode %x <kind = i8, group = 32> : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x2xf32>
    // CHECK: lowbit.encode %{{.*}} static %{{.*}} <kind = i8, fixed = true> sums 64 : tensor<?x64xf32>, tensor<1xf32> -> tensor<?x64xi8> scales tensor<?x1xf32> sums tensor<?x1xi32>
    %q4, %s4, %z4 = lowbit.encode %x static %i <kind = i8, fixed = true> sums 64
        : tensor<?x64xf32>, tensor<1xf32> -> tensor<?x64xi8> scales tensor<?x1xf32> sums tensor<?x1xi32>
    // CHECK: lowbit.encode %{{.*}} <kind = bf16> sums 32 : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x2xf32>
    %q2, %z2 = lowbit.encode %x <kind = bf16> sums 32 : tensor<?x64xf32> -> tensor<?x64xbf16> sums tensor<?x2xf32>
    // CHECK: lowbit.matmul %{{.*}} scales %{{.*}} sums %{{.*}}, %{{.*}} layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
    %y = lowbit.matmul %q scales %s sums %z, %w layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
        : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<2x544xi8>) -> tensor<?x32xf32>
    // CHECK: lowbit.matmul %{{.*}}, %{{.*}} bias %{{.*}} layout(#kernel.panel<code = f32, dot = 1>)
    %v = lowbit.matmul %x, %f bias %b layout(#kernel.panel<code = f32, dot = 1>)
        : (tensor<?x64xf32>, tensor<2x4096xi8>, tensor<32xf16>) -> tensor<?x32xf32>
    // CHECK: lowbit.gather %{{.*}}, %{{.*}} rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
    %g = lowbit.gather %t, %w rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
        : (tensor<?xi32>, tensor<2x544xi8>) -> tensor<?x64xf32>
    return %y, %v, %g : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x64xf32>
  }

  // The number is kept to its last bit.
  // CHECK: transformer.parameter @input_scale : tensor<1xf32> {
  // CHECK: lowbit.activation_scale 0.0123456791 : tensor<1xf32>
  transformer.parameter @input_scale : tensor<1xf32> {
    %0 = lowbit.activation_scale 1.23456791e-2 : tensor<1xf32>
    transformer.yield %0 : tensor<1xf32>
  }

  // CHECK-LABEL: func.func @static_activations
  func.func @static_activations(%x: tensor<?x64xf32>, %c: tensor<32x64xi8>, %w: tensor<32x1xf16>, %b: tensor<32xf32>)
      -> tensor<?x32xf32> {
    // CHECK: %[[S:.*]] = transformer.get @input_scale
    %s = transformer.get @input_scale : tensor<1xf32>
    // CHECK: lowbit.linear %{{.*}}, %{{.*}}, %{{.*}} bias %{{.*}} static %[[S]] <weights = <bits = 8, symmetric = true, group = 0, scale = f16>, activations = <kind = i8, fixed = true>, accumulation = i32>
    %0 = lowbit.linear %x, %c, %w bias %b static %s
        <weights = <bits = 8, symmetric = true, group = 0, scale = f16>, activations = <kind = i8, fixed = true>,
         accumulation = i32>
        : (tensor<?x64xf32>, tensor<32x64xi8>, tensor<32x1xf16>, tensor<32xf32>, tensor<1xf32>) -> tensor<?x32xf32>
    return %0 : tensor<?x32xf32>
  }

  // CHECK-LABEL: func.func @observers
  func.func @observers(%x: tensor<?x64xf32>) {
    // CHECK: lowbit.observe %{{.*}} "plain" : tensor<?x64xf32>
    lowbit.observe %x "plain" : tensor<?x64xf32>
    // CHECK: lowbit.observe %{{.*}} "all of it" gram histogram : tensor<?x64xf32>
    lowbit.observe %x "all of it" gram histogram : tensor<?x64xf32>
    return
  }

  // CHECK-LABEL: func.func @scale_pairs
  func.func @scale_pairs(%x: tensor<?x6xf32>, %w: tensor<4x6xbf16>, %b: tensor<4xf16>, %heads: tensor<2xf32>,
                         %rows: tensor<4xf32>) -> (tensor<?x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<4xf32>) {
    // CHECK: %[[S:.*]] = lowbit.repeat_heads %{{.*}} times 3 dim 1 : tensor<2xf32> -> tensor<6xf32>
    %s = lowbit.repeat_heads %heads times 3 dim 1 : tensor<2xf32> -> tensor<6xf32>
    // CHECK: lowbit.scale %{{.*}} by %[[S]] axis 1 inverse : tensor<?x6xf32>, tensor<6xf32> -> tensor<?x6xf32>
    %0 = lowbit.scale %x by %s axis 1 inverse : tensor<?x6xf32>, tensor<6xf32> -> tensor<?x6xf32>
    // CHECK: %[[W:.*]] = lowbit.scale %{{.*}} by %[[S]] axis 1 : tensor<4x6xbf16>, tensor<6xf32> -> tensor<4x6xf32>
    %1 = lowbit.scale %w by %s axis 1 : tensor<4x6xbf16>, tensor<6xf32> -> tensor<4x6xf32>
    // CHECK: lowbit.scale %[[W]] by %{{.*}} axis 0 inverse : tensor<4x6xf32>, tensor<4xf32> -> tensor<4x6xf32>
    %2 = lowbit.scale %1 by %rows axis 0 inverse : tensor<4x6xf32>, tensor<4xf32> -> tensor<4x6xf32>
    // CHECK: lowbit.scale %{{.*}} by %{{.*}} axis 0 : tensor<4xf16>, tensor<4xf32> -> tensor<4xf32>
    %3 = lowbit.scale %b by %rows axis 0 : tensor<4xf16>, tensor<4xf32> -> tensor<4xf32>
    return %0, %1, %2, %3 : tensor<?x6xf32>, tensor<4x6xf32>, tensor<4x6xf32>, tensor<4xf32>
  }

  // CHECK-LABEL: func.func @rotations
  func.func @rotations(%w: tensor<8x64xbf16>, %g: tensor<64xf32>) -> (tensor<8x64xf32>, tensor<64xf32>) {
    // CHECK: lowbit.scale %{{.*}} by %{{.*}} axis 1 alone : tensor<8x64xbf16>, tensor<64xf32> -> tensor<8x64xf32>
    %0 = lowbit.scale %w by %g axis 1 alone : tensor<8x64xbf16>, tensor<64xf32> -> tensor<8x64xf32>
    // CHECK: lowbit.orthogonal hadamard %{{.*}} axis 1 size 32 seed 7 : tensor<8x64xf32> -> tensor<8x64xf32>
    %1 = lowbit.orthogonal hadamard %0 axis 1 size 32 seed 7 : tensor<8x64xf32> -> tensor<8x64xf32>
    // CHECK: lowbit.orthogonal orthogonal %{{.*}} axis 0 size 8 seed 7
    %2 = lowbit.orthogonal orthogonal %1 axis 0 size 8 seed 7 : tensor<8x64xf32> -> tensor<8x64xf32>
    // CHECK: lowbit.fill 1.000000e+00 : tensor<64xf32>
    %3 = lowbit.fill 1.0 : tensor<64xf32>
    return %2, %3 : tensor<8x64xf32>, tensor<64xf32>
  }
}
