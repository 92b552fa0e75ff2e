// Every cache of the module changes its elements, in signatures and in ops; doing it twice changes nothing.
// RUN: qopt %s --set-cache-format -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --set-cache-format | diff %t.once.mlir -
// RUN: qopt %t.once.mlir --set-cache-format="format=f32" | FileCheck %s --check-prefix=BACK
// RUN: qopt %s --set-cache-format --pass-counts -o %t.counted.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: not qopt %s --set-cache-format="format=f64" 2>&1 | FileCheck %s --check-prefix=REFUSED
// COUNTS: 1 caches-changed
// REFUSED: Cannot find option named 'f64'

// CHECK-LABEL: func.func @forward
// CHECK-SAME: !transformer.cache<layers = 2, heads = 1, dim = 16, f16>) -> !transformer.cache<layers = 2, heads = 1, dim = 16, f16>
// CHECK: transformer.cache_update {{.*}} : <layers = 2, heads = 1, dim = 16, f16>
// CHECK-NOT: dim = 16, f32>
// BACK-LABEL: func.func @forward
// BACK-NOT: dim = 16, f16>
func.func @forward(%k: tensor<?x16xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>,
                   %c: !transformer.cache<layers = 2, heads = 1, dim = 16, f32>)
    -> !transformer.cache<layers = 2, heads = 1, dim = 16, f32> {
  %layer = arith.constant 1 : index
  %0 = transformer.cache_update %c[%layer], %k, %k at (%p, %s, %t)
      : !transformer.cache<layers = 2, heads = 1, dim = 16, f32>, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
  return %0 : !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
}

// It leaves alone what has no cache.
// CHECK-LABEL: func.func @nothing_to_do(%{{.*}}: tensor<?x16xf32>) -> tensor<?x16xf32>
func.func @nothing_to_do(%a: tensor<?x16xf32>) -> tensor<?x16xf32> {
  return %a : tensor<?x16xf32>
}
