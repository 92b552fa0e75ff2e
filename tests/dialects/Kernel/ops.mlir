// Every op and attribute of the dialect survives text, generic text and bytecode.
// RUN: qopt %s | qopt | FileCheck %s
// RUN: qopt %s --mlir-print-op-generic | qopt | FileCheck %s
// RUN: qopt %s --emit-bytecode -o %t.mlirbc && qopt %t.mlirbc | FileCheck %s

// CHECK-DAG: #[[MAP0:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[MAP1:.*]] = affine_map<(d0, d1) -> (d0 ceildiv 8 + d1)>
// CHECK-DAG: #[[MAP2:.*]] = affine_map<(d0, d1) -> (1)>
// CHECK: module attributes
// CHECK-SAME: kernel.p0 = #kernel.panel<code = u4, dot = 4, group = 64, scale = f16>
// CHECK-SAME: kernel.p1 = #kernel.panel<code = u8, dot = 2, group = 32, scale = bf16, zeroPoints = true>
// CHECK-SAME: kernel.p2 = #kernel.panel<code = u4, dot = 1, scale = f32>
// CHECK-SAME: kernel.p3 = #kernel.panel<code = bf16, dot = 2>
// CHECK-SAME: kernel.p4 = #kernel.panel<code = f16, dot = 1>
// CHECK-SAME: kernel.p5 = #kernel.panel<code = u2, dot = 2, group = 32, scale = f16>
// CHECK-SAME: kernel.p6 = #kernel.panel<code = u3, dot = 4, group = 64, scale = f16>
// CHECK-SAME: kernel.p7 = #kernel.panel<code = u5, dot = 1, scale = f16>
// CHECK-SAME: kernel.p8 = #kernel.panel<code = u6, dot = 2, group = 32, scale = f16, zeroPoints = true>
module attributes {
  kernel.p0 = #kernel.panel<code = u4, dot = 4, group = 64, scale = f16>,
  kernel.p1 = #kernel.panel<code = u8, dot = 2, group = 32, scale = bf16, zeroPoints = true>,
  kernel.p2 = #kernel.panel<code = u4, dot = 1, group = 0, scale = f32>,
  kernel.p3 = #kernel.panel<code = bf16, dot = 2>, kernel.p4 = #kernel.panel<code = f16, dot = 1>,
  kernel.p5 = #kernel.panel<code = u2, dot = 2, group = 32, scale = f16>,
  kernel.p6 = #kernel.panel<code = u3, dot = 4, group = 64, scale = f16>,
  kernel.p7 = #kernel.panel<code = u5, dot = 1, scale = f16>,
  kernel.p8 = #kernel.panel<code = u6, dot = 2, group = 32, scale = f16, zeroPoints = true>
} {
  transformer.parameter @a : tensor<64xf32>
  transformer.parameter @b : tensor<64xf32>

  // CHECK-LABEL: func.func private @block
  func.func private @block(%layer: index, %x: tensor<?x64xf32>, %p: tensor<?xi32>, %w: tensor<64xf32>)
      -> tensor<?x64xf32> {
    // CHECK: kernel.dispatch @norm grid #[[MAP0]](%{{.*}}, %{{.*}}) : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32> {
    // CHECK: ^bb0(%[[X:.*]]: tensor<?x64xf32>, %[[W:.*]]: tensor<64xf32>):
    // CHECK:   transformer.rms_norm %[[X]], %[[W]]
    // CHECK:   kernel.yield %{{.*}} : tensor<?x64xf32>
    %0 = kernel.dispatch @norm grid affine_map<(tokens, rows) -> (tokens)> (%x, %w)
        : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32> {
    ^bb0(%a: tensor<?x64xf32>, %b: tensor<64xf32>):
      %1 = transformer.rms_norm %a, %b epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
      kernel.yield %1 : tensor<?x64xf32>
    }
    // CHECK: kernel.dispatch @placed grid #[[MAP1]](%{{.*}}) {over_rows, placement = [array<i64: 0, 256, 0>]} :
    %2 = kernel.dispatch @placed grid affine_map<(tokens, rows) -> (tokens ceildiv 8 + rows)> (%0)
        {over_rows, placement = [array<i64: 0, 256, 0>]} : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    ^bb0(%a: tensor<?x64xf32>):
      kernel.yield %a : tensor<?x64xf32>
    }
    // CHECK: kernel.dispatch @nothing grid #[[MAP2]]() : () -> () {
    // CHECK-NEXT: kernel.yield
    kernel.dispatch @nothing grid affine_map<(tokens, rows) -> (1)> () : () -> () {
      kernel.yield
    }
    return %2 : tensor<?x64xf32>
  }

  // CHECK-LABEL: func.func @forward
  func.func @forward(%x: tensor<?x64xf32>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
    // CHECK: kernel.repeat @block from 2(%{{.*}}) invariant(%{{.*}}) table {{\[}}[@a], [@b], [@a]] : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
    %0 = kernel.repeat @block from 2 (%x) invariant (%p) table [[@a], [@b], [@a]]
        : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
    return %0 : tensor<?x64xf32>
  }

  // CHECK-LABEL: func.func @vectors
  func.func @vectors(%i: vector<16xi32>, %u: vector<64xi8>, %s: vector<64xi8>, %f: vector<16xf32>, %h: vector<32xi16>,
                     %b: vector<32xbf16>) -> (vector<16xi32>, vector<16xf32>) {
    // CHECK: kernel.dot %{{.*}}, %{{.*}}, %{{.*}} : vector<16xi32>, vector<64xi8>
    %0 = kernel.dot %i, %u, %s : vector<16xi32>, vector<64xi8>
    // CHECK: kernel.decode_codes %{{.*}} bits 5 zero 8 : vector<32xi16> -> vector<32xbf16>
    %1 = kernel.decode_codes %h bits 5 zero 8 : vector<32xi16> -> vector<32xbf16>
    // CHECK: kernel.dot %{{.*}}, %{{.*}}, %{{.*}} : vector<16xf32>, vector<32xbf16>
    %2 = kernel.dot %f, %1, %b : vector<16xf32>, vector<32xbf16>
    return %0, %2 : vector<16xi32>, vector<16xf32>
  }
}
