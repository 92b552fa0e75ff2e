// A group whose input is a linear of the group before reads the slice that the other has become; what the model returns
// stays a linear's own result, which has a buffer.
// RUN: qopt %s --fuse-projections -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --fuse-projections | diff %t.once.mlir -
// RUN: qopt-reference %s --function chain --against %t.once.mlir

transformer.parameter @a : tensor<16x32xf32>
transformer.parameter @b : tensor<16x32xf32>
transformer.parameter @c : tensor<16x16xf32>
transformer.parameter @d : tensor<16x16xf32>
transformer.parameter @e : tensor<16x16xf32>
transformer.parameter @f : tensor<16x16xf32>

// CHECK-LABEL: func.func @chain
// CHECK-SAME: (%[[X:.*]]: tensor<?x32xf32>)
// CHECK: %[[AB:.*]] = transformer.linear %[[X]]
// CHECK: %[[A:.*]] = transformer.slice %[[AB]] at 0
// CHECK: %[[CD:.*]] = transformer.linear %[[A]]
// CHECK-SAME: tensor<?x32xf32>
// CHECK-NOT: transformer.linear
func.func @chain(%x: tensor<?x32xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %wa = transformer.get @a : tensor<16x32xf32>
  %wb = transformer.get @b : tensor<16x32xf32>
  %wc = transformer.get @c : tensor<16x16xf32>
  %wd = transformer.get @d : tensor<16x16xf32>
  %a = transformer.linear %x, %wa : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  %b = transformer.linear %x, %wb : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  %c = transformer.linear %a, %wc : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %d = transformer.linear %a, %wd : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  return %b, %c, %d : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}

// CHECK-LABEL: func.func @forward
// CHECK-COUNT-2: transformer.linear
// CHECK-NOT: transformer.slice
func.func @forward(%x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %we = transformer.get @e : tensor<16x16xf32>
  %wf = transformer.get @f : tensor<16x16xf32>
  %e = transformer.linear %x, %we : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %f = transformer.linear %x, %wf : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  return %e, %f : tensor<?x16xf32>, tensor<?x16xf32>
}
