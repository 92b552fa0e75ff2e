// What names weights goes, code stays; doing it twice changes nothing.
// RUN: qopt %s --strip-parameters -o %t.once.mlir && FileCheck %s --implicit-check-not=transformer. --implicit-check-not=kernel. < %t.once.mlir
// RUN: qopt %t.once.mlir --strip-parameters | diff %t.once.mlir -

// CHECK: module @tiny attributes {other.kept = 1 : i64}
module @tiny attributes {transformer.model = {architecture = "llama"}, kernel.arena = array<i64: 0, 0, 0>, other.kept = 1 : i64} {
  transformer.archive @checkpoint "model.gguf" size 1024 header "sha256:00"
  transformer.tokenizer @tokenizer "model.gguf" digest "sha256:01"
  transformer.parameter @a : tensor<64x32xf32> from <@checkpoint, "a", q4_1>
  transformer.parameter @b : tensor<64x32xf32> {
    %0 = transformer.get @a : tensor<64x32xf32>
    transformer.yield %0 : tensor<64x32xf32>
  }
  // CHECK: memref.global "private" constant @offsets
  memref.global "private" constant @offsets : memref<1xi64> = dense<0>
  // CHECK: func.func @code
  func.func @code(%a: i32) -> i32 {
    return %a : i32
  }
}
