// Weights that share codes and not scales are two, of a head and its table too.
// RUN: qopt %s --select-layouts -o %t.mlir && FileCheck %s < %t.mlir
// RUN: qopt-reference %s --function shared_codes --against %t.mlir

transformer.parameter @codes : tensor<32x64xi4>
transformer.parameter @scales : tensor<32x1xf16>
transformer.parameter @scales2 : tensor<32x1xf16>
transformer.parameter @scales3 : tensor<32x1xf16>

// CHECK-LABEL: func.func @shared_codes
// CHECK: %[[A:.*]] = transformer.get @[[FIRST:.*]] : tensor<2x544xi8>
// CHECK: lowbit.matmul %{{.*}} scales %{{.*}} sums %{{.*}}, %[[A]] layout
// CHECK: %[[B:.*]] = transformer.get @[[SECOND:.*]] : tensor<2x544xi8>
// CHECK: lowbit.matmul %{{.*}} scales %{{.*}} sums %{{.*}}, %[[B]] layout
func.func @shared_codes(%x: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %c = transformer.get @codes : tensor<32x64xi4>
  %s1 = transformer.get @scales : tensor<32x1xf16>
  %s2 = transformer.get @scales2 : tensor<32x1xf16>
  %y = lowbit.linear %x, %c, %s1
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x32xf32>
  %z = lowbit.linear %x, %c, %s2
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x32xf32>
  return %y, %z : tensor<?x32xf32>, tensor<?x32xf32>
}

// CHECK-LABEL: func.func @shared_tables
// CHECK: %[[C:.*]] = transformer.get @[[SECOND]] : tensor<2x544xi8>
// CHECK: lowbit.gather %{{.*}}, %[[C]] rows 32 layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
// CHECK: %[[D:.*]] = transformer.get @[[THIRD:.*]] : tensor<2x544xi8>
// CHECK: lowbit.gather %{{.*}}, %[[D]] rows 32 layout(#kernel.panel<code = u4, dot = 1, group = 64, scale = f16>)
func.func @shared_tables(%t: tensor<?xi32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %c = transformer.get @codes : tensor<32x64xi4>
  %s2 = transformer.get @scales2 : tensor<32x1xf16>
  %s3 = transformer.get @scales3 : tensor<32x1xf16>
  %e = lowbit.embedding %t, %c, %s2 <bits = 4, symmetric = true, group = 64, scale = f16>
      : (tensor<?xi32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x64xf32>
  %f = lowbit.embedding %t, %c, %s3 <bits = 4, symmetric = true, group = 64, scale = f16>
      : (tensor<?xi32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x64xf32>
  return %e, %f : tensor<?x64xf32>, tensor<?x64xf32>
}

// Each is packed with its own scales.
// CHECK: transformer.parameter @[[FIRST]] : tensor<2x544xi8> {
// CHECK: transformer.get @scales :
// CHECK: transformer.parameter @[[SECOND]] : tensor<2x544xi8> {
// CHECK: transformer.get @scales2 :
// CHECK: transformer.parameter @[[THIRD]] : tensor<2x544xi8> {
// CHECK: transformer.get @scales3 :
