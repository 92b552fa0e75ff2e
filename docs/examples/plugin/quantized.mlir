// Three quantized linears of two schemes, for the plugin to count.
module {
  func.func @linears(%x: tensor<?x64xf32>, %c: tensor<64x64xi4>, %s: tensor<64x1xf16>, %z: tensor<64x1xi8>) -> tensor<?x64xf32> {
    %0 = lowbit.linear %x, %c, %s
        <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
        : (tensor<?x64xf32>, tensor<64x64xi4>, tensor<64x1xf16>) -> tensor<?x64xf32>
    %1 = lowbit.linear %0, %c, %s zeros %z
        <weights = <bits = 4, symmetric = false, group = 64, scale = f16>, activations = <kind = bf16>, accumulation = f32>
        : (tensor<?x64xf32>, tensor<64x64xi4>, tensor<64x1xf16>, tensor<64x1xi8>) -> tensor<?x64xf32>
    %2 = lowbit.linear %1, %c, %s
        <weights = <bits = 4, symmetric = true, group = 64, scale = f16>, activations = <kind = i8>, accumulation = i32>
        : (tensor<?x64xf32>, tensor<64x64xi4>, tensor<64x1xf16>) -> tensor<?x64xf32>
    return %2 : tensor<?x64xf32>
  }
}
