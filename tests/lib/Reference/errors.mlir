// What the reference refuses: each case alone, since the first error ends a run.
// RUN: split-file %s %t
// RUN: not qopt-reference %t/token.mlir 2>&1 | FileCheck %t/token.mlir
// RUN: not qopt-reference %t/row.mlir 2>&1 | FileCheck %t/row.mlir
// RUN: not qopt-reference %t/sequence.mlir 2>&1 | FileCheck %t/sequence.mlir
// RUN: not qopt-reference %t/position.mlir 2>&1 | FileCheck %t/position.mlir
// RUN: not qopt-reference %t/page.mlir 2>&1 | FileCheck %t/page.mlir
// RUN: not qopt-reference %t/unwritten.mlir 2>&1 | FileCheck %t/unwritten.mlir
// RUN: not qopt-reference %t/twice.mlir 2>&1 | FileCheck %t/twice.mlir
// RUN: not qopt-reference %t/layer.mlir 2>&1 | FileCheck %t/layer.mlir
// RUN: not qopt-reference %t/cycle.mlir 2>&1 | FileCheck %t/cycle.mlir
// RUN: not qopt-reference %t/entry.mlir 2>&1 | FileCheck %t/entry.mlir
// RUN: not qopt-reference %t/unknown.mlir 2>&1 | FileCheck %t/unknown.mlir
// RUN: not qopt-reference %t/sums.mlir 2>&1 | FileCheck %t/sums.mlir
// RUN: not qopt-reference %t/float-sums.mlir 2>&1 | FileCheck %t/float-sums.mlir
// RUN: not qopt-reference %t/rows.mlir 2>&1 | FileCheck %t/rows.mlir
// RUN: not qopt-reference %t/token.mlir --function=g 2>&1 | FileCheck %s --check-prefix=FUNCTION
// FUNCTION: error: expected a function named @g

//--- token.mlir
func.func @f() -> tensor<1x2xf32> {
  %t = arith.constant dense<3> : tensor<1xi32>
  %w = arith.constant dense<1.0> : tensor<3x2xf32>
  // CHECK: token.mlir:[[#@LINE+1]]:8: error: 'transformer.embedding' op expected a token in [0, 3), but got 3
  %0 = transformer.embedding %t, %w : (tensor<1xi32>, tensor<3x2xf32>) -> tensor<1x2xf32>
  return %0 : tensor<1x2xf32>
}

//--- row.mlir
func.func @f() -> tensor<1x2xf32> {
  %r = arith.constant dense<-1> : tensor<1xi32>
  %x = arith.constant dense<1.0> : tensor<3x2xf32>
  // CHECK: error: 'transformer.select_rows' op expected a row in [0, 3), but got -1
  %0 = transformer.select_rows %x, %r : tensor<3x2xf32>, tensor<1xi32> -> tensor<1x2xf32>
  return %0 : tensor<1x2xf32>
}

//--- sequence.mlir
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 2, f32>) -> tensor<1x2xf32> {
  %l = arith.constant 0 : index
  %x = arith.constant dense<1.0> : tensor<1x2xf32>
  %p = arith.constant dense<0> : tensor<1xi32>
  %s = arith.constant dense<1> : tensor<1xi32>
  %t = arith.constant dense<0> : tensor<1x1xi32>
  // CHECK: error: 'transformer.attention' op expected a sequence in [0, 1), but got 1
  %0 = transformer.attention %x, %c[%l] at (%p, %s, %t) scale 1.0
      : tensor<1x2xf32>, !transformer.cache<layers = 1, heads = 1, dim = 2, f32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  return %0 : tensor<1x2xf32>
}

//--- position.mlir
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 2, f32>)
    -> !transformer.cache<layers = 1, heads = 1, dim = 2, f32> {
  %l = arith.constant 0 : index
  %x = arith.constant dense<1.0> : tensor<1x2xf32>
  %p = arith.constant dense<4> : tensor<1xi32>
  %s = arith.constant dense<0> : tensor<1xi32>
  %t = arith.constant dense<0> : tensor<1x1xi32>
  // CHECK: error: 'transformer.cache_update' op expected a position in [0, 4), but got 4
  %0 = transformer.cache_update %c[%l], %x, %x at (%p, %s, %t)
      : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>, tensor<1x2xf32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  return %0 : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>
}

//--- page.mlir
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 2, f32>)
    -> !transformer.cache<layers = 1, heads = 1, dim = 2, f32> {
  %l = arith.constant 0 : index
  %x = arith.constant dense<1.0> : tensor<1x2xf32>
  %p = arith.constant dense<0> : tensor<1xi32>
  %t = arith.constant dense<-1> : tensor<1x1xi32>
  // CHECK: error: 'transformer.cache_update' op expected a page for position 0 of sequence 0, but got -1
  %0 = transformer.cache_update %c[%l], %x, %x at (%p, %p, %t)
      : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>, tensor<1x2xf32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  return %0 : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>
}

//--- unwritten.mlir
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 2, f32>) -> tensor<1x2xf32> {
  %l = arith.constant 0 : index
  %x = arith.constant dense<1.0> : tensor<1x2xf32>
  %p = arith.constant dense<1> : tensor<1xi32>
  %s = arith.constant dense<0> : tensor<1xi32>
  %t = arith.constant dense<9> : tensor<1x1xi32>
  %d = transformer.cache_update %c[%l], %x, %x at (%p, %s, %t)
      : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>, tensor<1x2xf32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  // CHECK: error: 'transformer.attention' op expected keys at position 0 of sequence 0, but page 9, slot 0 was never written
  %0 = transformer.attention %x, %d[%l] at (%p, %s, %t) scale 1.0
      : tensor<1x2xf32>, !transformer.cache<layers = 1, heads = 1, dim = 2, f32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  return %0 : tensor<1x2xf32>
}

