// All computation moves into dispatches: matmuls with the elementwise op that alone reads them, runs of row ops, attention.
// The results are the same to the last bit.
// RUN: qopt %s --form-dispatches -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt-reference %s --lengths 3,5 --against %t.once.mlir

transformer.parameter @n : tensor<64xf32>
transformer.parameter @w : tensor<4x4096xi8>
transformer.parameter @g : tensor<4x4096xi8>
transformer.parameter @head : tensor<2x4096xi8>

// CHECK-DAG: #[[TOKENS:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[ROWS:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[FOUR:.*]] = affine_map<(d0, d1) -> (4)>
// CHECK-DAG: #[[TWO:.*]] = affine_map<(d0, d1) -> (2)>
// CHECK-DAG: #[[HEADS:.*]] = affine_map<(d0, d1) -> (d0 * 2)>

// A run of row ops is one dispatch over tokens; a matmul takes its residual along.
// CHECK-LABEL: func.func @residual_epilogue
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>)
// CHECK: %[[N:.*]] = transformer.get @n
// CHECK: %[[A:.*]] = kernel.dispatch @residual_epilogue.0.rms_norm.activation grid #[[TOKENS]](%[[X]], %[[N]])
// CHECK: %[[W:.*]] = transformer.get @w
// CHECK: %[[B:.*]] = kernel.dispatch @residual_epilogue.1.matmul.residual grid #[[FOUR]](%[[A]], %[[W]], %[[X]])
// CHECK:   lowbit.matmul
// CHECK:   transformer.residual
// CHECK: return %[[B]]
func.func @residual_epilogue(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = transformer.get @n : tensor<64xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %1 = transformer.activation silu %0 : tensor<?x64xf32>
  %w = transformer.get @w : tensor<4x4096xi8>
  %2 = lowbit.matmul %1, %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %3 = transformer.residual %x, %2 : tensor<?x64xf32>
  return %3 : tensor<?x64xf32>
}

