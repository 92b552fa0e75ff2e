// @packed_linear of lowbit.mlir, by way of layouts.
transformer.parameter @codes : tensor<20x32xi4>
transformer.parameter @w.scales : tensor<20x2xf16>
transformer.parameter @w.zeros : tensor<20x2xi8>
transformer.parameter @x : tensor<3x32xf32>
transformer.parameter @b : tensor<20xf32>
func.func @packed_linear() -> (tensor<3x20xf32>, tensor<3x20xf32>) {
  %x = transformer.get @x : tensor<3x32xf32>
  %c = transformer.get @codes : tensor<20x32xi4>
  %s = transformer.get @w.scales : tensor<20x2xf16>
  %z = transformer.get @w.zeros : tensor<20x2xi8>
  %b = transformer.get @b : tensor<20xf32>
  %p = lowbit.pack %c scales %s zeros %z layout(#kernel.panel<code = u4, dot = 4, group = 16, scale = f16, zeroPoints = true>)
      : (tensor<20x32xi4>, tensor<20x2xf16>, tensor<20x2xi8>) -> tensor<2x336xi8>
  %q, %t, %u = lowbit.encode %x <kind = i8> sums 16
      : tensor<3x32xf32> -> tensor<3x32xi8> scales tensor<3x1xf32> sums tensor<3x2xi32>
  %0 = lowbit.matmul %q scales %t sums %u, %p bias %b layout(#kernel.panel<code = u4, dot = 4, group = 16, scale = f16, zeroPoints = true>)
      : (tensor<3x32xi8>, tensor<3x1xf32>, tensor<3x2xi32>, tensor<2x336xi8>, tensor<20xf32>) -> tensor<3x20xf32>
  %r = lowbit.pack %c scales %s layout(#kernel.panel<code = u4, dot = 2, group = 16, scale = f16>)
      : (tensor<20x32xi4>, tensor<20x2xf16>) -> tensor<2x320xi8>
  %v = lowbit.encode %x <kind = bf16> : tensor<3x32xf32> -> tensor<3x32xbf16>
  %1 = lowbit.matmul %v, %r layout(#kernel.panel<code = u4, dot = 2, group = 16, scale = f16>)
      : (tensor<3x32xbf16>, tensor<2x320xi8>) -> tensor<3x20xf32>
  return %0, %1 : tensor<3x20xf32>, tensor<3x20xf32>
}
