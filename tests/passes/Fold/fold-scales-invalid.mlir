// What cannot be folded is refused, with its reason; with unfoldable=cancel a pair goes with a remark, and the function computes
// what it did. Each case alone, since the first error ends a run; then all pairs together.
// RUN: rm -rf %t && split-file %s %t
// RUN: %python %S/Inputs/bind_parameters.py %t/pairs/*.mlir %t/uncomputed/*.mlir %t/single/*.mlir
// RUN: not qopt %t/pairs/residual.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/residual.mlir
// RUN: not qopt %t/pairs/returned.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/returned.mlir
// RUN: not qopt %t/pairs/reader.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/reader.mlir
// RUN: not qopt %t/pairs/tied.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/tied.mlir
// RUN: not qopt %t/pairs/one_get.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/one_get.mlir
// RUN: not qopt %t/pairs/table.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/table.mlir
// RUN: not qopt %t/pairs/norm_twice.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/norm_twice.mlir
// RUN: not qopt %t/pairs/in_initializer.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/in_initializer.mlir
// RUN: not qopt %t/pairs/own_factor.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/own_factor.mlir
// RUN: not qopt %t/pairs/activation.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/activation.mlir
// RUN: not qopt %t/pairs/gate.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/gate.mlir
// RUN: not qopt %t/pairs/slice.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/slice.mlir
// RUN: not qopt %t/pairs/quantized.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/quantized.mlir
// RUN: not qopt %t/pairs/outside.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/outside.mlir
// RUN: not qopt %t/pairs/heads_differ.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/heads_differ.mlir
// RUN: not qopt %t/pairs/repeated_otherwise.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/repeated_otherwise.mlir
// RUN: not qopt %t/pairs/attends_twice.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/attends_twice.mlir
// RUN: not qopt %t/pairs/updated_twice.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/updated_twice.mlir
// RUN: not qopt %t/uncomputed/other_cache.mlir --fold-scales=directory=%t/uncomputed 2>&1 | FileCheck %t/uncomputed/other_cache.mlir
// RUN: not qopt %t/pairs/key_is_value.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/key_is_value.mlir
// RUN: not qopt %t/uncomputed/zero.mlir --fold-scales=directory=%t/uncomputed 2>&1 | FileCheck %t/uncomputed/zero.mlir
// RUN: not qopt %t/uncomputed/infinite.mlir --fold-scales=directory=%t/uncomputed 2>&1 | FileCheck %t/uncomputed/infinite.mlir
// RUN: not qopt %t/uncomputed/not_a_number.mlir --fold-scales=directory=%t/uncomputed 2>&1 | FileCheck %t/uncomputed/not_a_number.mlir
// RUN: not qopt %t/uncomputed/subnormal.mlir --fold-scales=directory=%t/uncomputed 2>&1 | FileCheck %t/uncomputed/subnormal.mlir
// RUN: not qopt %t/pairs/argument.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/argument.mlir
// RUN: not qopt %t/pairs/constant.mlir --fold-scales=directory=%t/pairs 2>&1 | FileCheck %t/pairs/constant.mlir
// RUN: not qopt %t/single/unpaired.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/unpaired.mlir
// RUN: not qopt %t/single/half_paired.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/half_paired.mlir
// RUN: not qopt %t/single/not_inverse.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/not_inverse.mlir
// RUN: not qopt %t/single/other_factor.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/other_factor.mlir
// RUN: not qopt %t/single/weight_of_another.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/weight_of_another.mlir
// RUN: not qopt %t/single/tokens.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/tokens.mlir
// RUN: not qopt %t/single/weight_alone.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/weight_alone.mlir
// RUN: not qopt %t/single/weight_by_zero.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/weight_by_zero.mlir
// RUN: not qopt %t/single/beside_a_pair.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/beside_a_pair.mlir
// A scale that is not one of a pair is not cancelled.
// RUN: not qopt %t/single/unpaired.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/unpaired.mlir
// RUN: not qopt %t/single/half_paired.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/half_paired.mlir
// RUN: not qopt %t/single/not_inverse.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/not_inverse.mlir
// RUN: not qopt %t/single/other_factor.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/other_factor.mlir
// RUN: not qopt %t/single/weight_of_another.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/weight_of_another.mlir
// RUN: not qopt %t/single/tokens.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/tokens.mlir
// RUN: not qopt %t/single/weight_alone.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/weight_alone.mlir
// RUN: not qopt %t/single/weight_by_zero.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/weight_by_zero.mlir
// RUN: not qopt %t/single/beside_a_pair.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/beside_a_pair.mlir
// RUN: not qopt %t/single/no_numbers.mlir --fold-scales=directory=%t/single 2>&1 | FileCheck %t/single/no_numbers.mlir
// RUN: not qopt %t/single/no_numbers.mlir --fold-scales="directory=%t/single unfoldable=cancel" 2>&1 | FileCheck %t/single/no_numbers.mlir
// Nothing is written where something is refused.
// RUN: not qopt %t/pairs/residual.mlir --fold-scales=directory=%t/pairs -o %t/refused.mlir 2>&1 | FileCheck %s --check-prefix=FIRST
// RUN: not ls %t/refused.mlir
// All pairs at once. Factors that are no numbers to compute with, and a cache that nothing writes, are not compared.
// RUN: split-file %s %t/again && mkdir %t/all && cat %t/again/pairs/*.mlir > %t/all/pairs.mlir && cat %t/again/uncomputed/*.mlir > %t/all/uncomputed.mlir
// RUN: %python %S/Inputs/bind_parameters.py %t/all/pairs.mlir %t/all/uncomputed.mlir
// RUN: qopt %t/all/pairs.mlir --fold-scales="directory=%t/all unfoldable=cancel" --verify-diagnostics -o %t/all/cancelled.mlir
// RUN: qopt %t/all/pairs.mlir --fold-scales="directory=%t/all unfoldable=cancel" --pass-counts -o %t/all/cancelled.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: FileCheck %s --check-prefix=GONE --input-file=%t/all/cancelled.mlir --implicit-check-not=lowbit.scale --implicit-check-not=".s :"
// RUN: qopt-reference %t/all/cancelled.mlir --against %t/all/pairs.mlir --tolerance 2e-6
// RUN: qopt %t/all/uncomputed.mlir --fold-scales="directory=%t/all unfoldable=cancel" --verify-diagnostics -o %t/all/cancelled.mlir
// RUN: FileCheck %s --check-prefix=GONE --input-file=%t/all/cancelled.mlir --implicit-check-not=lowbit.scale --implicit-check-not=".s :"

