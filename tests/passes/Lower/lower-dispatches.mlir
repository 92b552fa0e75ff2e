// Dispatches become private functions over memrefs, and @forward becomes the SPMD function of lib/Runtime/CompiledAbi.h: every
// worker claims ranges of each grid and waits at the barrier between dispatches.
// RUN: qopt %s --lower-dispatches | FileCheck %s
// All that is left is what the machine's pipeline takes.
// RUN: qopt %s --qopt-kernels --qopt-machine | FileCheck %s --check-prefix=MACHINE

#tokens = affine_map<(t, r) -> (t)>
#rows = affine_map<(t, r) -> (r)>
#two = affine_map<(t, r) -> (2)>
!cache = !transformer.cache<layers = 3, heads = 1, dim = 16, f32>

// One counter for each call of a dispatch: the block's two run three times, then there are the head's two, before it one.
// CHECK: module attributes {
// CHECK-SAME: kernel.counters = 9 : i64
module attributes {kernel.arena = array<i64: 0, 128, 64>, kernel.weights_bytes = 4352 : i64} {
  // CHECK: memref.global "private" constant @forward.block.offsets : memref<3x1xi64> = dense<{{\[\[}}0], [64], [128]]>
  transformer.parameter @n0 : tensor<16xf32> attributes {kernel.offset = 0 : i64}
  transformer.parameter @n1 : tensor<16xf32> attributes {kernel.offset = 64 : i64}
  transformer.parameter @n2 : tensor<16xf32> attributes {kernel.offset = 128 : i64}
  transformer.parameter @head : tensor<2x1024xi8> attributes {kernel.offset = 192 : i64}

  // CHECK-LABEL: func.func @qopt_forward(
  // CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr, %[[WORKER:.*]]: i64, %[[WORKERS:.*]]: i64) -> i32
  // CHECK: memref.atomic_rmw addi
  // CHECK: func.call @gather(
  // CHECK: llvm.call %{{.*}}(%{{.*}}, %[[WORKER]]) : !llvm.ptr, (!llvm.ptr, i64) -> i32
  // The repeat is a loop over rows of the table.
  // CHECK: memref.get_global @forward.block.offsets
  // CHECK: scf.for
  // CHECK:   func.call @norm(
  // CHECK:   llvm.call
  // CHECK:   func.call @add(
  // CHECK:   llvm.call
  // CHECK: func.call @select(
  // CHECK: func.call @head_
  // CHECK: return %{{.*}} : i32
  // CHECK-NOT: kernel.dispatch
  // CHECK-NOT: kernel.repeat
  // CHECK-NOT: func.func @forward
  // CHECK-NOT: func.func private @forward.block

  // Bindings, results, and the range of the grid.
  // CHECK-DAG: func.func private @norm(%{{.*}}: memref<?x16xf32>, %{{.*}}: memref<16xf32>, %{{.*}}: memref<?x16xf32>, %{{.*}}: index, %{{.*}}: index)
  // CHECK-DAG: func.func private @head_matmul(%{{.*}}: memref<?x16xf32>, %{{.*}}: memref<2x1024xi8>, %{{.*}}: memref<?x32xf32>, %{{.*}}: index, %{{.*}}: index)
  // MACHINE: module
  // MACHINE-NOT: {{(kernel|transformer|lowbit|memref|scf|vector|arith|func)\.}}
  // MACHINE: llvm.func @qopt_forward(
  func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %b: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @head : tensor<2x1024xi8>
    %x = kernel.dispatch @gather grid #tokens (%t, %table) {placement = [array<i64: 0, 0, 0>]}
        : (tensor<?xi32>, tensor<2x1024xi8>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?xi32>, %w: tensor<2x1024xi8>):
      %0 = lowbit.gather %i, %w rows 32 layout(#kernel.panel<code = f32, dot = 1>)
          : (tensor<?xi32>, tensor<2x1024xi8>) -> tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    %h = kernel.repeat @forward.block from 0 (%x) invariant () table [[@n0], [@n1], [@n2]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %l = kernel.dispatch @select grid #rows (%h, %r) {over_rows, placement = [array<i64: 0, 0, 0>]}
        : (tensor<?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>, %j: tensor<?xi32>):
      %0 = transformer.select_rows %i, %j : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    %y = kernel.dispatch @head_matmul grid #two (%l, %table) {over_rows, placement = ["logits"]}
        : (tensor<?x16xf32>, tensor<2x1024xi8>) -> tensor<?x32xf32> {
    ^bb0(%i: tensor<?x16xf32>, %w: tensor<2x1024xi8>):
      %0 = lowbit.matmul %i, %w layout(#kernel.panel<code = f32, dot = 1>)
          : (tensor<?x16xf32>, tensor<2x1024xi8>) -> tensor<?x32xf32>
      kernel.yield %0 : tensor<?x32xf32>
    }
    return %y, %c : tensor<?x32xf32>, !cache
  }
  func.func private @forward.block(%layer: index, %x: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
    %n = kernel.dispatch @norm grid #tokens (%x, %w) {placement = [array<i64: 0, 64, 0>]}
        : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>, %v: tensor<16xf32>):
      %0 = transformer.rms_norm %i, %v epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    %r = kernel.dispatch @add grid #tokens (%x, %n) {placement = [array<i64: 0, 0, 0>]}
        : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>, %j: tensor<?x16xf32>):
      %0 = transformer.residual %i, %j : tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    return %r : tensor<?x16xf32>
  }
}
