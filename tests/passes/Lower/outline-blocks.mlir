// Runs of isomorphic blocks become one function and a table of parameters; the results are the same to the last bit; doing
// it twice changes nothing.
// RUN: qopt %s --outline-blocks -o %t.once.mlir && FileCheck %s < %t.once.mlir
// RUN: qopt %t.once.mlir --outline-blocks | diff %t.once.mlir -
// RUN: qopt-reference %s --function three_blocks --against %t.once.mlir

transformer.parameter @n0 : tensor<16xf32>
transformer.parameter @n1 : tensor<16xf32>
transformer.parameter @n2 : tensor<16xf32>
transformer.parameter @w0 : tensor<16x16xf32>
transformer.parameter @w1 : tensor<16x16xf32>
transformer.parameter @w2 : tensor<16x16xf32>
transformer.parameter @half : tensor<16x16xf16>
transformer.parameter @wide : tensor<32x16xf32>
transformer.parameter @last : tensor<16xf32>

// CHECK-LABEL: func.func @three_blocks
// CHECK-SAME: (%[[X:.*]]: tensor<?x16xf32>, %[[T:.*]]: tensor<?x16xf32>)
// CHECK: %[[Y:.*]] = kernel.repeat @three_blocks.block from 0(%[[X]]) invariant(%[[T]]) table {{\[}}[@n0, @w0], [@n1, @w1], [@n2, @w2]] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
// CHECK: transformer.rms_norm %[[Y]]
// CHECK-NOT: transformer.linear
// CHECK: return

