// Each rule alone: where the scale of activations goes, that its inverse goes into the weights that read them, and that the
// function computes what it did.
// RUN: rm -rf %t && mkdir -p %t && cp %s %t/plain.mlir
// RUN: %python %S/Inputs/bind_parameters.py %t/plain.mlir
// RUN: qopt %t/plain.mlir --fold-scales=directory=%t --pass-counts -o %t/folded.mlir 2> %t/counts
// RUN: FileCheck %s --implicit-check-not=lowbit.scale < %t/folded.mlir
// RUN: FileCheck %s --check-prefix=COUNTS < %t/counts
// RUN: qopt-reference %t/folded.mlir --against %t/plain.mlir --tolerance 2e-6 --compare-initializers | FileCheck %s --check-prefix=SAME
// Doing it twice changes nothing.
// RUN: qopt %t/folded.mlir --fold-scales=directory=%t | diff %t/folded.mlir -
// Nothing is cancelled that can be folded.
// RUN: qopt %t/plain.mlir --fold-scales="directory=%t unfoldable=cancel" | diff %t/folded.mlir -

// COUNTS: 13 pairs-folded, 0 pairs-cancelled, 3 scales-folded
// SAME: 31 initializers are equal
// SAME-COUNT-14: greatest difference

// CHECK:      transformer.parameter @rms.w.unscaled : tensor<4xf32> from <@numbers, "rms.w", f32>
// CHECK-NEXT: transformer.parameter @rms.w : tensor<4xf32> {
// CHECK-NEXT:   %[[W:.*]] = transformer.get @rms.w.unscaled : tensor<4xf32>
// CHECK-NEXT:   %[[S:.*]] = transformer.get @rms.s : tensor<4xf32>
// CHECK-NEXT:   %[[R:.*]] = lowbit.scale %[[W]] by %[[S]] axis 0 inverse : tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>
// CHECK-NEXT:   transformer.yield %[[R]] : tensor<4xf32>
// CHECK:      transformer.parameter @rms.a.unscaled : tensor<6x4xf32> from <@numbers, "rms.a", f32>
// CHECK-NEXT: transformer.parameter @rms.a : tensor<6x4xf32> {
// CHECK-NEXT:   %[[W:.*]] = transformer.get @rms.a.unscaled : tensor<6x4xf32>
// CHECK-NEXT:   %[[S:.*]] = transformer.get @rms.s : tensor<4xf32>
// CHECK-NEXT:   %[[R:.*]] = lowbit.scale %[[W]] by %[[S]] axis 1 : tensor<6x4xf32>, tensor<4xf32> -> tensor<6x4xf32>
// CHECK-NEXT:   transformer.yield %[[R]] : tensor<6x4xf32>
// CHECK:      transformer.parameter @rms.b : tensor<2x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 : tensor<2x4xf32>
// CHECK-LABEL: func.func @rms_norm
// CHECK-DAG:  %[[W:.*]] = transformer.get @rms.w : tensor<4xf32>
// CHECK-DAG:  %[[A:.*]] = transformer.get @rms.a : tensor<6x4xf32>
// CHECK-DAG:  %[[B:.*]] = transformer.get @rms.b : tensor<2x4xf32>
// CHECK-NOT:  transformer.get @rms.s
// CHECK-DAG:  %[[N:.*]] = transformer.rms_norm %{{.*}}, %[[W]] epsilon
// CHECK-DAG:  lowbit.observe %[[N]] "inputs"
// CHECK-DAG:  transformer.linear %[[N]], %[[A]] :
// CHECK-DAG:  transformer.linear %[[N]], %[[B]] :
transformer.parameter @rms.w : tensor<4xf32>
transformer.parameter @rms.s : tensor<4xf32>
transformer.parameter @rms.a : tensor<6x4xf32>
transformer.parameter @rms.b : tensor<2x4xf32>
func.func @rms_norm(%x: tensor<?x4xf32>) -> (tensor<?x6xf32>, tensor<?x2xf32>) {
  %w = transformer.get @rms.w : tensor<4xf32>
  %s = transformer.get @rms.s : tensor<4xf32>
  %a = transformer.get @rms.a : tensor<6x4xf32>
  %b = transformer.get @rms.b : tensor<2x4xf32>
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  lowbit.observe %0 "inputs" : tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  lowbit.observe %1 "scaled inputs" : tensor<?x4xf32>
  %2 = lowbit.scale %a by %s axis 1 : tensor<6x4xf32>, tensor<4xf32> -> tensor<6x4xf32>
  %3 = transformer.linear %1, %2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %4 = lowbit.scale %b by %s axis 1 : tensor<2x4xf32>, tensor<4xf32> -> tensor<2x4xf32>
  %5 = transformer.linear %1, %4 : (tensor<?x4xf32>, tensor<2x4xf32>) -> tensor<?x2xf32>
  return %3, %5 : tensor<?x6xf32>, tensor<?x2xf32>
}

