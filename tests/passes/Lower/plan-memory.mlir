// Every result of a dispatch gets a place in the arena, at offsets that are affine in the batch; what is never live together
// shares memory; doing it twice changes nothing.
// RUN: qopt %s --split-input-file --plan-memory -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --split-input-file --plan-memory | diff %t.once.mlir -

#tokens = affine_map<(t, r) -> (t)>
#rows = affine_map<(t, r) -> (r)>

// Three buffers of 256 bytes a token; the third takes the first's place, whose last reader has run. Rows lie apart.
// CHECK: module attributes {kernel.arena = array<i64: 0, 512, 128>}
module {
  func.func @forward(%x: tensor<?x64xf32>, %r: tensor<?xi32>) -> tensor<?x32xf32> {
    // CHECK: kernel.dispatch @a {{.*}}placement = [array<i64: 0, 0, 0>]
    %a = kernel.dispatch @a grid #tokens (%x) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    ^bb0(%i: tensor<?x64xf32>):
      %0 = transformer.activation silu %i : tensor<?x64xf32>
      kernel.yield %0 : tensor<?x64xf32>
    }
    // CHECK: kernel.dispatch @b {{.*}}placement = [array<i64: 0, 256, 0>]
    %b = kernel.dispatch @b grid #tokens (%a) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    ^bb0(%i: tensor<?x64xf32>):
      %0 = transformer.activation silu %i : tensor<?x64xf32>
      kernel.yield %0 : tensor<?x64xf32>
    }
    // CHECK: kernel.dispatch @c {{.*}}placement = [array<i64: 0, 0, 0>]
    %c = kernel.dispatch @c grid #tokens (%b) : (tensor<?x64xf32>) -> tensor<?x64xf32> {
    ^bb0(%i: tensor<?x64xf32>):
      %0 = transformer.activation silu %i : tensor<?x64xf32>
      kernel.yield %0 : tensor<?x64xf32>
    }
    // 17 floats take the 64-byte units that they begin: a row starts at a multiple of 64.
    // CHECK: kernel.dispatch @s {{.*}}placement = [array<i64: 0, 0, 0>]
    %s = kernel.dispatch @s grid #rows (%c, %r) {over_rows} : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x17xf32> {
    ^bb0(%i: tensor<?x64xf32>, %j: tensor<?xi32>):
      %0 = transformer.select_rows %i, %j : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
      %1 = transformer.slice %0 at 0 : tensor<?x64xf32> -> tensor<?x17xf32>
      kernel.yield %1 : tensor<?x17xf32>
    }
    // What @forward returns is the caller's buffer.
    // CHECK: kernel.dispatch @y {{.*}}placement = ["logits"]
    %y = kernel.dispatch @y grid #rows (%c, %r, %s) {over_rows} : (tensor<?x64xf32>, tensor<?xi32>, tensor<?x17xf32>) -> tensor<?x32xf32> {
    ^bb0(%i: tensor<?x64xf32>, %j: tensor<?xi32>, %k: tensor<?x17xf32>):
      %0 = transformer.select_rows %i, %j : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
      %1 = transformer.slice %0 at 32 : tensor<?x64xf32> -> tensor<?x32xf32>
      kernel.yield %1 : tensor<?x32xf32>
    }
    return %y : tensor<?x32xf32>
  }
}

// -----

#tokens = affine_map<(t, r) -> (t)>

// What a repeat carries goes back to the place that the initial value has; the callee's buffers lie above its caller's.
// CHECK: module attributes {kernel.arena = array<i64: 0, 192, 0>}
module {
  transformer.parameter @p : tensor<16xf32>
  func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
    // CHECK: kernel.dispatch @in {{.*}}placement = [array<i64: 0, 0, 0>]
    %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>):
      %0 = transformer.activation silu %i : tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    // CHECK: kernel.dispatch @kept {{.*}}placement = [array<i64: 0, 64, 0>]
    %k = kernel.dispatch @kept grid #tokens (%a) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>):
      %0 = transformer.activation relu %i : tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    %b = kernel.repeat @block from 0 (%a) invariant (%k) table [[@p], [@p]] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %y = kernel.dispatch @out grid #tokens (%b, %k) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>, %j: tensor<?x16xf32>):
      %0 = transformer.residual %i, %j : tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    return %y : tensor<?x16xf32>
  }
  // CHECK-LABEL: func.func private @block
  func.func private @block(%layer: index, %h: tensor<?x16xf32>, %k: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
    // CHECK: kernel.dispatch @norm {{.*}}placement = [array<i64: 0, 128, 0>]
    %n = kernel.dispatch @norm grid #tokens (%h, %w) : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>, %v: tensor<16xf32>):
      %0 = transformer.rms_norm %i, %v epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    // CHECK: kernel.dispatch @next {{.*}}placement = [array<i64: 0, 0, 0>]
    %r = kernel.dispatch @next grid #tokens (%h, %n) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>, %j: tensor<?x16xf32>):
      %0 = transformer.residual %i, %j : tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    return %r : tensor<?x16xf32>
  }
}
