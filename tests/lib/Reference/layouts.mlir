// Ops with layouts compute what the plain ops compute, to the last bit.
// RUN: qopt-reference %S/lowbit.mlir --function=packed_linear --against %S/Inputs/packed.mlir | FileCheck %s --check-prefix=LINEAR
// RUN: split-file %s %t && qopt-reference %t/plain.mlir --against %t/packed.mlir | FileCheck %s --check-prefix=GATHER

// LINEAR: @packed_linear: greatest difference 0{{$}}
// GATHER: @gather: greatest difference 0{{$}}
// GATHER: @unquantized: greatest difference 0{{$}}

//--- plain.mlir
transformer.parameter @codes : tensor<20x32xi8>
transformer.parameter @w.scales : tensor<20x2xbf16>
transformer.parameter @w : tensor<20x6xf32>
transformer.parameter @x : tensor<3x6xf32>
func.func @gather() -> tensor<3x32xf32> {
  %t = arith.constant dense<[19, 0, 15]> : tensor<3xi32>
  %c = transformer.get @codes : tensor<20x32xi8>
  %s = transformer.get @w.scales : tensor<20x2xbf16>
  %0 = lowbit.embedding %t, %c, %s <bits = 8, symmetric = true, group = 16, scale = bf16>
      : (tensor<3xi32>, tensor<20x32xi8>, tensor<20x2xbf16>) -> tensor<3x32xf32>
  return %0 : tensor<3x32xf32>
}
func.func @unquantized() -> tensor<3x20xf32> {
  %w = transformer.get @w : tensor<20x6xf32>
  %x = transformer.get @x : tensor<3x6xf32>
  %0 = transformer.linear %x, %w : (tensor<3x6xf32>, tensor<20x6xf32>) -> tensor<3x20xf32>
  return %0 : tensor<3x20xf32>
}

//--- packed.mlir
transformer.parameter @codes : tensor<20x32xi8>
transformer.parameter @w.scales : tensor<20x2xbf16>
transformer.parameter @w : tensor<20x6xf32>
transformer.parameter @x : tensor<3x6xf32>
func.func @gather() -> tensor<3x32xf32> {
  %t = arith.constant dense<[19, 0, 15]> : tensor<3xi32>
  %c = transformer.get @codes : tensor<20x32xi8>
  %s = transformer.get @w.scales : tensor<20x2xbf16>
  %p = lowbit.pack %c scales %s layout(#kernel.panel<code = u8, dot = 4, group = 16, scale = bf16>)
      : (tensor<20x32xi8>, tensor<20x2xbf16>) -> tensor<2x576xi8>
  %0 = lowbit.gather %t, %p rows 20 layout(#kernel.panel<code = u8, dot = 4, group = 16, scale = bf16>)
      : (tensor<3xi32>, tensor<2x576xi8>) -> tensor<3x32xf32>
  return %0 : tensor<3x32xf32>
}
func.func @unquantized() -> tensor<3x20xf32> {
  %w = transformer.get @w : tensor<20x6xf32>
  %x = transformer.get @x : tensor<3x6xf32>
  %p = lowbit.pack %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<20x6xf32>) -> tensor<2x384xi8>
  %0 = lowbit.matmul %x, %p layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<3x6xf32>, tensor<2x384xi8>) -> tensor<3x20xf32>
  return %0 : tensor<3x20xf32>
}
