// @forward returns what its head reads, beside what it returned; doing it twice changes nothing; the logits stay.
// RUN: qopt %s --return-hidden-states -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --return-hidden-states | diff %t.once.mlir -
// RUN: qopt %s --return-hidden-states --pass-counts -o %t.counted.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// COUNTS: 1 functions-changed

!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
transformer.parameter @n : tensor<16xf32>
transformer.parameter @w : tensor<32x16xf32>

// CHECK-LABEL: func.func @forward
// CHECK-SAME: -> (tensor<?x32xf32>, !transformer.cache<layers = 1, heads = 1, dim = 16, f32>, tensor<?x16xf32>)
// CHECK: %[[H:.*]] = transformer.rms_norm
// CHECK: %[[Y:.*]] = transformer.linear %[[H]],
// CHECK: return %[[Y]], %{{.*}}, %[[H]]
func.func @forward(%x: tensor<?x16xf32>, %c: !cache) -> (tensor<?x32xf32>, !cache) {
  %n = transformer.get @n : tensor<16xf32>
  %h = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %w = transformer.get @w : tensor<32x16xf32>
  %y = transformer.linear %h, %w : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
  return %y, %c : tensor<?x32xf32>, !cache
}

// It leaves alone every other function.
// CHECK-LABEL: func.func @other(%{{.*}}: tensor<?x16xf32>) -> tensor<?x16xf32>
func.func @other(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  return %x : tensor<?x16xf32>
}
