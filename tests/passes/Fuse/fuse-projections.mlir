// Linears that share an input become one; doing it twice changes nothing; the results are the same to the last bit.
// RUN: qopt %s --fuse-projections -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --fuse-projections | diff %t.once.mlir -
// RUN: qopt-reference %s --against %t.once.mlir

transformer.parameter @q : tensor<32x32xf32>
transformer.parameter @k : tensor<16x32xf32>
transformer.parameter @v : tensor<16x32xf32>
// CHECK: transformer.parameter @[[QKV:.*]] : tensor<64x32xf32> {
// CHECK-DAG: %[[PQ:.*]] = transformer.get @q
// CHECK-DAG: %[[PK:.*]] = transformer.get @k
// CHECK-DAG: %[[PV:.*]] = transformer.get @v
// CHECK: transformer.concat %[[PQ]], %[[PK]], %[[PV]] : (tensor<32x32xf32>, tensor<16x32xf32>, tensor<16x32xf32>) -> tensor<64x32xf32>

transformer.parameter @gate : tensor<48x32xf32>
transformer.parameter @up : tensor<48x32xf32>
transformer.parameter @codes0 : tensor<32x64xi4>
transformer.parameter @codes1 : tensor<16x64xi4>
transformer.parameter @scales0 : tensor<32x1xf16>
transformer.parameter @scales1 : tensor<16x1xf16>
transformer.parameter @codes2 : tensor<16x64xi4>
transformer.parameter @codes3 : tensor<16x64xi4>
transformer.parameter @codes4 : tensor<16x64xi4>
transformer.parameter @codes5 : tensor<16x64xi4>
transformer.parameter @scales2 : tensor<16x1xf16>
transformer.parameter @scales3 : tensor<16x1xf16>
transformer.parameter @scales4 : tensor<16x1xf16>
transformer.parameter @scales5 : tensor<16x1xf16>
transformer.parameter @input_scale : tensor<1xf32> {
  %0 = lowbit.activation_scale 0.015625 : tensor<1xf32>
  transformer.yield %0 : tensor<1xf32>
}
transformer.parameter @other_scale : tensor<1xf32> {
  %0 = lowbit.activation_scale 0.03125 : tensor<1xf32>
  transformer.yield %0 : tensor<1xf32>
}
transformer.parameter @odd0 : tensor<24x32xf32>
transformer.parameter @odd1 : tensor<24x32xf32>
transformer.parameter @single : tensor<16x32xf32>
transformer.parameter @half : tensor<16x32xf16>
transformer.parameter @biased : tensor<16x32xf32>
transformer.parameter @unbiased : tensor<16x32xf32>
transformer.parameter @own : tensor<16x32xf32>
transformer.parameter @twice : tensor<16x32xf32>
transformer.parameter @once : tensor<16x32xf32>
transformer.parameter @bias : tensor<16xf32>

// CHECK-LABEL: func.func @attention_inputs
// CHECK-SAME: (%[[X:.*]]: tensor<?x32xf32>)
func.func @attention_inputs(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK: %[[W:.*]] = transformer.get @[[QKV]] : tensor<64x32xf32>
  // CHECK: %[[Y:.*]] = transformer.linear %[[X]], %[[W]] : (tensor<?x32xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  // CHECK: %[[Q:.*]] = transformer.slice %[[Y]] at 0 : tensor<?x64xf32> -> tensor<?x32xf32>
  // CHECK: %[[K:.*]] = transformer.slice %[[Y]] at 32 : tensor<?x64xf32> -> tensor<?x16xf32>
  // CHECK: %[[V:.*]] = transformer.slice %[[Y]] at 48 : tensor<?x64xf32> -> tensor<?x16xf32>
  // CHECK: return %[[Q]], %[[K]], %[[V]]
  %wq = transformer.get @q : tensor<32x32xf32>
  %wk = transformer.get @k : tensor<16x32xf32>
  %wv = transformer.get @v : tensor<16x32xf32>
  %q = transformer.linear %x, %wq : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  %k = transformer.linear %x, %wk : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  %v = transformer.linear %x, %wv : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  return %q, %k, %v : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}

// Gate comes first, in whatever order the linears stand.
// CHECK-LABEL: func.func @gated
func.func @gated(%x: tensor<?x32xf32>) -> tensor<?x48xf32> {
  // CHECK: %[[Y:.*]] = transformer.linear %{{.*}}, %{{.*}} : (tensor<?x32xf32>, tensor<96x32xf32>) -> tensor<?x96xf32>
  // CHECK: transformer.interleaved_gated_product silu %[[Y]] block 16 : tensor<?x96xf32> -> tensor<?x48xf32>
  // CHECK-NOT: transformer.slice
  %wu = transformer.get @up : tensor<48x32xf32>
  %wg = transformer.get @gate : tensor<48x32xf32>
  %u = transformer.linear %x, %wu : (tensor<?x32xf32>, tensor<48x32xf32>) -> tensor<?x48xf32>
  %g = transformer.linear %x, %wg : (tensor<?x32xf32>, tensor<48x32xf32>) -> tensor<?x48xf32>
  %p = transformer.gated_product silu %g, %u : tensor<?x48xf32>
  return %p : tensor<?x48xf32>
}

