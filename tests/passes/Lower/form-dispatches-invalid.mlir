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