// The shift is divided too.
// CHECK:      transformer.parameter @layer.w : tensor<4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 inverse : tensor<4xf32>
// CHECK:      transformer.parameter @layer.b : tensor<4xf32> {
// CHECK-NEXT:   %[[B:.*]] = transformer.get @layer.b.unscaled : tensor<4xf32>
// CHECK-NEXT:   %[[S:.*]] = transformer.get @layer.s : tensor<4xf32>
// CHECK-NEXT:   lowbit.scale %[[B]] by %[[S]] axis 0 inverse : tensor<4xf32>
// CHECK:      transformer.parameter @layer.a : tensor<6x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 : tensor<6x4xf32>
// CHECK-LABEL: func.func @layer_norm
transformer.parameter @layer.w : tensor<4xf32>
transformer.parameter @layer.b : tensor<4xf32>
transformer.parameter @layer.s : tensor<4xf32>
transformer.parameter @layer.a : tensor<6x4xf32>
func.func @layer_norm(%x: tensor<?x4xf32>) -> tensor<?x6xf32> {
  %w = transformer.get @layer.w : tensor<4xf32>
  %b = transformer.get @layer.b : tensor<4xf32>
  %s = transformer.get @layer.s : tensor<4xf32>
  %a = transformer.get @layer.a : tensor<6x4xf32>
  %0 = transformer.layer_norm %x, %w bias %b epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %a by %s axis 1 : tensor<6x4xf32>, tensor<4xf32> -> tensor<6x4xf32>
  %3 = transformer.linear %1, %2 : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  return %3 : tensor<?x6xf32>
}

