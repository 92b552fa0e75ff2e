// RUN: qopt %s --split-input-file --select-layouts --verify-diagnostics

transformer.parameter @codes : tensor<32x64xi3>
transformer.parameter @scales : tensor<32x1xf16>
func.func @three_bits(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %c = transformer.get @codes : tensor<32x64xi3>
  %s = transformer.get @scales : tensor<32x1xf16>
  // expected-error@+1 {{expected 4 or 8 bits without a codebook, the schemes that kernels exist for, but got #lowbit.weights<bits = 3}}
  %0 = lowbit.linear %x, %c, %s
      <weights = <bits = 3, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi3>, tensor<32x1xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

func.func @foreign_weight(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>) -> tensor<?x32xf32> {
  // expected-error@+1 {{expected weights that are values of parameters}}
  %0 = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

transformer.parameter @w : tensor<32x63xbf16>
func.func @odd_inputs(%x: tensor<?x63xf32>) -> tensor<?x32xf32> {
  %w = transformer.get @w : tensor<32x63xbf16>
  // expected-error@+1 {{has no layout: }}
  %0 = transformer.linear %x, %w : (tensor<?x63xf32>, tensor<32x63xbf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}