// CHECK-LABEL: func.func private @three_blocks.block
// CHECK-SAME: (%{{.*}}: index, %[[H:.*]]: tensor<?x16xf32>, %[[R:.*]]: tensor<?x16xf32>, %[[N:.*]]: tensor<16xf32>, %[[W:.*]]: tensor<16x16xf32>) -> tensor<?x16xf32>
// CHECK: %[[A:.*]] = transformer.rms_norm %[[H]], %[[N]]
// CHECK: %[[B:.*]] = transformer.linear %[[A]], %[[W]]
// CHECK: %[[C:.*]] = transformer.rotate %[[B]], %[[R]]
// CHECK: %[[D:.*]] = transformer.residual %[[H]], %[[C]]
// CHECK: return %[[D]]
func.func @three_blocks(%x: tensor<?x16xf32>, %t: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.rotate %b0, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.rotate %b1, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  %n2 = transformer.get @n2 : tensor<16xf32>
  %w2 = transformer.get @w2 : tensor<16x16xf32>
  %a2 = transformer.rms_norm %d1, %n2 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b2 = transformer.linear %a2, %w2 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c2 = transformer.rotate %b2, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d2 = transformer.residual %d1, %c2 : tensor<?x16xf32>
  %last = transformer.get @last : tensor<16xf32>
  %y = transformer.rms_norm %d2, %last epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// It declines: the weights' types differ, as they do in a mixed recipe.
// CHECK-LABEL: func.func @mixed
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @mixed(%x: tensor<?x16xf32>, %t: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.rotate %b0, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @half : tensor<16x16xf16>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf16>) -> tensor<?x16xf32>
  %c1 = transformer.rotate %b1, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// It declines: blocks look alike, but the second reads what the first block's own input was.
// CHECK-LABEL: func.func @other_wiring
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @other_wiring(%x: tensor<?x16xf32>, %t: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.rotate %b0, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d0 = transformer.residual %a0, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.rotate %b0, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d1 = transformer.residual %b1, %c1 : tensor<?x16xf32>
  return %d0, %d1 : tensor<?x16xf32>, tensor<?x16xf32>
}

// They decline: a slice has no buffer that a block could be given, or give to the next.
// CHECK-LABEL: func.func @from_slice
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @from_slice(%both: tensor<?x32xf32>, %t: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %x = transformer.slice %both at 16 : tensor<?x32xf32> -> tensor<?x16xf32>
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.rotate %b0, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.rotate %b1, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// CHECK-LABEL: func.func @to_slice
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @to_slice(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @wide : tensor<32x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
  %c0 = transformer.residual %b0, %b0 : tensor<?x32xf32>
  %d0 = transformer.slice %c0 at 16 : tensor<?x32xf32> -> tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @wide : tensor<32x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
  %c1 = transformer.residual %b1, %b1 : tensor<?x32xf32>
  %d1 = transformer.slice %c1 at 16 : tensor<?x32xf32> -> tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// It declines: what the first block is given is read again afterwards, when the last block's result is in its place.
// CHECK-LABEL: func.func @read_later
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @read_later(%x: tensor<?x16xf32>, %t: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.rotate %b0, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.rotate %b1, %t : tensor<?x16xf32>, tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  %y = transformer.residual %x, %d1 : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// It declines: three ops are not worth a function.
// CHECK-LABEL: func.func @too_short
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-6: transformer.residual
func.func @too_short(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %0 = transformer.residual %x, %x : tensor<?x16xf32>
  %1 = transformer.residual %0, %0 : tensor<?x16xf32>
  %2 = transformer.residual %1, %1 : tensor<?x16xf32>
  %3 = transformer.residual %2, %2 : tensor<?x16xf32>
  %4 = transformer.residual %3, %3 : tensor<?x16xf32>
  %5 = transformer.residual %4, %4 : tensor<?x16xf32>
  return %5 : tensor<?x16xf32>
}

// It declines: every block reads what the first one is given, whose buffer is the results' own.
// CHECK-LABEL: func.func @reads_what_is_given
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-3: transformer.linear
func.func @reads_what_is_given(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.rotate %b0, %x : tensor<?x16xf32>, tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.rotate %b1, %x : tensor<?x16xf32>, tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  %n2 = transformer.get @n2 : tensor<16xf32>
  %w2 = transformer.get @w2 : tensor<16x16xf32>
  %a2 = transformer.rms_norm %d1, %n2 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b2 = transformer.linear %a2, %w2 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c2 = transformer.rotate %b2, %x : tensor<?x16xf32>, tensor<?x16xf32>
  %d2 = transformer.residual %d1, %c2 : tensor<?x16xf32>
  %last = transformer.get @last : tensor<16xf32>
  %y = transformer.rms_norm %d2, %last epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// It declines: the function's types would not say that these are the wanted rows.
// CHECK-LABEL: func.func @wanted_rows
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @wanted_rows(%t: tensor<?x16xf32>, %r: tensor<?xi32>) -> tensor<?x16xf32> {
  %x = transformer.select_rows %t, %r : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.activation silu %b0 : tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.activation silu %b1 : tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// It declines: what a block is given is read once its successor, which is written over it, is there.
// CHECK-LABEL: func.func @read_afterwards
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @read_afterwards(%x: tensor<?x16xf32>, %v: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.activation silu %b0 : tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %e0 = transformer.residual %x, %a0 : tensor<?x16xf32>
  %v0 = transformer.residual %v, %e0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.activation silu %b1 : tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  %e1 = transformer.residual %d0, %a1 : tensor<?x16xf32>
  %v1 = transformer.residual %v0, %e1 : tensor<?x16xf32>
  return %d1, %v1 : tensor<?x16xf32>, tensor<?x16xf32>
}

// It declines: the first block is given what it makes itself, later ones what the block before has made.
// CHECK-LABEL: func.func @own_value
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @own_value(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.residual %b0, %a0 : tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.residual %b1, %c0 : tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// It declines: the successor reads elements of what it replaces that are not in its own places.
// CHECK-LABEL: func.func @gated_successor
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @gated_successor(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.activation silu %b0 : tensor<?x16xf32>
  %d0 = transformer.gated_product silu %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.activation silu %b1 : tensor<?x16xf32>
  %d1 = transformer.gated_product silu %d0, %c1 : tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// It declines: a slice of what a block is given is read afterwards.
// CHECK-LABEL: func.func @slice_afterwards
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @slice_afterwards(%x: tensor<?x16xf32>, %v: tensor<?x8xf32>) -> (tensor<?x16xf32>, tensor<?x8xf32>) {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.activation silu %b0 : tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %s0 = transformer.slice %x at 8 : tensor<?x16xf32> -> tensor<?x8xf32>
  %v0 = transformer.residual %v, %s0 : tensor<?x8xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.activation silu %b1 : tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  %s1 = transformer.slice %d0 at 8 : tensor<?x16xf32> -> tensor<?x8xf32>
  %v1 = transformer.residual %v0, %s1 : tensor<?x8xf32>
  return %d1, %v1 : tensor<?x16xf32>, tensor<?x8xf32>
}

// It declines: what is the same for all blocks is a view, which has no buffer to hand in.
// CHECK-LABEL: func.func @slice_for_all
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @slice_for_all(%x: tensor<?x16xf32>, %t: tensor<?x32xf32>) -> tensor<?x16xf32> {
  %s = transformer.slice %t at 16 : tensor<?x32xf32> -> tensor<?x16xf32>
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.residual %b0, %s : tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.residual %b1, %s : tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// It declines: a slice of what the first block is given is read after the last.
// CHECK-LABEL: func.func @slice_of_first
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @slice_of_first(%t: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x8xf32>) {
  %x = transformer.activation silu %t : tensor<?x16xf32>
  %s = transformer.slice %x at 8 : tensor<?x16xf32> -> tensor<?x8xf32>
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.activation silu %b0 : tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.activation silu %b1 : tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  %y = transformer.activation silu %s : tensor<?x8xf32>
  %z = transformer.activation silu %d1 : tensor<?x16xf32>
  return %z, %y : tensor<?x16xf32>, tensor<?x8xf32>
}

// It declines: what comes in and what goes out belongs to the caller.
// CHECK-LABEL: func.func @forward
// CHECK-NOT: kernel.repeat
// CHECK-COUNT-2: transformer.linear
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.activation silu %b0 : tensor<?x16xf32>
  %d0 = transformer.residual %x, %c0 : tensor<?x16xf32>
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.activation silu %b1 : tensor<?x16xf32>
  %d1 = transformer.residual %d0, %c1 : tensor<?x16xf32>
  return %d1 : tensor<?x16xf32>
}

// A cache is carried as well: every block writes its layer of it, in place.
// CHECK-LABEL: func.func @decoder
// CHECK: kernel.repeat @decoder.block from 0
// CHECK-NOT: transformer.linear
// CHECK-LABEL: func.func private @decoder.block
// CHECK: transformer.cache_update
// CHECK: transformer.attention
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
func.func @decoder(%x: tensor<?x16xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %k: !cache)
    -> (tensor<?x16xf32>, !cache) {
  %l0 = arith.constant 0 : index
  %n0 = transformer.get @n0 : tensor<16xf32>
  %w0 = transformer.get @w0 : tensor<16x16xf32>
  %a0 = transformer.rms_norm %x, %n0 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b0 = transformer.linear %a0, %w0 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c0 = transformer.cache_update %k[%l0], %b0, %b0 at (%p, %s, %t) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
  %e0 = transformer.attention %b0, %c0[%l0] at (%p, %s, %t) scale 0.25 : tensor<?x16xf32>, !cache, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
  %d0 = transformer.residual %x, %e0 : tensor<?x16xf32>
  %l1 = arith.constant 1 : index
  %n1 = transformer.get @n1 : tensor<16xf32>
  %w1 = transformer.get @w1 : tensor<16x16xf32>
  %a1 = transformer.rms_norm %d0, %n1 epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %b1 = transformer.linear %a1, %w1 : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
  %c1 = transformer.cache_update %c0[%l1], %b1, %b1 at (%p, %s, %t) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
  %e1 = transformer.attention %b1, %c1[%l1] at (%p, %s, %t) scale 0.25 : tensor<?x16xf32>, !cache, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
  %d1 = transformer.residual %d0, %e1 : tensor<?x16xf32>
  return %d1, %c1 : tensor<?x16xf32>, !cache
}
