transformer.parameter @w : tensor<4x4xf32>
func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %blocks: tensor<?x?xi32>, %rows: tensor<?xi32>, %x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = transformer.get @w : tensor<4x4xf32>
  %0 = transformer.linear %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
