// One table for each distinct pair of positions and frequencies, at the start of the function; doing it twice changes
// nothing; the results are the same to the last bit.
// RUN: qopt %s --share-rotary-tables -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --share-rotary-tables | diff %t.once.mlir -
// RUN: qopt-reference %s --against %t.once.mlir

// CHECK-LABEL: func.func @two_layers
// CHECK-SAME: (%[[Q:.*]]: tensor<?x32xf32>, %[[K:.*]]: tensor<?x16xf32>, %[[P:.*]]: tensor<?xi32>)
func.func @two_layers(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %p: tensor<?xi32>)
    -> (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x32xf32>) {
  // CHECK-NEXT: %[[OTHER:.*]] = transformer.rotary_table %[[P]] <dim = 16, base = 5.000000e+05 : f64> : tensor<?xi32> -> tensor<?x16xf32>
  // CHECK-NEXT: %[[TABLE:.*]] = transformer.rotary_table %[[P]] <dim = 16, base = 1.000000e+04 : f64> : tensor<?xi32> -> tensor<?x16xf32>
  // CHECK-NOT: transformer.rotary{{[ _]}}
  // CHECK: %[[A:.*]] = transformer.rotate %[[Q]], %[[TABLE]] : tensor<?x32xf32>, tensor<?x16xf32>
  // CHECK: %[[B:.*]] = transformer.rotate %[[K]], %[[TABLE]] : tensor<?x16xf32>, tensor<?x16xf32>
  // CHECK: %[[C:.*]] = transformer.rotate %[[A]], %[[OTHER]] : tensor<?x32xf32>, tensor<?x16xf32>
  // CHECK: return %[[C]], %[[B]], %[[A]]
  %0 = transformer.rotary %q, %p <dim = 16, base = 1.0e4 : f64> : tensor<?x32xf32>, tensor<?xi32>
  %1 = transformer.rotary %k, %p <dim = 16, base = 1.0e4 : f64> : tensor<?x16xf32>, tensor<?xi32>
  %2 = transformer.rotary %0, %p <dim = 16, base = 5.0e5 : f64> : tensor<?x32xf32>, tensor<?xi32>
  return %2, %1, %0 : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x32xf32>
}

// Positions that the function computes have their table right after them.
// CHECK-LABEL: func.func @other_positions
func.func @other_positions(%q: tensor<?x16xf32>, %p: tensor<?xi32>, %o: tensor<?xi32>)
    -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK-COUNT-2: transformer.rotary_table
  // CHECK-COUNT-2: transformer.rotate
  %0 = transformer.rotary %q, %p <dim = 16, base = 1.0e4 : f64> : tensor<?x16xf32>, tensor<?xi32>
  %1 = transformer.rotary %q, %o <dim = 16, base = 1.0e4 : f64> : tensor<?x16xf32>, tensor<?xi32>
  return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
}

// It leaves alone what is not a rotary embedding.
// CHECK-LABEL: func.func @nothing_to_do
// CHECK-NEXT: %[[R:.*]] = transformer.residual
// CHECK-NEXT: return %[[R]]
func.func @nothing_to_do(%a: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %0 = transformer.residual %a, %a : tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}
