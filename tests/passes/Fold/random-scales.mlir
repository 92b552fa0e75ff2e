// A pair wherever linears alone read a value; numbers from the seed; the model computes the same, and does so when they are
// folded.
// RUN: rm -rf %t && mkdir -p %t && cp %s %t/plain.mlir
// RUN: %python %S/Inputs/bind_parameters.py %t/plain.mlir
// RUN: qopt %t/plain.mlir --random-scales="directory=%t overlay=%t/scales.safetensors" --pass-counts -o %t/pairs.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: FileCheck %s --input-file=%t/pairs.mlir
// RUN: qopt inspect %t/scales.safetensors | FileCheck %s --check-prefix=ARCHIVE
// RUN: qopt-reference %t/pairs.mlir --against %t/plain.mlir --tolerance 2e-6
// RUN: qopt %t/pairs.mlir --fold-scales="directory=%t unfoldable=cancel" --pass-counts -o %t/folded.mlir 2>&1 | FileCheck %s --check-prefix=FOLDED
// RUN: qopt-reference %t/folded.mlir --against %t/plain.mlir --tolerance 2e-6 --compare-initializers
// Pairs that are left over are not compiled.
// RUN: not qopt %t/pairs.mlir --select-layouts 2>&1 | FileCheck %s --check-prefix=LEFT
// The same bytes from the same seed, others from another; within the octaves.
// RUN: qopt %t/plain.mlir --random-scales="directory=%t overlay=%t/again.safetensors" -o %t/again.mlir
// RUN: cmp %t/scales.safetensors %t/again.safetensors
// RUN: qopt %t/plain.mlir --random-scales="directory=%t overlay=%t/other.safetensors seed=1 octaves=0.5" -o %t/other.mlir
// RUN: not cmp %t/scales.safetensors %t/other.safetensors
// RUN: qopt %t/plain.mlir --random-scales="directory=%t overlay=%t/seed.safetensors seed=1" -o %t/seed.mlir
// RUN: not cmp %t/scales.safetensors %t/seed.safetensors
// RUN: %python %S/Inputs/check_factors.py %t/scales.safetensors 2 %t/other.safetensors 0.5
// A model without a place for a pair stays what it is, and no archive is written.
// RUN: qopt %t/plain.mlir --random-scales="directory=%t overlay=%t/scales.safetensors" --fold-scales="directory=%t unfoldable=cancel" -o %t/both.mlir && diff %t/folded.mlir %t/both.mlir
// RUN: echo "func.func @forward() { return }" | qopt --random-scales="directory=%t overlay=%t/none.safetensors" --pass-counts 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not ls %t/none.safetensors
// A weight that two values are multiplied by names two factors, whose pairs cannot be folded: the model is as it was.
// RUN: cp %S/Inputs/shared-weight.mlir %t/shared.mlir && %python %S/Inputs/bind_parameters.py %t/shared.mlir
// RUN: qopt %t/shared.mlir --random-scales="directory=%t overlay=%t/shared.scales.safetensors" -o %t/shared.pairs.mlir
// RUN: FileCheck %s --check-prefix=SHARED --input-file=%t/shared.pairs.mlir
// RUN: qopt-reference %t/shared.pairs.mlir --against %t/shared.mlir --tolerance 2e-6
// RUN: qopt %t/shared.mlir -o %t/shared.plain.mlir
// RUN: qopt %t/shared.pairs.mlir --fold-scales="directory=%t unfoldable=cancel" | sed 's/^module attributes {lowbit.cancelled_scales = .*} {$/module {/' | diff %t/shared.plain.mlir -

// Not the embedding's value, which the residual reads too; not the head's, which is returned; not what enters from outside.
// COUNTS: 3 pairs-inserted
// FOLDED: remark: {{.*}}scale by @down.random is cancelled: no scale can be taken through transformer.activation
// FOLDED: 2 pairs-folded, 1 pairs-cancelled, 0 scales-folded
// ARCHIVE-DAG: v.random
// ARCHIVE-DAG: o.random
// ARCHIVE-DAG: down.random
// LEFT: error: {{.*}}expected weights that are values of parameters
// SHARED-DAG: transformer.parameter @w.random : tensor<4xf32> from <@scales, "w.random", f32>
// SHARED-DAG: transformer.parameter @w.random.2 : tensor<4xf32> from <@scales, "w.random.2", f32>
// NONE: 0 pairs-inserted