// FIRST:      error: expected a pair of scales that can be folded, but transformer.residual reads the value too, and does not make up for the scale (transformer.rms_norm)
// FIRST-NEXT: in: scale by @residual.s
// FIRST-NEXT: result: nothing was written
// FIRST-NEXT: next: leave this site out, or let such pairs go: unfoldable: cancel in a recipe, unfoldable=cancel of the pass
// COUNTS: 0 pairs-folded, 21 pairs-cancelled, 0 scales-folded
// GONE: func.func

//--- pairs/residual.mlir
// CHECK: error: expected a pair of scales that can be folded, but transformer.residual reads the value too, and does not make up for the scale (transformer.rms_norm)
transformer.parameter @residual.n : tensor<4xf32>
transformer.parameter @residual.s : tensor<4xf32>
transformer.parameter @residual.w : tensor<3x4xf32>
func.func @residual(%x: tensor<?x4xf32>) -> (tensor<?x3xf32>, tensor<?x4xf32>) {
  %n = transformer.get @residual.n : tensor<4xf32>
  %s = transformer.get @residual.s : tensor<4xf32>
  %w = transformer.get @residual.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @residual.s is cancelled: transformer.residual reads the value too, and does not make up for the scale (transformer.rms_norm)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  %r = transformer.residual %x, %0 : tensor<?x4xf32>
  return %y, %r : tensor<?x3xf32>, tensor<?x4xf32>
}

//--- pairs/returned.mlir
// CHECK: error: expected a pair of scales that can be folded, but func.return reads the value too, and does not make up for the scale (transformer.rms_norm)
transformer.parameter @returned.n : tensor<4xf32>
transformer.parameter @returned.s : tensor<4xf32>
transformer.parameter @returned.w : tensor<3x4xf32>
func.func @returned(%x: tensor<?x4xf32>) -> (tensor<?x3xf32>, tensor<?x4xf32>) {
  %n = transformer.get @returned.n : tensor<4xf32>
  %s = transformer.get @returned.s : tensor<4xf32>
  %w = transformer.get @returned.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @returned.s is cancelled: func.return reads the value too, and does not make up for the scale (transformer.rms_norm)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y, %0 : tensor<?x3xf32>, tensor<?x4xf32>
}

//--- pairs/reader.mlir
// CHECK: error: expected a pair of scales that can be folded, but transformer.linear of "reader.v" reads the value too, and does not make up for the scale (transformer.rms_norm)
transformer.parameter @reader.n : tensor<4xf32>
transformer.parameter @reader.s : tensor<4xf32>
transformer.parameter @reader.w : tensor<3x4xf32>
transformer.parameter @reader.v : tensor<3x4xf32>
func.func @reader(%x: tensor<?x4xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %n = transformer.get @reader.n : tensor<4xf32>
  %s = transformer.get @reader.s : tensor<4xf32>
  %w = transformer.get @reader.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @reader.s is cancelled: transformer.linear of "reader.v" reads the value too, and does not make up for the scale (transformer.rms_norm)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  %v = transformer.get @reader.v : tensor<3x4xf32>
  %z = transformer.linear %0, %v : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32> loc("reader.v")
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}

//--- pairs/tied.mlir
// CHECK: error: expected a pair of scales that can be folded, but the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @tied.w)
transformer.parameter @tied.n : tensor<4xf32>
transformer.parameter @tied.s : tensor<4xf32>
transformer.parameter @tied.w : tensor<5x4xf32>
func.func @tied(%rows: tensor<2xi32>) -> tensor<?x5xf32> {
  %tokens = arith.constant dense<[4, 0]> : tensor<2xi32>
  %t = transformer.get @tied.w : tensor<5x4xf32>
  %n = transformer.get @tied.n : tensor<4xf32>
  %s = transformer.get @tied.s : tensor<4xf32>
  %w = transformer.get @tied.w : tensor<5x4xf32>
  %x = transformer.embedding %tokens, %t : (tensor<2xi32>, tensor<5x4xf32>) -> tensor<?x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @tied.s is cancelled: the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @tied.w)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<5x4xf32>, tensor<4xf32> -> tensor<5x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

