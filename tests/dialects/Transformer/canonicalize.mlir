// Folds and canonicalizations, and ops that must stay.
// RUN: qopt %s --canonicalize | FileCheck %s
// RUN: qopt %s --canonicalize | qopt --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @slice_of_everything
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>
// CHECK-NEXT: return %[[X]]
func.func @slice_of_everything(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = transformer.slice %x at 0 : tensor<?x8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @slice_of_slice
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32>
// CHECK-NEXT: %[[S:.*]] = transformer.slice %[[X]] at 5 : tensor<?x8xf32> -> tensor<?x2xf32>
// CHECK-NEXT: return %[[S]]
func.func @slice_of_slice(%x: tensor<?x8xf32>) -> tensor<?x2xf32> {
  %0 = transformer.slice %x at 4 : tensor<?x8xf32> -> tensor<?x4xf32>
  %1 = transformer.slice %0 at 1 : tensor<?x4xf32> -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// Known tokens in, unknown out: the types differ, so the op stays.
// CHECK-LABEL: func.func @slice_that_changes_the_type
// CHECK: transformer.slice
func.func @slice_that_changes_the_type(%x: tensor<2x8xf32>) -> tensor<?x8xf32> {
  %0 = transformer.slice %x at 0 : tensor<2x8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @concat_of_one
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>
// CHECK-NEXT: return %[[X]]
func.func @concat_of_one(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = transformer.concat %x : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %1 = transformer.concat %0 interleave 2 : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// CHECK-LABEL: func.func @concat_of_concat
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>, %[[Y:.*]]: tensor<2x4xf32>
// CHECK-NEXT: %[[C:.*]] = transformer.concat %[[Y]], %[[X]], %[[Y]], %[[X]] : (
// CHECK-NEXT: return %[[C]]
func.func @concat_of_concat(%x: tensor<8x4xf32>, %y: tensor<2x4xf32>) -> tensor<20x4xf32> {
  %0 = transformer.concat %x, %y : (tensor<8x4xf32>, tensor<2x4xf32>) -> tensor<10x4xf32>
  %1 = transformer.concat %y, %0, %x : (tensor<2x4xf32>, tensor<10x4xf32>, tensor<8x4xf32>) -> tensor<20x4xf32>
  return %1 : tensor<20x4xf32>
}

// CHECK-LABEL: func.func @interleaved_concats_stay
// CHECK: %[[A:.*]] = transformer.concat %{{.*}}, %{{.*}} interleave 2
// CHECK: %[[B:.*]] = transformer.concat %[[A]], %{{.*}} : (
// CHECK: transformer.concat %[[B]], %[[B]] interleave 4
func.func @interleaved_concats_stay(%x: tensor<4x4xf32>) -> tensor<24x4xf32> {
  %0 = transformer.concat %x, %x interleave 2 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
  %1 = transformer.concat %0, %x : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<12x4xf32>
  %2 = transformer.concat %1, %1 interleave 4 : (tensor<12x4xf32>, tensor<12x4xf32>) -> tensor<24x4xf32>
  return %2 : tensor<24x4xf32>
}

// CHECK-LABEL: func.func @unpermute_heads_of_two
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf32>
// CHECK-NEXT: return %[[X]]
func.func @unpermute_heads_of_two(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = transformer.unpermute_rotary %x heads 4 : tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// Twice is not the identity.
// CHECK-LABEL: func.func @unpermute_twice_stays
// CHECK-COUNT-2: transformer.unpermute_rotary
func.func @unpermute_twice_stays(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = transformer.unpermute_rotary %x heads 2 : tensor<8x4xf32>
  %1 = transformer.unpermute_rotary %0 heads 2 : tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}
