// RUN: qopt %s --form-dispatches | FileCheck %s

transformer.parameter @n : tensor<64xf32>
transformer.parameter @w : tensor<4x4096xi8>

// CHECK-DAG: #[[TOKENS:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[ROWS:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[FOUR:.*]] = affine_map<(d0, d1) -> (4)>

// What is of the wanted rows and what is of all tokens have grids of their own, in whatever order they stand.
// CHECK-LABEL: func.func @early_rows
// CHECK: kernel.dispatch @early_rows.0.select_rows.rms_norm grid #[[ROWS]](%{{.*}}) {over_rows}
// CHECK: kernel.dispatch @early_rows.1.activation grid #[[TOKENS]](%{{[^{]*}}) :
// CHECK: kernel.dispatch @early_rows.2.activation grid #[[ROWS]](%{{.*}}) {over_rows}
// CHECK: kernel.dispatch @early_rows.3.matmul grid #[[FOUR]](%{{[^{]*}}) :
func.func @early_rows(%x: tensor<?x64xf32>, %rows: tensor<?xi32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %n = transformer.get @n : tensor<64xf32>
  %s = transformer.select_rows %x, %rows : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  %m = transformer.rms_norm %s, %n epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %a = transformer.activation silu %x : tensor<?x64xf32>
  %e = transformer.activation silu %m : tensor<?x64xf32>
  %w = transformer.get @w : tensor<4x4096xi8>
  %y = lowbit.matmul %a, %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  return %e, %y : tensor<?x64xf32>, tensor<?x64xf32>
}