// A linear takes the scale in by rows, its bias by elements; the other way round than above: activations times the factor,
// weights divided. A weight in bf16 becomes f32: a product has more digits.
// CHECK:      transformer.parameter @linear.w : tensor<4x6xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 : tensor<4x6xf32>
// CHECK:      transformer.parameter @linear.b : tensor<4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 : tensor<4xf32>
// CHECK:      transformer.parameter @linear.a.unscaled : tensor<3x4xbf16> from <@numbers, "linear.a", bf16>
// CHECK:      transformer.parameter @linear.a : tensor<3x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 inverse : tensor<3x4xbf16>, tensor<4xf32> -> tensor<3x4xf32>
// CHECK-LABEL: func.func @linear
// CHECK:      transformer.get @linear.a : tensor<3x4xf32>
transformer.parameter @linear.w : tensor<4x6xf32>
transformer.parameter @linear.b : tensor<4xf32>
transformer.parameter @linear.s : tensor<4xf32>
transformer.parameter @linear.a : tensor<3x4xbf16>
func.func @linear(%x: tensor<?x6xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @linear.w : tensor<4x6xf32>
  %b = transformer.get @linear.b : tensor<4xf32>
  %s = transformer.get @linear.s : tensor<4xf32>
  %a = transformer.get @linear.a : tensor<3x4xbf16>
  %0 = transformer.linear %x, %w bias %b : (tensor<?x6xf32>, tensor<4x6xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %a by %s axis 1 inverse : tensor<3x4xbf16>, tensor<4xf32> -> tensor<3x4xf32>
  %3 = transformer.linear %1, %2 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %3 : tensor<?x3xf32>
}

// The up side of a gated product, and nothing of the gate.
// CHECK:      transformer.parameter @gated.gate : tensor<6x4xf32> from
// CHECK:      transformer.parameter @gated.up : tensor<6x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 inverse : tensor<6x4xf32>
// CHECK:      transformer.parameter @gated.down : tensor<4x6xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 : tensor<4x6xf32>
// CHECK-LABEL: func.func @gated
transformer.parameter @gated.gate : tensor<6x4xf32>
transformer.parameter @gated.up : tensor<6x4xf32>
transformer.parameter @gated.s : tensor<6xf32>
transformer.parameter @gated.down : tensor<4x6xf32>
func.func @gated(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %g = transformer.get @gated.gate : tensor<6x4xf32>
  %u = transformer.get @gated.up : tensor<6x4xf32>
  %s = transformer.get @gated.s : tensor<6xf32>
  %d = transformer.get @gated.down : tensor<4x6xf32>
  %0 = transformer.linear %x, %g : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %1 = transformer.linear %x, %u : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  %2 = transformer.gated_product silu %0, %1 : tensor<?x6xf32>
  %3 = lowbit.scale %2 by %s axis 1 inverse : tensor<?x6xf32>, tensor<6xf32> -> tensor<?x6xf32>
  %4 = lowbit.scale %d by %s axis 1 : tensor<4x6xf32>, tensor<6xf32> -> tensor<4x6xf32>
  %5 = transformer.linear %3, %4 : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// One query head for each value head: the factor goes to the values as it is.
// CHECK:      transformer.parameter @heads.v : tensor<4x4xf32> {
// CHECK-NEXT:   %[[W:.*]] = transformer.get @heads.v.unscaled : tensor<4x4xf32>
// CHECK-NEXT:   %[[S:.*]] = transformer.get @heads.s : tensor<4xf32>
// CHECK-NEXT:   lowbit.scale %[[W]] by %[[S]] axis 0 inverse : tensor<4x4xf32>
// CHECK:      transformer.parameter @heads.vb : tensor<4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 inverse : tensor<4xf32>
// CHECK:      transformer.parameter @heads.o : tensor<3x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 : tensor<3x4xf32>
// CHECK-LABEL: func.func @heads
transformer.parameter @heads.v : tensor<4x4xf32>
transformer.parameter @heads.vb : tensor<4xf32>
transformer.parameter @heads.s : tensor<4xf32>
transformer.parameter @heads.o : tensor<3x4xf32>
func.func @heads(%c: !transformer.cache<layers = 3, heads = 2, dim = 2, f32>) -> tensor<?x3xf32> {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 0 : index
  %x = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 1.0], [-2.0, 0.25, 1.0, -0.5]]> : tensor<3x4xf32>
  %v = transformer.get @heads.v : tensor<4x4xf32>
  %vb = transformer.get @heads.vb : tensor<4xf32>
  %s = transformer.get @heads.s : tensor<4xf32>
  %o = transformer.get @heads.o : tensor<3x4xf32>
  %0 = transformer.linear %x, %v bias %vb : (tensor<3x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
  %1 = transformer.cache_update %c[%layer], %x, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 3, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %2 = transformer.attention %x, %1[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x4xf32>, !transformer.cache<layers = 3, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %3 = lowbit.scale %2 by %s axis 1 inverse : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %4 = lowbit.scale %o by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %5 = transformer.linear %3, %4 : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %5 : tensor<?x3xf32>
}

// Query heads in groups of two: the values take what lowbit.repeat_heads repeats, the weight that reads them what it makes of it.
// Other layers of the same cache do not matter.
// CHECK:      transformer.parameter @grouped.v : tensor<4x8xf32> {
// CHECK-NEXT:   %[[W:.*]] = transformer.get @grouped.v.unscaled : tensor<4x8xf32>
// CHECK-NEXT:   %[[S:.*]] = transformer.get @grouped.s : tensor<4xf32>
// CHECK-NEXT:   lowbit.scale %[[W]] by %[[S]] axis 0 inverse : tensor<4x8xf32>, tensor<4xf32>
// CHECK:      transformer.parameter @grouped.o : tensor<3x8xf32> {
// CHECK-NEXT:   %[[W:.*]] = transformer.get @grouped.o.unscaled : tensor<3x8xf32>
// CHECK-NEXT:   %[[S:.*]] = transformer.get @grouped.s : tensor<4xf32>
// CHECK-NEXT:   %[[H:.*]] = lowbit.repeat_heads %[[S]] times 2 dim 2 : tensor<4xf32> -> tensor<8xf32>
// CHECK-NEXT:   lowbit.scale %[[W]] by %[[H]] axis 1 : tensor<3x8xf32>
// CHECK-LABEL: func.func @grouped
// CHECK-NOT:  lowbit.repeat_heads
// CHECK:      return
transformer.parameter @grouped.v : tensor<4x8xf32>
transformer.parameter @grouped.other : tensor<4x8xf32>
transformer.parameter @grouped.s : tensor<4xf32>
transformer.parameter @grouped.o : tensor<3x8xf32>
func.func @grouped(%c: !transformer.cache<layers = 3, heads = 2, dim = 2, f32>) -> (tensor<?x3xf32>, tensor<3x8xf32>) {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 1 : index
  %other = arith.constant 2 : index
  %x = arith.constant dense<[[1.0, 2.0, 3.0, 4.0, -4.0, 3.0, -2.0, 1.0], [0.5, -1.0, 2.0, 1.0, 0.0, 0.125, 3.0, 1.0],
                             [-2.0, 0.25, 1.0, -0.5, 1.0, 2.0, -1.0, -3.0]]> : tensor<3x8xf32>
  %k = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 1.0], [-2.0, 0.25, 1.0, -0.5]]> : tensor<3x4xf32>
  %v = transformer.get @grouped.v : tensor<4x8xf32>
  %w = transformer.get @grouped.other : tensor<4x8xf32>
  %s = transformer.get @grouped.s : tensor<4xf32>
  %o = transformer.get @grouped.o : tensor<3x8xf32>
  %0 = transformer.linear %x, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %1 = transformer.linear %x, %w : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %2 = transformer.cache_update %c[%layer], %k, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 3, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %3 = transformer.cache_update %2[%other], %k, %1 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 3, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %4 = transformer.attention %x, %3[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 3, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %5 = transformer.attention %x, %3[%other] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 3, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %r = lowbit.repeat_heads %s times 2 dim 2 : tensor<4xf32> -> tensor<8xf32>
  %6 = lowbit.scale %4 by %r axis 1 inverse : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %7 = lowbit.scale %o by %r axis 1 : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %8 = transformer.linear %6, %7 : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<?x3xf32>
  return %8, %5 : tensor<?x3xf32>, tensor<3x8xf32>
}

// An embedding that nothing else reads takes the scale in by columns; so it may be behind a selection of rows.
// CHECK:      transformer.parameter @table : tensor<5x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 inverse : tensor<5x4xf32>
// CHECK:      transformer.parameter @table.a : tensor<3x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 : tensor<3x4xf32>
// CHECK-LABEL: func.func @embedding
// CHECK:      %[[E:.*]] = transformer.embedding
// CHECK-NEXT: %[[R:.*]] = transformer.select_rows %[[E]]
// CHECK-NEXT: transformer.linear %[[R]]
transformer.parameter @table : tensor<5x4xf32>
transformer.parameter @table.s : tensor<4xf32>
transformer.parameter @table.a : tensor<3x4xf32>
func.func @embedding() -> tensor<2x3xf32> {
  %tokens = arith.constant dense<[4, 0, 3]> : tensor<3xi32>
  %rows = arith.constant dense<[2, 0]> : tensor<2xi32>
  %t = transformer.get @table : tensor<5x4xf32>
  %s = transformer.get @table.s : tensor<4xf32>
  %a = transformer.get @table.a : tensor<3x4xf32>
  %0 = transformer.embedding %tokens, %t : (tensor<3xi32>, tensor<5x4xf32>) -> tensor<3x4xf32>
  %1 = transformer.select_rows %0, %rows : tensor<3x4xf32>, tensor<2xi32> -> tensor<2x4xf32>
  %2 = lowbit.scale %1 by %s axis 1 inverse : tensor<2x4xf32>, tensor<4xf32> -> tensor<2x4xf32>
  %3 = lowbit.scale %a by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %4 = transformer.linear %2, %3 : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
  return %4 : tensor<2x3xf32>
}

// Two pairs at one place, and one that stands before the other's linears: each is taken in, in an order of its own.
// CHECK:      transformer.parameter @twice.w : tensor<4xf32> {
// CHECK-NEXT:   %[[W:.*]] = transformer.get @twice.w.unscaled
// CHECK-NEXT:   %[[S:.*]] = transformer.get @twice.s
// CHECK-NEXT:   %[[R:.*]] = lowbit.scale %[[W]] by %[[S]] axis 0 inverse
// CHECK-NEXT:   %[[T:.*]] = transformer.get @twice.t
// CHECK-NEXT:   %[[Q:.*]] = lowbit.scale %[[R]] by %[[T]] axis 0 :
// CHECK-NEXT:   transformer.yield %[[Q]]
// CHECK:      transformer.parameter @twice.a : tensor<3x4xf32> {
// CHECK-DAG:    %[[S:.*]] = transformer.get @twice.s
// CHECK-DAG:    %[[T:.*]] = transformer.get @twice.t
// CHECK-DAG:    lowbit.scale %{{.*}} by %[[S]] axis 1 :
// CHECK-DAG:    lowbit.scale %{{.*}} by %[[T]] axis 1 inverse
// CHECK-LABEL: func.func @twice
transformer.parameter @twice.w : tensor<4xf32>
transformer.parameter @twice.s : tensor<4xf32>
transformer.parameter @twice.t : tensor<4xf32>
transformer.parameter @twice.a : tensor<3x4xf32>
func.func @twice(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @twice.w : tensor<4xf32>
  %s = transformer.get @twice.s : tensor<4xf32>
  %t = transformer.get @twice.t : tensor<4xf32>
  %a = transformer.get @twice.a : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %1 by %t axis 1 : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %3 = lowbit.scale %a by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %4 = lowbit.scale %3 by %t axis 1 inverse : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %5 = transformer.linear %2, %4 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %5 : tensor<?x3xf32>
}

// A parameter that has an initializer gets scales at its end.
// CHECK:      transformer.parameter @made : tensor<4x6xf32> {
// CHECK-NEXT:   %[[M:.*]] = transformer.get @made.stored
// CHECK-NEXT:   %[[U:.*]] = transformer.unpermute_rotary %[[M]] heads 1
// CHECK-NEXT:   %[[S:.*]] = transformer.get @made.s
// CHECK-NEXT:   %[[R:.*]] = lowbit.scale %[[U]] by %[[S]] axis 0 inverse
// CHECK-NEXT:   transformer.yield %[[R]]
// CHECK:      transformer.parameter @made.a : tensor<3x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 :
// CHECK-LABEL: func.func @made_before
transformer.parameter @made.stored : tensor<4x6xf32>
transformer.parameter @made : tensor<4x6xf32> {
  %0 = transformer.get @made.stored : tensor<4x6xf32>
  %1 = transformer.unpermute_rotary %0 heads 1 : tensor<4x6xf32>
  transformer.yield %1 : tensor<4x6xf32>
}
transformer.parameter @made.s : tensor<4xf32>
transformer.parameter @made.a : tensor<3x4xf32>
func.func @made_before(%x: tensor<?x6xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @made : tensor<4x6xf32>
  %s = transformer.get @made.s : tensor<4xf32>
  %a = transformer.get @made.a : tensor<3x4xf32>
  %0 = transformer.linear %x, %w : (tensor<?x6xf32>, tensor<4x6xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %a by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %3 = transformer.linear %1, %2 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %3 : tensor<?x3xf32>
}

// A name that is taken gets a number.
// CHECK:      transformer.parameter @taken.w.unscaled.2 : tensor<4xf32> from <@numbers, "taken.w", f32>
// CHECK:      transformer.parameter @taken.w : tensor<4xf32> {
// CHECK-NEXT:   transformer.get @taken.w.unscaled.2
// CHECK:        lowbit.scale
// CHECK:      transformer.parameter @taken.a : tensor<3x4xf32> {
// CHECK:        lowbit.scale
// CHECK-LABEL: func.func @taken
transformer.parameter @taken.w : tensor<4xf32>
transformer.parameter @taken.w.unscaled : tensor<4xf32>
transformer.parameter @taken.s : tensor<4xf32>
transformer.parameter @taken.a : tensor<3x4xf32>
func.func @taken(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @taken.w : tensor<4xf32>
  %s = transformer.get @taken.s : tensor<4xf32>
  %a = transformer.get @taken.a : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %a by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %3 = transformer.linear %1, %2 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %3 : tensor<?x3xf32>
}

// Scales that belong to no pair can be taken in all the same: of activations, of a weight, and of a weight that a pair has too.
// CHECK:      transformer.parameter @single.w : tensor<4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 inverse
// CHECK:      transformer.parameter @single.a : tensor<3x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 :
// CHECK-LABEL: func.func @single
transformer.parameter @single.w : tensor<4xf32>
transformer.parameter @single.s : tensor<4xf32>
transformer.parameter @single.t : tensor<3xf32>
transformer.parameter @single.a : tensor<3x4xf32>
func.func @single(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @single.w : tensor<4xf32>
  %s = transformer.get @single.s : tensor<4xf32>
  %t = transformer.get @single.t : tensor<3xf32>
  %a = transformer.get @single.a : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %a by %t axis 0 : tensor<3x4xf32>, tensor<3xf32> -> tensor<3x4xf32>
  %3 = transformer.linear %1, %2 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %3 : tensor<?x3xf32>
}

// CHECK:      transformer.parameter @both.w : tensor<4xf32> {
// CHECK:        lowbit.scale
// CHECK:      transformer.parameter @both.a : tensor<3x4xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 :
// CHECK-NEXT:   transformer.get @both.s
// CHECK-NEXT:   lowbit.scale %{{.*}} by %{{.*}} axis 1 :
// CHECK-LABEL: func.func @both
transformer.parameter @both.w : tensor<4xf32>
transformer.parameter @both.s : tensor<4xf32>
transformer.parameter @both.t : tensor<3xf32>
transformer.parameter @both.a : tensor<3x4xf32>
func.func @both(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @both.w : tensor<4xf32>
  %s = transformer.get @both.s : tensor<4xf32>
  %t = transformer.get @both.t : tensor<3xf32>
  %a = transformer.get @both.a : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %a by %t axis 0 : tensor<3x4xf32>, tensor<3xf32> -> tensor<3x4xf32>
  %3 = lowbit.scale %2 by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %4 = transformer.linear %1, %3 : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %4 : tensor<?x3xf32>
}

// Scales that nothing reads go, whatever they scale.
// CHECK:      transformer.parameter @unread.w : tensor<4xf32> from
// CHECK:      transformer.parameter @unread.a : tensor<3x4xf32> from
// CHECK-LABEL: func.func @unread
transformer.parameter @unread.w : tensor<4xf32>
transformer.parameter @unread.s : tensor<4xf32>
transformer.parameter @unread.a : tensor<3x4xf32>
func.func @unread(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @unread.w : tensor<4xf32>
  %s = transformer.get @unread.s : tensor<4xf32>
  %a = transformer.get @unread.a : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %2 = lowbit.scale %1 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %3 = lowbit.scale %a by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %4 = transformer.linear %0, %a : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %4 : tensor<?x3xf32>
}

// Weights that lib/Parameters computes in several chunks of rows.
// CHECK:      transformer.parameter @large.w : tensor<1030x256xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 0 inverse
// CHECK:      transformer.parameter @large.a : tensor<3x1030xf32> {
// CHECK:        lowbit.scale %{{.*}} by %{{.*}} axis 1 :
// CHECK-LABEL: func.func @large
transformer.parameter @large.w : tensor<1030x256xf32>
transformer.parameter @large.s : tensor<1030xf32>
transformer.parameter @large.a : tensor<3x1030xf32>
func.func @large(%x: tensor<?x256xf32>) -> tensor<?x3xf32> {
  %w = transformer.get @large.w : tensor<1030x256xf32>
  %s = transformer.get @large.s : tensor<1030xf32>
  %a = transformer.get @large.a : tensor<3x1030xf32>
  %0 = transformer.linear %x, %w : (tensor<?x256xf32>, tensor<1030x256xf32>) -> tensor<?x1030xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x1030xf32>, tensor<1030xf32> -> tensor<?x1030xf32>
  %2 = lowbit.scale %a by %s axis 1 : tensor<3x1030xf32>, tensor<1030xf32> -> tensor<3x1030xf32>
  %3 = transformer.linear %1, %2 : (tensor<?x1030xf32>, tensor<3x1030xf32>) -> tensor<?x3xf32>
  return %3 : tensor<?x3xf32>
}

// Three query heads for each value head of two elements.
// CHECK: transformer.parameter @repeated : tensor<12xf32> {
transformer.parameter @repeated.s : tensor<4xf32>
transformer.parameter @repeated : tensor<12xf32> {
  %0 = transformer.get @repeated.s : tensor<4xf32>
  %1 = lowbit.repeat_heads %0 times 3 dim 2 : tensor<4xf32> -> tensor<12xf32>
  transformer.yield %1 : tensor<12xf32>
}
