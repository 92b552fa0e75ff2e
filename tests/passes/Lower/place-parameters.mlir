// Parameters that code reads get offsets in the order in which it reads them, row by row of a repeat's table; what nothing
// needs goes; what an initializer needs stays, without an offset. Doing it twice changes nothing.
// RUN: qopt %s --place-parameters -o %t.once.mlir && FileCheck %s --implicit-check-not=@unused < %t.once.mlir
// RUN: qopt %t.once.mlir --place-parameters | diff %t.once.mlir -

// The last begins at 192 and takes 100 bytes.
// CHECK: module attributes {kernel.weights_bytes = 292 : i64}
module {
  transformer.parameter @unused : tensor<8xf32>
  // CHECK: transformer.parameter @b : tensor<16xf32> attributes {kernel.offset = 64 : i64}
  transformer.parameter @b : tensor<16xf32>
  // CHECK: transformer.parameter @a : tensor<3xf32> attributes {kernel.offset = 128 : i64}
  transformer.parameter @a : tensor<3xf32>
  // CHECK: transformer.parameter @source : tensor<5xf32>
  transformer.parameter @source : tensor<5xf32>
  // CHECK: transformer.parameter @first : tensor<10xf32> {
  // CHECK: } attributes {kernel.offset = 0 : i64}
  transformer.parameter @first : tensor<10xf32> {
    %0 = transformer.get @source : tensor<5xf32>
    %1 = transformer.concat %0, %0 : (tensor<5xf32>, tensor<5xf32>) -> tensor<10xf32>
    transformer.yield %1 : tensor<10xf32>
  }
  // CHECK: transformer.parameter @codes : tensor<10x20xi4> attributes {kernel.offset = 192 : i64}
  transformer.parameter @codes : tensor<10x20xi4>

  func.func private @block(%layer: index, %x: tensor<?x16xf32>, %w: tensor<16xf32>, %v: tensor<3xf32>, %c: tensor<10x20xi4>)
      -> tensor<?x16xf32> {
    return %x : tensor<?x16xf32>
  }
  func.func @forward(%x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<10xf32>) {
    %0 = transformer.get @first : tensor<10xf32>
    %1 = kernel.repeat @block from 0 (%x) invariant () table [[@b, @a, @codes], [@b, @a, @codes]]
        : (tensor<?x16xf32>) -> tensor<?x16xf32>
    return %1, %0 : tensor<?x16xf32>, tensor<10xf32>
  }
}
