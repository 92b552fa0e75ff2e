// It declines: logits that no linear makes have no input of a head to return.
// RUN: qopt %s --return-hidden-states --pass-counts -o %t.mlir 2>%t.counts && FileCheck %s < %t.mlir
// RUN: FileCheck %s --check-prefix=COUNTS --allow-empty < %t.counts
// COUNTS-NOT: 1 functions-changed

!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
// CHECK: -> (tensor<?x16xf32>, !transformer.cache<layers = 1, heads = 1, dim = 16, f32>) {
func.func @forward(%x: tensor<?x16xf32>, %c: !cache) -> (tensor<?x16xf32>, !cache) {
  return %x, %c : tensor<?x16xf32>, !cache
}