// CHECK:      transformer.archive @numbers
// CHECK-NEXT: transformer.archive @scales "scales.safetensors" size {{[0-9]+}} header "sha256:
// CHECK:      transformer.parameter @v.random : tensor<8xf32> from <@scales, "v.random", f32>
// CHECK:      transformer.parameter @v : tensor<4x8xf32>
// Two value heads of two elements for four query heads: four numbers to choose.
// CHECK:      transformer.parameter @o.random : tensor<4xf32> from <@scales, "o.random", f32>
// CHECK:      transformer.parameter @down.random : tensor<6xf32>
// CHECK-LABEL: func.func @forward
// CHECK:      %[[N:.*]] = transformer.rms_norm
// CHECK-NEXT: %[[F:.*]] = transformer.get @v.random : tensor<8xf32>
// CHECK-NEXT: %[[S:.*]] = lowbit.scale %[[N]] by %[[F]] axis 1 inverse : tensor<3x8xf32>
// CHECK:      %[[F:.*]] = transformer.get @v.random : tensor<8xf32>
// CHECK-NEXT: %[[W:.*]] = lowbit.scale %{{.*}} by %[[F]] axis 1 : tensor<4x8xf32>
// CHECK-NEXT: transformer.linear %[[S]], %[[W]] :
// CHECK:      %[[F:.*]] = transformer.get @v.random : tensor<8xf32>
// CHECK-NEXT: %[[W:.*]] = lowbit.scale %{{.*}} by %[[F]] axis 1 : tensor<6x8xf32>
// CHECK-NEXT: transformer.linear %[[S]], %[[W]] bias
// CHECK:      %[[A:.*]] = transformer.attention
// CHECK-NEXT: %[[F:.*]] = transformer.get @o.random : tensor<4xf32>
// CHECK-NEXT: %[[H:.*]] = lowbit.repeat_heads %[[F]] times 2 dim 2 : tensor<4xf32> -> tensor<8xf32>
// CHECK-NEXT: lowbit.scale %[[A]] by %[[H]] axis 1 inverse
// CHECK:      %[[H:.*]] = lowbit.repeat_heads %{{.*}} times 2 dim 2
// CHECK-NEXT: lowbit.scale %{{.*}} by %[[H]] axis 1 :
// CHECK:      %[[G:.*]] = transformer.activation
// CHECK-NEXT: %[[F:.*]] = transformer.get @down.random : tensor<6xf32>
// CHECK-NEXT: lowbit.scale %[[G]] by %[[F]] axis 1 inverse
// CHECK:      %[[R:.*]] = transformer.residual
// CHECK-NOT:  lowbit.scale
transformer.parameter @table : tensor<5x8xf32>
transformer.parameter @norm : tensor<8xf32>
transformer.parameter @v : tensor<4x8xf32>
transformer.parameter @up : tensor<6x8xf32>
transformer.parameter @up.b : tensor<6xf32>
transformer.parameter @o : tensor<8x8xf32>
transformer.parameter @down : tensor<8x6xf32>
transformer.parameter @head : tensor<5x8xf32>
transformer.parameter @k : tensor<3x4xf32>
func.func @forward(%c: !transformer.cache<layers = 1, heads = 2, dim = 2, f32>, %x: tensor<?x8xf32>)
    -> (tensor<3x5xf32>, tensor<3x8xf32>, tensor<?x5xf32>) {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 0 : index
  %table = transformer.get @table : tensor<5x8xf32>
  %norm = transformer.get @norm : tensor<8xf32>
  %v = transformer.get @v : tensor<4x8xf32>
  %up = transformer.get @up : tensor<6x8xf32>
  %upb = transformer.get @up.b : tensor<6xf32>
  %o = transformer.get @o : tensor<8x8xf32>
  %down = transformer.get @down : tensor<8x6xf32>
  %head = transformer.get @head : tensor<5x8xf32>
  %k = transformer.get @k : tensor<3x4xf32>
  %0 = transformer.embedding %positions, %table : (tensor<3xi32>, tensor<5x8xf32>) -> tensor<3x8xf32>
  %1 = transformer.rms_norm %0, %norm epsilon 1.0e-5 : (tensor<3x8xf32>, tensor<8xf32>) -> tensor<3x8xf32>
  %2 = transformer.linear %1, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %3 = transformer.linear %1, %up bias %upb : (tensor<3x8xf32>, tensor<6x8xf32>, tensor<6xf32>) -> tensor<3x6xf32>
  %4 = transformer.cache_update %c[%layer], %k, %2 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 1, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %5 = transformer.attention %0, %4[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 1, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %6 = transformer.linear %5, %o : (tensor<3x8xf32>, tensor<8x8xf32>) -> tensor<3x8xf32>
  %7 = transformer.activation gelu %3 : tensor<3x6xf32>
  %8 = transformer.linear %7, %down : (tensor<3x6xf32>, tensor<8x6xf32>) -> tensor<3x8xf32>
  %9 = transformer.residual %6, %8 : tensor<3x8xf32>
  %10 = transformer.linear %9, %head : (tensor<3x8xf32>, tensor<5x8xf32>) -> tensor<3x5xf32>
  %11 = transformer.linear %x, %head : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
  return %10, %9, %11 : tensor<3x5xf32>, tensor<3x8xf32>, tensor<?x5xf32>
}