// Codes and scales are joined alike.
// CHECK-LABEL: func.func @quantized
func.func @quantized(%x: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  // CHECK-DAG: %[[C:.*]] = transformer.get @{{.*}} : tensor<48x64xi4>
  // CHECK-DAG: %[[S:.*]] = transformer.get @{{.*}} : tensor<48x1xf16>
  // CHECK: lowbit.linear %{{.*}}, %[[C]], %[[S]] <weights = <bits = 4
  %c0 = transformer.get @codes0 : tensor<32x64xi4>
  %s0 = transformer.get @scales0 : tensor<32x1xf16>
  %c1 = transformer.get @codes1 : tensor<16x64xi4>
  %s1 = transformer.get @scales1 : tensor<16x1xf16>
  %a = lowbit.linear %x, %c0, %s0
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>) -> tensor<?x32xf32>
  %b = lowbit.linear %x, %c1, %s1
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<16x64xi4>, tensor<16x1xf16>) -> tensor<?x16xf32>
  return %a, %b : tensor<?x32xf32>, tensor<?x16xf32>
}

// One static scale for all that read the input.
// CHECK-LABEL: func.func @static_activations
func.func @static_activations(%x: tensor<?x64xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK: %[[I:.*]] = transformer.get @input_scale
  // CHECK-NOT: transformer.get @input_scale
  // CHECK: lowbit.linear %{{.*}} static %[[I]] <{{.*}} -> tensor<?x32xf32>
  %c2 = transformer.get @codes2 : tensor<16x64xi4>
  %s2 = transformer.get @scales2 : tensor<16x1xf16>
  %c3 = transformer.get @codes3 : tensor<16x64xi4>
  %s3 = transformer.get @scales3 : tensor<16x1xf16>
  %i = transformer.get @input_scale : tensor<1xf32>
  %again = transformer.get @input_scale : tensor<1xf32>
  %a = lowbit.linear %x, %c2, %s2 static %i
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<16x64xi4>, tensor<16x1xf16>, tensor<1xf32>) -> tensor<?x16xf32>
  %b = lowbit.linear %x, %c3, %s3 static %again
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<16x64xi4>, tensor<16x1xf16>, tensor<1xf32>) -> tensor<?x16xf32>
  return %a, %b : tensor<?x16xf32>, tensor<?x16xf32>
}

// It declines: static scales that differ.
// CHECK-LABEL: func.func @other_scales
// CHECK-COUNT-2: lowbit.linear
func.func @other_scales(%x: tensor<?x64xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %c4 = transformer.get @codes4 : tensor<16x64xi4>
  %s4 = transformer.get @scales4 : tensor<16x1xf16>
  %c5 = transformer.get @codes5 : tensor<16x64xi4>
  %s5 = transformer.get @scales5 : tensor<16x1xf16>
  %i = transformer.get @input_scale : tensor<1xf32>
  %other = transformer.get @other_scale : tensor<1xf32>
  %a = lowbit.linear %x, %c4, %s4 static %i
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<16x64xi4>, tensor<16x1xf16>, tensor<1xf32>) -> tensor<?x16xf32>
  %b = lowbit.linear %x, %c5, %s5 static %other
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<16x64xi4>, tensor<16x1xf16>, tensor<1xf32>) -> tensor<?x16xf32>
  return %a, %b : tensor<?x16xf32>, tensor<?x16xf32>
}

// It declines: outputs that 16 does not divide.
// CHECK-LABEL: func.func @odd_outputs
// CHECK-COUNT-2: transformer.linear
func.func @odd_outputs(%x: tensor<?x32xf32>) -> (tensor<?x24xf32>, tensor<?x24xf32>) {
  %w = transformer.get @odd0 : tensor<24x32xf32>
  %v = transformer.get @odd1 : tensor<24x32xf32>
  %a = transformer.linear %x, %w : (tensor<?x32xf32>, tensor<24x32xf32>) -> tensor<?x24xf32>
  %b = transformer.linear %x, %v : (tensor<?x32xf32>, tensor<24x32xf32>) -> tensor<?x24xf32>
  return %a, %b : tensor<?x24xf32>, tensor<?x24xf32>
}

// It declines: weights of other types.
// CHECK-LABEL: func.func @other_types
// CHECK-COUNT-2: transformer.linear
func.func @other_types(%x: tensor<?x32xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %w = transformer.get @single : tensor<16x32xf32>
  %h = transformer.get @half : tensor<16x32xf16>
  %a = transformer.linear %x, %w : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  %b = transformer.linear %x, %h : (tensor<?x32xf32>, tensor<16x32xf16>) -> tensor<?x16xf32>
  return %a, %b : tensor<?x16xf32>, tensor<?x16xf32>
}

// It declines: one with a bias, one without.
// CHECK-LABEL: func.func @one_bias
// CHECK-COUNT-2: transformer.linear
func.func @one_bias(%x: tensor<?x32xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %k = transformer.get @biased : tensor<16x32xf32>
  %v = transformer.get @unbiased : tensor<16x32xf32>
  %b = transformer.get @bias : tensor<16xf32>
  %0 = transformer.linear %x, %k bias %b : (tensor<?x32xf32>, tensor<16x32xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %1 = transformer.linear %x, %v : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
}

// It declines: a weight that is not a parameter's value.
// CHECK-LABEL: func.func @foreign_weight
// CHECK-COUNT-2: transformer.linear
func.func @foreign_weight(%x: tensor<?x32xf32>, %w: tensor<16x32xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %k = transformer.get @own : tensor<16x32xf32>
  %0 = transformer.linear %x, %k : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  %1 = transformer.linear %x, %w : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
}

// It declines: another linear reads the weight as well, which would be stored twice.
// CHECK-LABEL: func.func @shared_weight
// CHECK-COUNT-3: transformer.linear
func.func @shared_weight(%x: tensor<?x32xf32>, %y: tensor<?x32xf32>)
    -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %k = transformer.get @twice : tensor<16x32xf32>
  %v = transformer.get @once : tensor<16x32xf32>
  %other = transformer.get @twice : tensor<16x32xf32>
  %0 = transformer.linear %x, %k : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  %1 = transformer.linear %x, %v : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  %2 = transformer.linear %y, %other : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
  return %0, %1, %2 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
