transformer.parameter @n : tensor<4xf32>
transformer.parameter @w : tensor<4x4xf32>
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %n = transformer.get @n : tensor<4xf32>
  %w = transformer.get @w : tensor<4x4xf32>
  %0 = transformer.rms_norm %x, %n epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %1 = transformer.linear %0, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %2 = transformer.linear %1, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}
