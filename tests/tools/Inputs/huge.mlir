transformer.parameter @embed : tensor<32x1048576xf32>
transformer.parameter @w : tensor<1048576x1048576xf32>
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x1048576xf32> {
  %embed = transformer.get @embed : tensor<32x1048576xf32>
  %x = transformer.embedding %tokens, %embed : (tensor<?xi32>, tensor<32x1048576xf32>) -> tensor<?x1048576xf32>
  %w = transformer.get @w : tensor<1048576x1048576xf32>
  %0 = transformer.linear %x, %w : (tensor<?x1048576xf32>, tensor<1048576x1048576xf32>) -> tensor<?x1048576xf32>
  return %0 : tensor<?x1048576xf32>
}