//--- pairs/one_get.mlir
// CHECK: error: expected a pair of scales that can be folded, but the weight is shared: transformer.embedding reads it too (parameter @one_get.w)
transformer.parameter @one_get.n : tensor<4xf32>
transformer.parameter @one_get.s : tensor<4xf32>
transformer.parameter @one_get.w : tensor<5x4xf32>
func.func @one_get(%rows: tensor<2xi32>) -> tensor<?x5xf32> {
  %tokens = arith.constant dense<[4, 0]> : tensor<2xi32>
  %w = transformer.get @one_get.w : tensor<5x4xf32>
  %n = transformer.get @one_get.n : tensor<4xf32>
  %s = transformer.get @one_get.s : tensor<4xf32>
  %x = transformer.embedding %tokens, %w : (tensor<2xi32>, tensor<5x4xf32>) -> tensor<?x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @one_get.s is cancelled: the weight is shared: transformer.embedding reads it too (parameter @one_get.w)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<5x4xf32>, tensor<4xf32> -> tensor<5x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

//--- pairs/table.mlir
// CHECK: error: expected a pair of scales that can be folded, but the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @table.t)
transformer.parameter @table.s : tensor<4xf32>
transformer.parameter @table.t : tensor<5x4xf32>
transformer.parameter @table.w : tensor<3x4xf32>
transformer.parameter @table.w2 : tensor<4x3xf32>
func.func @table() -> tensor<?x5xf32> {
  %tokens = arith.constant dense<[4, 0]> : tensor<2xi32>
  %t = transformer.get @table.t : tensor<5x4xf32>
  %s = transformer.get @table.s : tensor<4xf32>
  %w = transformer.get @table.w : tensor<3x4xf32>
  %w2 = transformer.get @table.w2 : tensor<4x3xf32>
  %u = transformer.get @table.t : tensor<5x4xf32>
  %x = transformer.embedding %tokens, %t : (tensor<2xi32>, tensor<5x4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @table.s is cancelled: the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @table.t)}}
  %sx = lowbit.scale %x by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  %h = transformer.linear %y, %w2 : (tensor<?x3xf32>, tensor<4x3xf32>) -> tensor<?x4xf32>
  %z = transformer.linear %h, %u : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x5xf32>
  return %z : tensor<?x5xf32>
}

//--- pairs/norm_twice.mlir
// CHECK: error: expected a pair of scales that can be folded, but the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @norm_twice.n)
transformer.parameter @norm_twice.n : tensor<4xf32>
transformer.parameter @norm_twice.s : tensor<4xf32>
transformer.parameter @norm_twice.w : tensor<3x4xf32>
func.func @norm_twice(%x: tensor<?x4xf32>) -> (tensor<?x3xf32>, tensor<?x4xf32>) {
  %n = transformer.get @norm_twice.n : tensor<4xf32>
  %s = transformer.get @norm_twice.s : tensor<4xf32>
  %w = transformer.get @norm_twice.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @norm_twice.s is cancelled: the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @norm_twice.n)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  %m = transformer.get @norm_twice.n : tensor<4xf32>
  %z = transformer.rms_norm %x, %m epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x4xf32>
}

//--- pairs/in_initializer.mlir
// CHECK: error: expected a pair of scales that can be folded, but the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @in_initializer.n)
transformer.parameter @in_initializer.n : tensor<4xf32>
transformer.parameter @in_initializer.s : tensor<4xf32>
transformer.parameter @in_initializer.w : tensor<3x4xf32>
transformer.parameter @in_initializer.copy : tensor<4xf32> {
  %0 = transformer.get @in_initializer.n : tensor<4xf32>
  transformer.yield %0 : tensor<4xf32>
}
func.func @in_initializer(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @in_initializer.n : tensor<4xf32>
  %s = transformer.get @in_initializer.s : tensor<4xf32>
  %w = transformer.get @in_initializer.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @in_initializer.s is cancelled: the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @in_initializer.n)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/own_factor.mlir
