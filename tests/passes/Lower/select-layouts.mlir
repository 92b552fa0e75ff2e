// Each weight gets a panel layout, activations are encoded once for all that read them alike, and a tied embedding is
// stored once; doing it twice changes nothing.
// RUN: qopt %s --select-layouts -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --select-layouts | diff %t.once.mlir -

transformer.parameter @w : tensor<32x64xf32>
transformer.parameter @bf : tensor<32x64xbf16>
transformer.parameter @codes : tensor<32x64xi4>
transformer.parameter @codes2 : tensor<32x64xi4>
transformer.parameter @scales : tensor<32x1xf16>
transformer.parameter @scales2 : tensor<32x1xf16>
transformer.parameter @zeros : tensor<32x1xi8>
transformer.parameter @tied : tensor<48x64xf32>
transformer.parameter @input_scale : tensor<1xf32> {
  %0 = lowbit.activation_scale 0.125 : tensor<1xf32>
  transformer.yield %0 : tensor<1xf32>
}
transformer.parameter @other_scale : tensor<1xf32> {
  %0 = lowbit.activation_scale 0.5 : tensor<1xf32>
  transformer.yield %0 : tensor<1xf32>
}

// CHECK-LABEL: func.func @plain
func.func @plain(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  // CHECK: lowbit.matmul %{{.*}}, %{{.*}} layout(#kernel.panel<code = f32, dot = 1>)
  // CHECK-NOT: transformer.linear
  %w = transformer.get @w : tensor<32x64xf32>
  %y = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// A bf16 weight multiplies bf16 activations.
// CHECK-LABEL: func.func @bfloat
// CHECK: %[[P:.*]] = lowbit.encode %{{.*}} <kind = bf16> : tensor<?x64xf32> -> tensor<?x64xbf16>
// CHECK: lowbit.matmul %[[P]], %{{.*}} layout(#kernel.panel<code = bf16, dot = 2>)
func.func @bfloat(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %w = transformer.get @bf : tensor<32x64xbf16>
  %y = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xbf16>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Two linears, one encoding: unsigned codes need the sums of activations, symmetric or not.
// CHECK-LABEL: func.func @shared_encoding
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>)
func.func @shared_encoding(%x: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK: %[[P:.*]], %[[S:.*]], %[[Z:.*]] = lowbit.encode %[[X]] <kind = i8> sums 64
  // CHECK-NOT: lowbit.encode
  // CHECK-DAG: lowbit.matmul %[[P]] scales %[[S]] sums %[[Z]], %{{.*}} layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
  // CHECK-DAG: lowbit.matmul %[[P]] scales %[[S]] sums %[[Z]], %{{.*}} layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16, zeroPoints = true>)
  %c = transformer.get @codes : tensor<32x64xi4>
  %s = transformer.get @scales : tensor<32x1xf16>
  %c2 = transformer.get @codes2 : tensor<32x64xi4>
  %s2 = transformer.get @scales2 : tensor<32x1xf16>
  %z = transformer.get @zeros : tensor<32x1xi8>
  %a = lowbit.linear %x, %c, %s
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x32xf32>
  %b = lowbit.linear %x, %c2, %s2 zeros %z
      <weights = <bits = 4, symmetric = false, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>, tensor<32x1xi8>) -> tensor<?x32xf32>
  return %a, %b : tensor<?x32xf32>, tensor<?x32xf32>
}

// Static activations are encoded once for each scale, and never share with dynamic ones.
// CHECK-LABEL: func.func @static_activations
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>)
func.func @static_activations(%x: tensor<?x64xf32>)
    -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK-DAG: %[[I:.*]] = transformer.get @input_scale
  // CHECK-DAG: %[[P:.*]], %[[S:.*]], %[[Z:.*]] = lowbit.encode %[[X]] static %[[I]] <kind = i8, fixed = true> sums 64
  // CHECK-DAG: %[[I2:.*]] = transformer.get @other_scale
  // CHECK-DAG: %[[P2:.*]], %[[S2:.*]], %{{.*}} = lowbit.encode %[[X]] static %[[I2]] <kind = i8, fixed = true> sums 64
  // CHECK-DAG: %[[P3:.*]], %[[S3:.*]], %{{.*}} = lowbit.encode %[[X]] <kind = i8> sums 64
  // CHECK-NOT: lowbit.encode
  // CHECK: lowbit.matmul %[[P]] scales %[[S]] sums %[[Z]]
  // CHECK: lowbit.matmul %[[P]] scales %[[S]] sums %[[Z]]
  // CHECK: lowbit.matmul %[[P2]] scales %[[S2]]
  // CHECK: lowbit.matmul %[[P3]] scales %[[S3]]
  %c = transformer.get @codes : tensor<32x64xi4>
  %s = transformer.get @scales : tensor<32x1xf16>
  %i = transformer.get @input_scale : tensor<1xf32>
  %again = transformer.get @input_scale : tensor<1xf32>
  %other = transformer.get @other_scale : tensor<1xf32>
  %0 = lowbit.linear %x, %c, %s static %i
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>, tensor<1xf32>) -> tensor<?x32xf32>
  %1 = lowbit.linear %x, %c, %s static %again
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>, tensor<1xf32>) -> tensor<?x32xf32>
  %2 = lowbit.linear %x, %c, %s static %other
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>, tensor<1xf32>) -> tensor<?x32xf32>
  %3 = lowbit.linear %x, %c, %s
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x32xf32>
  return %0, %1, %2, %3 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// The gather reads the layout that the output head has.
// CHECK-LABEL: func.func @tied_embedding
func.func @tied_embedding(%t: tensor<?xi32>) -> tensor<?x48xf32> {
  // CHECK-DAG: %[[TABLE:.*]] = transformer.get @tied.packed : tensor<3x4096xi8>
  // CHECK-DAG: lowbit.gather %{{.*}}, %{{.*}} rows 48 layout(#kernel.panel<code = f32, dot = 1>)
  // CHECK-DAG: lowbit.matmul %{{.*}}, %{{.*}} layout(#kernel.panel<code = f32, dot = 1>)
  %e = transformer.get @tied : tensor<48x64xf32>
  %h = transformer.embedding %t, %e : (tensor<?xi32>, tensor<48x64xf32>) -> tensor<?x64xf32>
  %head = transformer.get @tied : tensor<48x64xf32>
  %y = transformer.linear %h, %head : (tensor<?x64xf32>, tensor<48x64xf32>) -> tensor<?x48xf32>
  return %y : tensor<?x48xf32>
}

// It leaves alone what has no weights.
// CHECK-LABEL: func.func @nothing_to_do
// CHECK-NEXT: transformer.residual
func.func @nothing_to_do(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %0 = transformer.residual %x, %x : tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// Each layout of a weight is packed once; the initializer says how.
// CHECK: transformer.parameter @w.packed : tensor<2x4096xi8> {
// CHECK: %[[W:.*]] = transformer.get @w : tensor<32x64xf32>
// CHECK: lowbit.pack %[[W]] layout(#kernel.panel<code = f32, dot = 1>)
// CHECK: transformer.parameter @codes2.packed : tensor<2x552xi8> {
// CHECK: lowbit.pack %{{.*}} scales %{{.*}} zeros %{{.*}} layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16, zeroPoints = true>)
// CHECK: transformer.parameter @tied.packed : tensor<3x4096xi8> {
// CHECK-NOT: transformer.parameter
