// RUN: qopt %s --split-input-file --form-dispatches --verify-diagnostics

transformer.parameter @w : tensor<32x64xf32>
func.func @no_layout(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %w = transformer.get @w : tensor<32x64xf32>
  // expected-error@+1 {{expected an op that a dispatch can hold}}
  %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

func.func @foreign(%a: i32) -> i32 {
  // expected-error@+1 {{expected an op that a dispatch can hold}}
  %0 = arith.addi %a, %a : i32
  return %0 : i32
}

// -----

// A function that is called for every row of a table has no way to know of the wanted rows.
transformer.parameter @n : tensor<16xf32>
func.func @rows_repeated(%x: tensor<?x16xf32>, %r: tensor<?xi32>) -> tensor<?x16xf32> {
  %0 = transformer.select_rows %x, %r : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
  // expected-error@+1 {{expected values of all tokens: what it calls does not know of the wanted rows}}
  %1 = kernel.repeat @block from 0 (%0) invariant () table [[@n]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  return %1 : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %n: tensor<16xf32>) -> tensor<?x16xf32> {
  %0 = transformer.rms_norm %h, %n epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}