// CHECK: error: expected a pair of scales that can be folded, but the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @own_factor.n)
transformer.parameter @own_factor.n : tensor<4xf32>
transformer.parameter @own_factor.w : tensor<3x4xf32>
func.func @own_factor(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @own_factor.n : tensor<4xf32>
  %s = transformer.get @own_factor.n : tensor<4xf32>
  %w = transformer.get @own_factor.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @own_factor.n is cancelled: the weight is shared: it is read 2 times (a tied embedding, or a shared call) (parameter @own_factor.n)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/activation.mlir
// CHECK: error: expected a pair of scales that can be folded, but no scale can be taken through transformer.activation (transformer.activation)
transformer.parameter @activation.s : tensor<4xf32>
transformer.parameter @activation.w : tensor<3x4xf32>
func.func @activation(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %s = transformer.get @activation.s : tensor<4xf32>
  %w = transformer.get @activation.w : tensor<3x4xf32>
  %0 = transformer.activation gelu %x : tensor<?x4xf32>
  // expected-remark@+1 {{scale by @activation.s is cancelled: no scale can be taken through transformer.activation (transformer.activation)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/gate.mlir
// CHECK: error: expected a pair of scales that can be folded, but transformer.gated_product reads the value too, and does not make up for the scale (transformer.linear)
transformer.parameter @gate.u : tensor<4x4xf32>
transformer.parameter @gate.s : tensor<4xf32>
transformer.parameter @gate.w : tensor<3x4xf32>
func.func @gate(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %u = transformer.get @gate.u : tensor<4x4xf32>
  %s = transformer.get @gate.s : tensor<4xf32>
  %w = transformer.get @gate.w : tensor<3x4xf32>
  %0 = transformer.linear %x, %u : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = transformer.gated_product silu %0, %0 : tensor<?x4xf32>
  // expected-remark@+1 {{scale by @gate.s is cancelled: transformer.gated_product reads the value too, and does not make up for the scale (transformer.linear)}}
  %sx = lowbit.scale %1 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/slice.mlir
// CHECK: error: expected a pair of scales that can be folded, but no scale can be taken through transformer.slice (transformer.slice)
transformer.parameter @slice.u : tensor<8x4xf32>
transformer.parameter @slice.s : tensor<4xf32>
transformer.parameter @slice.w : tensor<3x4xf32>
func.func @slice(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %u = transformer.get @slice.u : tensor<8x4xf32>
  %s = transformer.get @slice.s : tensor<4xf32>
  %w = transformer.get @slice.w : tensor<3x4xf32>
  %0 = transformer.linear %x, %u : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  %1 = transformer.slice %0 at 4 : tensor<?x8xf32> -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @slice.s is cancelled: no scale can be taken through transformer.slice (transformer.slice)}}
  %sx = lowbit.scale %1 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/quantized.mlir
// CHECK: error: expected a pair of scales that can be folded, but no scale can be taken through lowbit.linear (lowbit.linear)
transformer.parameter @quantized.c : tensor<4x4xi8>
transformer.parameter @quantized.d : tensor<4x1xf32>
transformer.parameter @quantized.s : tensor<4xf32>
transformer.parameter @quantized.w : tensor<3x4xf32>
func.func @quantized(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %c = transformer.get @quantized.c : tensor<4x4xi8>
  %d = transformer.get @quantized.d : tensor<4x1xf32>
  %s = transformer.get @quantized.s : tensor<4xf32>
  %w = transformer.get @quantized.w : tensor<3x4xf32>
  %0 = lowbit.linear %x, %c, %d <weights = <bits = 8, symmetric = true, group = 0, scale = f32>, activations = <kind = f32>, accumulation = f32>
      : (tensor<?x4xf32>, tensor<4x4xi8>, tensor<4x1xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @quantized.s is cancelled: no scale can be taken through lowbit.linear (lowbit.linear)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/outside.mlir
// CHECK: error: expected a pair of scales that can be folded, but the value enters the function from outside
transformer.parameter @outside.s : tensor<4xf32>
transformer.parameter @outside.w : tensor<3x4xf32>
func.func @outside(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %s = transformer.get @outside.s : tensor<4xf32>
  %w = transformer.get @outside.w : tensor<3x4xf32>
  // expected-remark@+1 {{scale by @outside.s is cancelled: the value enters the function from outside}}
  %sx = lowbit.scale %x by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/heads_differ.mlir
// CHECK: error: expected a pair of scales that can be folded, but query heads that share a value head are not known to be scaled alike (lowbit.repeat_heads times 2 dim 2) (transformer.attention)
transformer.parameter @heads_differ.v : tensor<4x8xf32>
transformer.parameter @heads_differ.s : tensor<8xf32>
transformer.parameter @heads_differ.w : tensor<3x8xf32>
transformer.parameter @heads_differ.q : tensor<3x8xf32>
transformer.parameter @heads_differ.k : tensor<3x4xf32>
func.func @heads_differ(%c: !transformer.cache<layers = 16, heads = 2, dim = 2, f32>) -> tensor<3x3xf32> {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 0 : index
  %v = transformer.get @heads_differ.v : tensor<4x8xf32>
  %s = transformer.get @heads_differ.s : tensor<8xf32>
  %w = transformer.get @heads_differ.w : tensor<3x8xf32>
  %q = transformer.get @heads_differ.q : tensor<3x8xf32>
  %k = transformer.get @heads_differ.k : tensor<3x4xf32>
  %0 = transformer.linear %q, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %u0 = transformer.cache_update %c[%layer], %k, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %a = transformer.attention %q, %u0[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  // expected-remark@+1 {{scale by @heads_differ.s is cancelled: query heads that share a value head are not known to be scaled alike (lowbit.repeat_heads times 2 dim 2) (transformer.attention)}}
  %sx = lowbit.scale %a by %s axis 1 inverse : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %y = transformer.linear %sx, %sw : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

//--- pairs/repeated_otherwise.mlir
// CHECK: error: expected a pair of scales that can be folded, but query heads that share a value head are not known to be scaled alike (lowbit.repeat_heads times 2 dim 2) (transformer.attention)
transformer.parameter @repeated_otherwise.v : tensor<4x8xf32>
transformer.parameter @repeated_otherwise.s : tensor<4xf32>
transformer.parameter @repeated_otherwise.w : tensor<3x8xf32>
transformer.parameter @repeated_otherwise.q : tensor<3x8xf32>
transformer.parameter @repeated_otherwise.k : tensor<3x4xf32>
func.func @repeated_otherwise(%c: !transformer.cache<layers = 16, heads = 2, dim = 2, f32>) -> tensor<3x3xf32> {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 1 : index
  %v = transformer.get @repeated_otherwise.v : tensor<4x8xf32>
  %s = transformer.get @repeated_otherwise.s : tensor<4xf32>
  %w = transformer.get @repeated_otherwise.w : tensor<3x8xf32>
  %q = transformer.get @repeated_otherwise.q : tensor<3x8xf32>
  %k = transformer.get @repeated_otherwise.k : tensor<3x4xf32>
  %0 = transformer.linear %q, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %u0 = transformer.cache_update %c[%layer], %k, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %a = transformer.attention %q, %u0[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %r = lowbit.repeat_heads %s times 2 dim 1 : tensor<4xf32> -> tensor<8xf32>
  // expected-remark@+1 {{scale by @repeated_otherwise.s is cancelled: query heads that share a value head are not known to be scaled alike (lowbit.repeat_heads times 2 dim 2) (transformer.attention)}}
  %sx = lowbit.scale %a by %r axis 1 inverse : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %sw = lowbit.scale %w by %r axis 1 : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %y = transformer.linear %sx, %sw : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

//--- pairs/attends_twice.mlir
// CHECK: error: expected a pair of scales that can be folded, but another attention reads the same layer of the cache (transformer.attention)
transformer.parameter @attends_twice.v : tensor<4x8xf32>
transformer.parameter @attends_twice.s : tensor<4xf32>
transformer.parameter @attends_twice.w : tensor<3x8xf32>
transformer.parameter @attends_twice.q : tensor<3x8xf32>
transformer.parameter @attends_twice.k : tensor<3x4xf32>
func.func @attends_twice(%c: !transformer.cache<layers = 16, heads = 2, dim = 2, f32>) -> (tensor<3x3xf32>, tensor<3x8xf32>) {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 2 : index
  %v = transformer.get @attends_twice.v : tensor<4x8xf32>
  %s = transformer.get @attends_twice.s : tensor<4xf32>
  %w = transformer.get @attends_twice.w : tensor<3x8xf32>
  %q = transformer.get @attends_twice.q : tensor<3x8xf32>
  %k = transformer.get @attends_twice.k : tensor<3x4xf32>
  %0 = transformer.linear %q, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %u0 = transformer.cache_update %c[%layer], %k, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %a = transformer.attention %q, %u0[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %r = lowbit.repeat_heads %s times 2 dim 2 : tensor<4xf32> -> tensor<8xf32>
  // expected-remark@+1 {{scale by @attends_twice.s is cancelled: another attention reads the same layer of the cache (transformer.attention)}}
  %sx = lowbit.scale %a by %r axis 1 inverse : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %sw = lowbit.scale %w by %r axis 1 : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %y = transformer.linear %sx, %sw : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x3xf32>
  %b = transformer.attention %q, %u0[%layer] at (%positions, %sequences, %tables) scale 0.25
      : tensor<3x8xf32>, !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  return %y, %b : tensor<3x3xf32>, tensor<3x8xf32>
}

//--- pairs/updated_twice.mlir
// CHECK: error: expected a pair of scales that can be folded, but expected one update of the layer of the cache, but found 2 (transformer.attention)
transformer.parameter @updated_twice.v : tensor<4x8xf32>
transformer.parameter @updated_twice.s : tensor<4xf32>
transformer.parameter @updated_twice.w : tensor<3x8xf32>
transformer.parameter @updated_twice.q : tensor<3x8xf32>
transformer.parameter @updated_twice.k : tensor<3x4xf32>
func.func @updated_twice(%c: !transformer.cache<layers = 16, heads = 2, dim = 2, f32>) -> tensor<3x3xf32> {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 3 : index
  %v = transformer.get @updated_twice.v : tensor<4x8xf32>
  %s = transformer.get @updated_twice.s : tensor<4xf32>
  %w = transformer.get @updated_twice.w : tensor<3x8xf32>
  %q = transformer.get @updated_twice.q : tensor<3x8xf32>
  %k = transformer.get @updated_twice.k : tensor<3x4xf32>
  %0 = transformer.linear %q, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %u0 = transformer.cache_update %c[%layer], %k, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %later = arith.constant dense<[3, 4, 5]> : tensor<3xi32>
  %pages = arith.constant dense<[[0, 1]]> : tensor<1x2xi32>
  %u1 = transformer.cache_update %u0[%layer], %k, %k at (%later, %sequences, %pages)
      : !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x2xi32>
  %a = transformer.attention %q, %u1[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %r = lowbit.repeat_heads %s times 2 dim 2 : tensor<4xf32> -> tensor<8xf32>
  // expected-remark@+1 {{scale by @updated_twice.s is cancelled: expected one update of the layer of the cache, but found 2 (transformer.attention)}}
  %sx = lowbit.scale %a by %r axis 1 inverse : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %sw = lowbit.scale %w by %r axis 1 : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %y = transformer.linear %sx, %sw : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

//--- uncomputed/other_cache.mlir
// CHECK: error: expected a pair of scales that can be folded, but the update of the layer is not on the way of the cache that attention reads (transformer.attention)
transformer.parameter @other_cache.v : tensor<4x8xf32>
transformer.parameter @other_cache.s : tensor<4xf32>
transformer.parameter @other_cache.w : tensor<3x8xf32>
transformer.parameter @other_cache.q : tensor<3x8xf32>
transformer.parameter @other_cache.k : tensor<3x4xf32>
func.func @other_cache(%c: !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, %d: !transformer.cache<layers = 16, heads = 2, dim = 2, f32>) -> tensor<3x3xf32> {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 4 : index
  %v = transformer.get @other_cache.v : tensor<4x8xf32>
  %s = transformer.get @other_cache.s : tensor<4xf32>
  %w = transformer.get @other_cache.w : tensor<3x8xf32>
  %q = transformer.get @other_cache.q : tensor<3x8xf32>
  %k = transformer.get @other_cache.k : tensor<3x4xf32>
  %0 = transformer.linear %q, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %u0 = transformer.cache_update %c[%layer], %k, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %a = transformer.attention %q, %d[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %r = lowbit.repeat_heads %s times 2 dim 2 : tensor<4xf32> -> tensor<8xf32>
  // expected-remark@+1 {{scale by @other_cache.s is cancelled: the update of the layer is not on the way of the cache that attention reads (transformer.attention)}}
  %sx = lowbit.scale %a by %r axis 1 inverse : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %sw = lowbit.scale %w by %r axis 1 : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %y = transformer.linear %sx, %sw : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

//--- pairs/key_is_value.mlir
// CHECK: error: expected a pair of scales that can be folded, but transformer.cache_update reads the value too, and does not make up for the scale (transformer.linear)
transformer.parameter @key_is_value.v : tensor<4x8xf32>
transformer.parameter @key_is_value.s : tensor<4xf32>
transformer.parameter @key_is_value.w : tensor<3x8xf32>
transformer.parameter @key_is_value.q : tensor<3x8xf32>
transformer.parameter @key_is_value.k : tensor<3x4xf32>
func.func @key_is_value(%c: !transformer.cache<layers = 16, heads = 2, dim = 2, f32>) -> tensor<3x3xf32> {
  %positions = arith.constant dense<[0, 1, 2]> : tensor<3xi32>
  %sequences = arith.constant dense<0> : tensor<3xi32>
  %tables = arith.constant dense<[[0]]> : tensor<1x1xi32>
  %layer = arith.constant 5 : index
  %v = transformer.get @key_is_value.v : tensor<4x8xf32>
  %s = transformer.get @key_is_value.s : tensor<4xf32>
  %w = transformer.get @key_is_value.w : tensor<3x8xf32>
  %q = transformer.get @key_is_value.q : tensor<3x8xf32>
  %k = transformer.get @key_is_value.k : tensor<3x4xf32>
  %0 = transformer.linear %q, %v : (tensor<3x8xf32>, tensor<4x8xf32>) -> tensor<3x4xf32>
  %u0 = transformer.cache_update %c[%layer], %0, %0 at (%positions, %sequences, %tables)
      : !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3x4xf32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %a = transformer.attention %q, %u0[%layer] at (%positions, %sequences, %tables) scale 0.5
      : tensor<3x8xf32>, !transformer.cache<layers = 16, heads = 2, dim = 2, f32>, tensor<3xi32>, tensor<3xi32>, tensor<1x1xi32>
  %r = lowbit.repeat_heads %s times 2 dim 2 : tensor<4xf32> -> tensor<8xf32>
  // expected-remark@+1 {{scale by @key_is_value.s is cancelled: transformer.cache_update reads the value too, and does not make up for the scale (transformer.linear)}}
  %sx = lowbit.scale %a by %r axis 1 inverse : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %sw = lowbit.scale %w by %r axis 1 : tensor<3x8xf32>, tensor<8xf32> -> tensor<3x8xf32>
  %y = transformer.linear %sx, %sw : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

//--- uncomputed/zero.mlir
// CHECK: error: expected a pair of scales that can be folded, but the factor of channel 1 is 0: it cannot be multiplied by and divided by (parameter @zero.s)
transformer.parameter @zero.n : tensor<4xf32>
transformer.parameter @zero.s : tensor<4xf32> // = 1 0 1
transformer.parameter @zero.w : tensor<3x4xf32>
func.func @zero(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @zero.n : tensor<4xf32>
  %s = transformer.get @zero.s : tensor<4xf32>
  %w = transformer.get @zero.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @zero.s is cancelled: the factor of channel 1 is 0: it cannot be multiplied by and divided by (parameter @zero.s)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- uncomputed/infinite.mlir
// CHECK: error: expected a pair of scales that can be folded, but the factor of channel 2 is inf: it cannot be multiplied by and divided by (parameter @infinite.s)
transformer.parameter @infinite.n : tensor<4xf32>
transformer.parameter @infinite.s : tensor<4xf32> // = 1 1 inf 1
transformer.parameter @infinite.w : tensor<3x4xf32>
func.func @infinite(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @infinite.n : tensor<4xf32>
  %s = transformer.get @infinite.s : tensor<4xf32>
  %w = transformer.get @infinite.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @infinite.s is cancelled: the factor of channel 2 is inf: it cannot be multiplied by and divided by (parameter @infinite.s)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- uncomputed/not_a_number.mlir
// CHECK: error: expected a pair of scales that can be folded, but the factor of channel 0 is nan: it cannot be multiplied by and divided by (parameter @not_a_number.s)
transformer.parameter @not_a_number.n : tensor<4xf32>
transformer.parameter @not_a_number.s : tensor<4xf32> // = nan 1
transformer.parameter @not_a_number.w : tensor<3x4xf32>
func.func @not_a_number(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @not_a_number.n : tensor<4xf32>
  %s = transformer.get @not_a_number.s : tensor<4xf32>
  %w = transformer.get @not_a_number.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @not_a_number.s is cancelled: the factor of channel 0 is nan: it cannot be multiplied by and divided by (parameter @not_a_number.s)}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- uncomputed/subnormal.mlir
// CHECK: error: expected a pair of scales that can be folded, but the factor of channel 3 is {{9.99[0-9]*e-41|1e-40}}: it cannot be multiplied by and divided by (parameter @subnormal.s)
transformer.parameter @subnormal.n : tensor<4xf32>
transformer.parameter @subnormal.s : tensor<4xf32> // = 1 1 1 1e-40
transformer.parameter @subnormal.w : tensor<3x4xf32>
func.func @subnormal(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @subnormal.n : tensor<4xf32>
  %s = transformer.get @subnormal.s : tensor<4xf32>
  %w = transformer.get @subnormal.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by @subnormal.s is cancelled: the factor of channel 3 is }}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/argument.mlir
// CHECK: error: expected a pair of scales that can be folded, but the factor is not a parameter
transformer.parameter @argument.n : tensor<4xf32>
transformer.parameter @argument.w : tensor<3x4xf32>
func.func @argument(%x: tensor<?x4xf32>, %s: tensor<4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @argument.n : tensor<4xf32>
  %w = transformer.get @argument.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by a factor that is not a parameter is cancelled: the factor is not a parameter}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- pairs/constant.mlir
// CHECK: error: expected a pair of scales that can be folded, but the factor is not a parameter
transformer.parameter @constant.n : tensor<4xf32>
transformer.parameter @constant.w : tensor<3x4xf32>
func.func @constant(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %s = arith.constant dense<2.0> : tensor<4xf32>
  %n = transformer.get @constant.n : tensor<4xf32>
  %w = transformer.get @constant.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // expected-remark@+1 {{scale by a factor that is not a parameter is cancelled: the factor is not a parameter}}
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- single/unpaired.mlir
// CHECK: error: expected a scale that can be folded, or one that its readers make up for, but no scale can be taken through transformer.activation (transformer.activation)
transformer.parameter @unpaired.s : tensor<4xf32>
transformer.parameter @unpaired.w : tensor<3x4xf32>
func.func @unpaired(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %s = transformer.get @unpaired.s : tensor<4xf32>
  %w = transformer.get @unpaired.w : tensor<3x4xf32>
  %0 = transformer.activation gelu %x : tensor<?x4xf32>
  %1 = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %y = transformer.linear %1, %w : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- single/half_paired.mlir
// CHECK: error: expected a scale that can be folded, or one that its readers make up for, but no scale can be taken through transformer.activation (transformer.activation)
transformer.parameter @half_paired.n : tensor<4xf32>
transformer.parameter @half_paired.s : tensor<4xf32>
transformer.parameter @half_paired.w : tensor<3x4xf32>
transformer.parameter @half_paired.v : tensor<3x4xf32>
func.func @half_paired(%x: tensor<?x4xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %n = transformer.get @half_paired.n : tensor<4xf32>
  %s = transformer.get @half_paired.s : tensor<4xf32>
  %w = transformer.get @half_paired.w : tensor<3x4xf32>
  %v = transformer.get @half_paired.v : tensor<3x4xf32>
  %0 = transformer.activation gelu %x : tensor<?x4xf32>
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  %z = transformer.linear %sx, %v : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}

//--- single/not_inverse.mlir
// CHECK: error: expected a scale that can be folded, or one that its readers make up for, but no scale can be taken through transformer.activation (transformer.activation)
transformer.parameter @not_inverse.n : tensor<4xf32>
transformer.parameter @not_inverse.s : tensor<4xf32>
transformer.parameter @not_inverse.w : tensor<3x4xf32>
func.func @not_inverse(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @not_inverse.n : tensor<4xf32>
  %s = transformer.get @not_inverse.s : tensor<4xf32>
  %w = transformer.get @not_inverse.w : tensor<3x4xf32>
  %0 = transformer.activation gelu %x : tensor<?x4xf32>
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 inverse : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- single/other_factor.mlir
// CHECK: error: expected a scale that can be folded, or one that its readers make up for, but no scale can be taken through transformer.activation (transformer.activation)
transformer.parameter @other_factor.n : tensor<4xf32>
transformer.parameter @other_factor.s : tensor<4xf32>
transformer.parameter @other_factor.w : tensor<3x4xf32>
transformer.parameter @other_factor.t : tensor<4xf32>
func.func @other_factor(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @other_factor.n : tensor<4xf32>
  %s = transformer.get @other_factor.s : tensor<4xf32>
  %w = transformer.get @other_factor.w : tensor<3x4xf32>
  %t = transformer.get @other_factor.t : tensor<4xf32>
  %0 = transformer.activation gelu %x : tensor<?x4xf32>
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %t axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- single/weight_of_another.mlir
// CHECK: error: expected a scale that can be folded, or one that its readers make up for, but no scale can be taken through transformer.activation (transformer.activation)
transformer.parameter @weight_of_another.n : tensor<4xf32>
transformer.parameter @weight_of_another.s : tensor<4xf32>
transformer.parameter @weight_of_another.w : tensor<3x4xf32>
func.func @weight_of_another(%x: tensor<?x4xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %n = transformer.get @weight_of_another.n : tensor<4xf32>
  %s = transformer.get @weight_of_another.s : tensor<4xf32>
  %w = transformer.get @weight_of_another.w : tensor<3x4xf32>
  %0 = transformer.activation gelu %x : tensor<?x4xf32>
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  %z = transformer.linear %x, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}

//--- single/tokens.mlir
// CHECK: error: expected a scale that can be folded, or one that its readers make up for, but the scale is one of tokens, not of channels (transformer.rms_norm)
transformer.parameter @tokens.x : tensor<3x4xf32>
transformer.parameter @tokens.n : tensor<4xf32>
transformer.parameter @tokens.s : tensor<3xf32>
transformer.parameter @tokens.w : tensor<5x4xf32>
func.func @tokens() -> tensor<3x5xf32> {
  %x = transformer.get @tokens.x : tensor<3x4xf32>
  %n = transformer.get @tokens.n : tensor<4xf32>
  %s = transformer.get @tokens.s : tensor<3xf32>
  %w = transformer.get @tokens.w : tensor<5x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
  %1 = lowbit.scale %0 by %s axis 0 : tensor<3x4xf32>, tensor<3xf32> -> tensor<3x4xf32>
  %y = transformer.linear %1, %w : (tensor<3x4xf32>, tensor<5x4xf32>) -> tensor<3x5xf32>
  return %y : tensor<3x5xf32>
}

//--- single/weight_alone.mlir
// CHECK: error: expected a scale that can be folded, but the weight is shared: transformer.linear reads it too
transformer.parameter @weight_alone.s : tensor<4xf32>
transformer.parameter @weight_alone.w : tensor<5x4xf32>
func.func @weight_alone(%x: tensor<?x4xf32>) -> (tensor<?x5xf32>, tensor<?x5xf32>) {
  %s = transformer.get @weight_alone.s : tensor<4xf32>
  %w = transformer.get @weight_alone.w : tensor<5x4xf32>
  %0 = lowbit.scale %w by %s axis 1 : tensor<5x4xf32>, tensor<4xf32> -> tensor<5x4xf32>
  %y = transformer.linear %x, %0 : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x5xf32>
  %z = transformer.linear %x, %w : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x5xf32>
  return %y, %z : tensor<?x5xf32>, tensor<?x5xf32>
}

//--- single/weight_by_zero.mlir
// CHECK: error: expected a scale that can be folded, but the factor of channel 0 is 0: it cannot be multiplied by and divided by
transformer.parameter @weight_by_zero.s : tensor<4xf32> // = 0
transformer.parameter @weight_by_zero.w : tensor<5x4xf32>
func.func @weight_by_zero(%x: tensor<?x4xf32>) -> tensor<?x5xf32> {
  %s = transformer.get @weight_by_zero.s : tensor<4xf32>
  %w = transformer.get @weight_by_zero.w : tensor<5x4xf32>
  %0 = lowbit.scale %w by %s axis 1 : tensor<5x4xf32>, tensor<4xf32> -> tensor<5x4xf32>
  %y = transformer.linear %x, %0 : (tensor<?x4xf32>, tensor<5x4xf32>) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

//--- single/beside_a_pair.mlir
// CHECK: error: expected a scale that can be folded, but the factor of channel 0 is inf: it cannot be multiplied by and divided by
transformer.parameter @beside_a_pair.n : tensor<4xf32>
transformer.parameter @beside_a_pair.s : tensor<4xf32>
transformer.parameter @beside_a_pair.w : tensor<3x4xf32>
transformer.parameter @beside_a_pair.t : tensor<3xf32> // = inf
func.func @beside_a_pair(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @beside_a_pair.n : tensor<4xf32>
  %s = transformer.get @beside_a_pair.s : tensor<4xf32>
  %w = transformer.get @beside_a_pair.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %t = transformer.get @beside_a_pair.t : tensor<3xf32>
  %1 = lowbit.scale %w by %t axis 0 : tensor<3x4xf32>, tensor<3xf32> -> tensor<3x4xf32>
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %1 by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

//--- single/no_numbers.mlir
// CHECK: error: expected a parameter with values, but got one that is only a shape
// CHECK: in: parameter @no_numbers.s
transformer.parameter @no_numbers.n : tensor<4xf32>
transformer.parameter @no_numbers.s : tensor<4xf32> // = none
transformer.parameter @no_numbers.w : tensor<3x4xf32>
func.func @no_numbers(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %n = transformer.get @no_numbers.n : tensor<4xf32>
  %s = transformer.get @no_numbers.s : tensor<4xf32>
  %w = transformer.get @no_numbers.w : tensor<3x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %sx = lowbit.scale %0 by %s axis 1 inverse : tensor<?x4xf32>, tensor<4xf32> -> tensor<?x4xf32>
  %sw = lowbit.scale %w by %s axis 1 : tensor<3x4xf32>, tensor<4xf32> -> tensor<3x4xf32>
  %y = transformer.linear %sx, %sw : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
