// It declines: logits that no linear makes have no input of a head to return, and a slice has no buffer.
// RUN: qopt %s --split-input-file --return-hidden-states --pass-counts -o %t.mlir 2>%t.counts && FileCheck %s < %t.mlir
// RUN: FileCheck %s --check-prefix=COUNTS --allow-empty < %t.counts
// COUNTS-NOT: 1 functions-changed

!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
// CHECK: -> (tensor<?x16xf32>, !transformer.cache<layers = 1, heads = 1, dim = 16, f32>) {
func.func @forward(%x: tensor<?x16xf32>, %c: !cache) -> (tensor<?x16xf32>, !cache) {
  return %x, %c : tensor<?x16xf32>, !cache
}

// -----

!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
transformer.parameter @head : tensor<32x16xf32>
// CHECK: -> (tensor<?x32xf32>, !transformer.cache<layers = 1, heads = 1, dim = 16, f32>) {
func.func @forward(%x: tensor<?x32xf32>, %c: !cache) -> (tensor<?x32xf32>, !cache) {
  %h = transformer.slice %x at 16 : tensor<?x32xf32> -> tensor<?x16xf32>
  %w = transformer.get @head : tensor<32x16xf32>
  %y = transformer.linear %h, %w : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
  return %y, %c : tensor<?x32xf32>, !cache
}
