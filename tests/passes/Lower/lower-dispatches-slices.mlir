// Slices are views of what they were taken from: rows are selected of the buffer, at the columns that the slices leave.
// RUN: qopt %s --lower-dispatches | FileCheck %s

#tokens = affine_map<(t, r) -> (t)>
#rows = affine_map<(t, r) -> (r)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>

module attributes {kernel.arena = array<i64: 0, 192, 0>} {
  // CHECK-LABEL: func.func private @select(
  // CHECK-SAME: %[[IN:[^:]*]]: memref<?x48xf32>, %[[ROWS:[^:]*]]: memref<?xi32>, %[[OUT:[^:]*]]: memref<?x16xf32>
  // CHECK: memref.load %[[ROWS]]
  // CHECK: %[[SKIPPED:.*]] = arith.constant 24 : index
  // CHECK: %[[AT:.*]] = arith.addi %{{.*}}, %[[SKIPPED]] : index
  // CHECK: vector.load %[[IN]][%{{.*}}, %[[AT]]] : memref<?x48xf32>, vector<16xf32>
  // CHECK: vector.store %{{.*}}, %[[OUT]]
  func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %b: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache) -> (tensor<?x16xf32>, !cache) {
    %x = kernel.dispatch @table grid #tokens (%p) {placement = [array<i64: 0, 0, 0>]}
        : (tensor<?xi32>) -> tensor<?x48xf32> {
    ^bb0(%i: tensor<?xi32>):
      %0 = transformer.rotary_table %i <dim = 48, base = 1.0e4 : f64> : tensor<?xi32> -> tensor<?x48xf32>
      kernel.yield %0 : tensor<?x48xf32>
    }
    %y = kernel.dispatch @select grid #rows (%x, %r) {over_rows, placement = ["logits"]}
        : (tensor<?x48xf32>, tensor<?xi32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x48xf32>, %j: tensor<?xi32>):
      %0 = transformer.slice %i at 4 : tensor<?x48xf32> -> tensor<?x40xf32>
      %1 = transformer.slice %0 at 20 : tensor<?x40xf32> -> tensor<?x16xf32>
      %2 = transformer.select_rows %1, %j : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
      kernel.yield %2 : tensor<?x16xf32>
    }
    return %y, %c : tensor<?x16xf32>, !cache
  }
}