// It declines: of a function that is called on (index, carried values), the sum is written where tiles still read.
// CHECK-LABEL: func.func @replaced
// CHECK: %[[M:.*]] = kernel.dispatch @replaced.0.matmul grid #[[FOUR]](
// CHECK: kernel.dispatch @replaced.1.residual grid #[[TOKENS]](%{{.*}}, %[[M]])
func.func @replaced(%layer: index, %x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %w = transformer.get @w : tensor<4x4096xi8>
  %0 = lowbit.matmul %x, %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %1 = transformer.residual %x, %0 : tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// It declines: between a matmul and what would be its epilogue another op stands, which would run before both or after.
// CHECK-LABEL: func.func @apart
// CHECK: kernel.dispatch @apart.0.matmul grid #[[FOUR]](
// CHECK: kernel.dispatch @apart.1.activation.residual grid #[[TOKENS]](
func.func @apart(%x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %w = transformer.get @w : tensor<4x4096xi8>
  %0 = lowbit.matmul %x, %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %1 = transformer.activation silu %x : tensor<?x64xf32>
  %2 = transformer.residual %x, %0 : tensor<?x64xf32>
  return %1, %2 : tensor<?x64xf32>, tensor<?x64xf32>
}

// What nobody reads is dropped, and so is what only that reads.
// CHECK-LABEL: func.func @unread
// CHECK-NEXT: kernel.dispatch @unread.0.activation grid
// CHECK-NOT: kernel.dispatch
// CHECK-LABEL: func.func @wide_rows
func.func @unread(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %w = transformer.get @w : tensor<4x4096xi8>
  %0 = lowbit.matmul %x, %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %1 = transformer.activation silu %0 : tensor<?x64xf32>
  %2 = transformer.activation silu %x : tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}

// Rows of 2^15 numbers take an eighth of a megabyte: a third would not fit into a worker's scratch.
// CHECK: kernel.dispatch @wide_rows.0.activation.activation grid
// CHECK: kernel.dispatch @wide_rows.1.activation.activation grid
// CHECK: kernel.dispatch @wide_rows.2.activation grid
func.func @wide_rows(%x: tensor<?x32768xf32>) -> tensor<?x32768xf32> {
  %0 = transformer.activation silu %x : tensor<?x32768xf32>
  %1 = transformer.activation silu %0 : tensor<?x32768xf32>
  %2 = transformer.activation silu %1 : tensor<?x32768xf32>
  %3 = transformer.activation silu %2 : tensor<?x32768xf32>
  %4 = transformer.activation silu %3 : tensor<?x32768xf32>
  return %4 : tensor<?x32768xf32>
}

// Gate and up of the same outputs are two panels of one tile.
// CHECK-LABEL: func.func @gated_epilogue
// CHECK: kernel.dispatch @gated_epilogue.0.matmul.interleaved_gated_product grid #[[TWO]](
func.func @gated_epilogue(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %g = transformer.get @g : tensor<4x4096xi8>
  %0 = lowbit.matmul %x, %g layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %1 = transformer.interleaved_gated_product silu %0 block 16 : tensor<?x64xf32> -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}

// It declines to fuse what another op reads as well; slices are views inside their consumers.
// CHECK-LABEL: func.func @shared_result
// CHECK: %[[M:.*]] = kernel.dispatch @shared_result.0.matmul grid #[[FOUR]](
// CHECK: %[[A:.*]]:2 = kernel.dispatch @shared_result.1.residual.activation grid #[[TOKENS]](%{{.*}}, %[[M]])
// CHECK:   transformer.slice %{{.*}} at 32
// CHECK-NOT: transformer.slice
// CHECK: return
func.func @shared_result(%x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x32xf32>) {
  %w = transformer.get @w : tensor<4x4096xi8>
  %0 = lowbit.matmul %x, %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %1 = transformer.residual %x, %0 : tensor<?x64xf32>
  %2 = transformer.slice %0 at 32 : tensor<?x64xf32> -> tensor<?x32xf32>
  %3 = transformer.activation silu %2 : tensor<?x32xf32>
  return %1, %3 : tensor<?x64xf32>, tensor<?x32xf32>
}

// Attention is a dispatch of its own, over tokens and key heads; rows start a new run, over rows from there on.
// CHECK-LABEL: func.func @forward
// CHECK: kernel.dispatch @forward.0.gather.cache_update grid #[[TOKENS]](
// CHECK: kernel.dispatch @forward.1.attention grid #[[HEADS]](
// CHECK: kernel.dispatch @forward.2.select_rows.rms_norm grid #[[ROWS]](%{{.*}}) {over_rows}
// CHECK: kernel.dispatch @forward.3.matmul grid #[[TWO]](%{{.*}}) {over_rows}
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %tables: tensor<?x?xi32>,
                   %rows: tensor<?xi32>, %cache: !transformer.cache<layers = 1, heads = 2, dim = 16, f32>)
    -> (tensor<?x32xf32>, !transformer.cache<layers = 1, heads = 2, dim = 16, f32>) {
  %layer = arith.constant 0 : index
  %table = transformer.get @w : tensor<4x4096xi8>
  %n = transformer.get @n : tensor<64xf32>
  %x = lowbit.gather %tokens, %table rows 64 layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<?xi32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %k = transformer.slice %x at 32 : tensor<?x64xf32> -> tensor<?x32xf32>
  %c = transformer.cache_update %cache[%layer], %k, %k at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 1, heads = 2, dim = 16, f32>, tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
  %a = transformer.attention %x, %c[%layer] at (%positions, %sequences, %tables) scale 0.25
      : tensor<?x64xf32>, !transformer.cache<layers = 1, heads = 2, dim = 16, f32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
  %s = transformer.select_rows %a, %rows : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
  %m = transformer.rms_norm %s, %n epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %h = transformer.get @head : tensor<2x4096xi8>
  %y = lowbit.matmul %m, %h layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<2x4096xi8>) -> tensor<?x32xf32>
  return %y, %c : tensor<?x32xf32>, !transformer.cache<layers = 1, heads = 2, dim = 16, f32>
}

// It declines an interleaving by more than a panel's outputs: gate and up are not in panels side by side.
// CHECK-LABEL: func.func @wide_interleaving
// CHECK: kernel.dispatch @wide_interleaving.0.matmul grid #[[FOUR]](
// CHECK: kernel.dispatch @wide_interleaving.1.interleaved_gated_product grid #[[TOKENS]](
func.func @wide_interleaving(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %g = transformer.get @g : tensor<4x4096xi8>
  %0 = lowbit.matmul %x, %g layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %1 = transformer.interleaved_gated_product silu %0 block 32 : tensor<?x64xf32> -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}

// It declines an epilogue that waits for what comes after the matmul.
// CHECK-LABEL: func.func @late_operand
// CHECK: kernel.dispatch @late_operand.0.matmul grid #[[FOUR]](
// CHECK: kernel.dispatch @late_operand.1.activation.residual grid #[[TOKENS]](
func.func @late_operand(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %w = transformer.get @w : tensor<4x4096xi8>
  %0 = lowbit.matmul %x, %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<?x64xf32>, tensor<4x4096xi8>) -> tensor<?x64xf32>
  %1 = transformer.activation silu %x : tensor<?x64xf32>
  %2 = transformer.residual %1, %0 : tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}
