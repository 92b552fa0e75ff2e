// RUN: qopt %s --split-input-file --select-layouts --verify-diagnostics

transformer.parameter @codes : tensor<32x64xi7>
transformer.parameter @scales : tensor<32x1xf16>
func.func @seven_bits(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %c = transformer.get @codes : tensor<32x64xi7>
  %s = transformer.get @scales : tensor<32x1xf16>
  // expected-error@+1 {{expected 2, 3, 4, 5, 6 or 8 bits without a codebook, the schemes that kernels exist for, but got #lowbit.weights<bits = 7}}
  %0 = lowbit.linear %x, %c, %s
      <weights = <bits = 7, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi7>, tensor<32x1xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

transformer.parameter @codes : tensor<32x64xi3>
transformer.parameter @scales : tensor<32x1xf16>
func.func @activations_in_half_blocks(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %c = transformer.get @codes : tensor<32x64xi3>
  %s = transformer.get @scales : tensor<32x1xf16>
  // expected-error@+1 {{expected activation groups that blocks of 32 inputs divide, but got 16}}
  %0 = lowbit.linear %x, %c, %s
      <weights = <bits = 3, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, group = 16>, accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi3>, tensor<32x1xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

transformer.parameter @codes : tensor<32x48xi3>
transformer.parameter @scales : tensor<32x1xf16>
func.func @inputs_of_half_a_block(%x: tensor<?x48xf32>) -> tensor<?x32xf32> {
  %c = transformer.get @codes : tensor<32x48xi3>
  %s = transformer.get @scales : tensor<32x1xf16>
  // expected-error@+1 {{has no layout: expected inputs that blocks of 32 divide, but got 48}}
  %0 = lowbit.linear %x, %c, %s
      <weights = <bits = 3, symmetric = true, group = 0, scale = f16>, activations = <kind = f32>, accumulation = f32>
      : (tensor<?x48xf32>, tensor<32x48xi3>, tensor<32x1xf16>) -> tensor<?x32xf32>
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

// -----

transformer.parameter @codes : tensor<32x64xi4>
transformer.parameter @scales : tensor<32x1xf16>
transformer.parameter @input_scale : tensor<1xf32>
func.func @unchecked_scale(%x: tensor<?x64xf32>) -> tensor<?x32xf32> {
  %c = transformer.get @codes : tensor<32x64xi4>
  %s = transformer.get @scales : tensor<32x1xf16>
  %i = transformer.get @input_scale : tensor<1xf32>
  // expected-error@+1 {{expected a static scale that is a parameter made by lowbit.activation_scale}}
  %0 = lowbit.linear %x, %c, %s static %i
      <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8, fixed = true>,
       accumulation = i32>
      : (tensor<?x64xf32>, tensor<32x64xi4>, tensor<32x1xf16>, tensor<1xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}
