// Rounding loses values: nothing folds dequantize(quantize(w)), or the other way round.
// RUN: qopt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: func.func @dequantize_of_quantize
// CHECK: %[[C:.*]], %[[S:.*]] = lowbit.quantize
// CHECK: %[[D:.*]] = lowbit.dequantize %[[C]], %[[S]]
// CHECK: return %[[D]]
func.func @dequantize_of_quantize(%w: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %c, %s = lowbit.quantize %w <bits = 4, symmetric = true, group = 32, scale = f16>
      : tensor<8x64xf32> -> tensor<8x64xi4>, tensor<8x2xf16>
  %d = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return %d : tensor<8x64xf32>
}

// CHECK-LABEL: func.func @quantize_of_dequantize
// CHECK: lowbit.dequantize
// CHECK: lowbit.quantize
func.func @quantize_of_dequantize(%c: tensor<8x64xi4>, %s: tensor<8x2xf16>) -> (tensor<8x64xi4>, tensor<8x2xf16>) {
  %d = lowbit.dequantize %c, %s <bits = 4, symmetric = true, group = 32, scale = f16>
      : (tensor<8x64xi4>, tensor<8x2xf16>) -> tensor<8x64xf32>
  %q, %t = lowbit.quantize %d <bits = 4, symmetric = true, group = 32, scale = f16>
      : tensor<8x64xf32> -> tensor<8x64xi4>, tensor<8x2xf16>
  return %q, %t : tensor<8x64xi4>, tensor<8x2xf16>
}