//--- twice.mlir
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 2, f32>)
    -> !transformer.cache<layers = 1, heads = 1, dim = 2, f32> {
  %l = arith.constant 0 : index
  %x = arith.constant dense<1.0> : tensor<2x2xf32>
  %p = arith.constant dense<[0, 0]> : tensor<2xi32>
  %t = arith.constant dense<[[6]]> : tensor<1x1xi32>
  // CHECK: error: 'transformer.cache_update' op expected tokens with places of their own, but token 1 has page 6, slot 0 of another
  %0 = transformer.cache_update %c[%l], %x, %x at (%p, %p, %t)
      : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>, tensor<2x2xf32>, tensor<2xi32>, tensor<2xi32>,
        tensor<1x1xi32>
  return %0 : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>
}

//--- layer.mlir
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 2, f32>)
    -> !transformer.cache<layers = 1, heads = 1, dim = 2, f32> {
  %l = arith.constant 1 : index
  %x = arith.constant dense<1.0> : tensor<1x2xf32>
  %p = arith.constant dense<0> : tensor<1xi32>
  %t = arith.constant dense<0> : tensor<1x1xi32>
  // CHECK: error: 'transformer.cache_update' op expected a layer in [0, 1), but got 1
  %0 = transformer.cache_update %c[%l], %x, %x at (%p, %p, %t)
      : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>, tensor<1x2xf32>, tensor<1xi32>, tensor<1xi32>,
        tensor<1x1xi32>
  return %0 : !transformer.cache<layers = 1, heads = 1, dim = 2, f32>
}

//--- cycle.mlir
transformer.parameter @a : tensor<2xf32> {
  %0 = transformer.get @b : tensor<2xf32>
  transformer.yield %0 : tensor<2xf32>
}
transformer.parameter @b : tensor<2xf32> {
  // CHECK: error: expected an initializer that does not need itself, but @a does
  %0 = transformer.get @a : tensor<2xf32>
  transformer.yield %0 : tensor<2xf32>
}
func.func @f() -> tensor<2xf32> {
  %0 = transformer.get @a : tensor<2xf32>
  return %0 : tensor<2xf32>
}

//--- entry.mlir
transformer.archive @x "nowhere.gguf" size 8 header "sha256:00"
// CHECK: error: cannot read the file: No such file or directory
// CHECK: in: transformer.archive @x: {{.*}}nowhere.gguf
transformer.parameter @a : tensor<2xf32> from <@x, "t", f32>
func.func @f() -> tensor<2xf32> {
  %0 = transformer.get @a : tensor<2xf32>
  return %0 : tensor<2xf32>
}

//--- unknown.mlir
func.func @f() -> tensor<2xf32> {
  %x = arith.constant dense<1.0> : tensor<2xf32>
  // CHECK: error: 'arith.addf' op is not evaluated by the reference
  %0 = arith.addf %x, %x : tensor<2xf32>
  return %0 : tensor<2xf32>
}

//--- sums.mlir
func.func @f() -> tensor<1x1xf32> {
  %x = arith.constant dense<1> : tensor<1x4xi8>
  %s = arith.constant dense<1.0> : tensor<1x1xf32>
  %z = arith.constant dense<5> : tensor<1x1xi32>
  %w = arith.constant dense<0> : tensor<1x96xi8>
  // CHECK: error: 'lowbit.matmul' op expected sums of the payload, 4, but got 5
  %0 = lowbit.matmul %x scales %s sums %z, %w layout(#kernel.panel<code = u8, dot = 4, scale = f16>)
      : (tensor<1x4xi8>, tensor<1x1xf32>, tensor<1x1xi32>, tensor<1x96xi8>) -> tensor<1x1xf32>
  return %0 : tensor<1x1xf32>
}

//--- float-sums.mlir
func.func @f() -> tensor<1x1xf32> {
  %x = arith.constant dense<1.0> : tensor<1x4xf32>
  %z = arith.constant dense<4.5> : tensor<1x1xf32>
  %w = arith.constant dense<0> : tensor<1x96xi8>
  // CHECK: error: 'lowbit.matmul' op expected sums of the payload, 4, but got 4.5
  %0 = lowbit.matmul %x sums %z, %w layout(#kernel.panel<code = u8, dot = 1, scale = f16>)
      : (tensor<1x4xf32>, tensor<1x1xf32>, tensor<1x96xi8>) -> tensor<1x1xf32>
  return %0 : tensor<1x1xf32>
}

//--- rows.mlir
// Numbers of rows that only running shows to differ.
func.func private @g(%x: tensor<?x2xf32>, %y: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // CHECK: error: 'transformer.residual' op expected operands with as many rows as the first, 1, but got 'tensor<2x2xf32>'
  %0 = transformer.residual %x, %y : tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
func.func @f() -> tensor<?x2xf32> {
  %x = arith.constant dense<1.0> : tensor<2x2xf32>
  %a = arith.constant dense<[0]> : tensor<1xi32>
  %b = arith.constant dense<[0, 1]> : tensor<2xi32>
  %0 = transformer.select_rows %x, %a : tensor<2x2xf32>, tensor<1xi32> -> tensor<?x2xf32>
  %1 = transformer.select_rows %x, %b : tensor<2x2xf32>, tensor<2xi32> -> tensor<?x2xf32>
  %2 = func.call @g(%0, %1) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %2 : tensor<?x2xf32>
}
