// Dispatches, repeated blocks and calls compute what their bodies compute.
// RUN: qopt-reference %s | FileCheck %s

transformer.parameter @two : tensor<2xf32> {
  %0 = arith.constant dense<[2.0, 20.0]> : tensor<2xf32>
  transformer.yield %0 : tensor<2xf32>
}
transformer.parameter @three : tensor<2xf32> {
  %0 = arith.constant dense<[3.0, 30.0]> : tensor<2xf32>
  transformer.yield %0 : tensor<2xf32>
}

// CHECK-LABEL: @dispatch result 0: tensor<1x2xf32>
// CHECK-NEXT: 7 10
// CHECK: @dispatch result 1: tensor<1x2xf32>
// CHECK-NEXT: 14 20
func.func @dispatch() -> (tensor<1x2xf32>, tensor<1x2xf32>) {
  %x = arith.constant dense<[[3.0, 4.0]]> : tensor<1x2xf32>
  %w = arith.constant dense<[[1.0, 1.0], [2.0, 1.0]]> : tensor<2x2xf32>
  %0:2 = kernel.dispatch @both grid affine_map<(t, r) -> (t)> (%x, %w)
      : (tensor<1x2xf32>, tensor<2x2xf32>) -> (tensor<1x2xf32>, tensor<1x2xf32>) {
  ^bb0(%a: tensor<1x2xf32>, %b: tensor<2x2xf32>):
    %1 = transformer.linear %a, %b : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
    %2 = transformer.residual %1, %1 : tensor<1x2xf32>
    kernel.yield %1, %2 : tensor<1x2xf32>, tensor<1x2xf32>
  }
  return %0#0, %0#1 : tensor<1x2xf32>, tensor<1x2xf32>
}

// [2, 2] is its own rms times 1: the first call gives the weight of the first row, plus x; the cache shows the layers.
// CHECK-LABEL: @repeat result 0: tensor<1x2xf32>
// CHECK-NEXT: 105 1050
// CHECK: @repeat result 1: !transformer.cache<layers = 4, heads = 1, dim = 2, f32>: 0 1 1 0
func.func private @block(%layer: index, %x: tensor<1x2xf32>, %c: !transformer.cache<layers = 4, heads = 1, dim = 2, f32>,
                         %hundred: tensor<1x2xf32>, %w: tensor<2xf32>)
    -> (tensor<1x2xf32>, !transformer.cache<layers = 4, heads = 1, dim = 2, f32>) {
  %z = arith.constant dense<0> : tensor<1xi32>
  %t = arith.constant dense<0> : tensor<1x1xi32>
  %d = transformer.cache_update %c[%layer], %x, %x at (%z, %z, %t)
      : !transformer.cache<layers = 4, heads = 1, dim = 2, f32>, tensor<1x2xf32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  %one = arith.constant dense<1.0> : tensor<1x2xf32>
  %0 = transformer.rms_norm %one, %w epsilon 0.0 : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %1 = transformer.residual %x, %0 : tensor<1x2xf32>
  %2 = func.call @same(%1) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  return %2, %d : tensor<1x2xf32>, !transformer.cache<layers = 4, heads = 1, dim = 2, f32>
}
func.func private @same(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  return %x : tensor<1x2xf32>
}
func.func @repeat(%c: !transformer.cache<layers = 4, heads = 1, dim = 2, f32>)
    -> (tensor<1x2xf32>, !transformer.cache<layers = 4, heads = 1, dim = 2, f32>) {
  %x = arith.constant dense<[[100.0, 1000.0]]> : tensor<1x2xf32>
  %0:2 = kernel.repeat @block from 1 (%x, %c) invariant (%x) table [[@two], [@three]]
      : (tensor<1x2xf32>, !transformer.cache<layers = 4, heads = 1, dim = 2, f32>, tensor<1x2xf32>)
      -> (tensor<1x2xf32>, !transformer.cache<layers = 4, heads = 1, dim = 2, f32>)
  return %0#0, %0#1 : tensor<1x2xf32>, !transformer.cache<layers = 4, heads = 1, dim = 2, f32>
}
