// With bf16-tiles f32 is split into halves that are multiplied in tiles, where rows of inputs are whole tiles; elsewhere, and
// without the option, in vectors.
// RUN: qopt %s --lower-dispatches=bf16-tiles=true | FileCheck %s --check-prefixes=CHECK,TILES
// RUN: qopt %s --lower-dispatches | FileCheck %s --check-prefixes=CHECK,VECTORS
// Tiles become instructions, and nothing of the dialect is left.
// RUN: qopt %s --qopt-kernels=bf16-tiles=true --qopt-machine='vectors=x86-64-v4+bf16' | FileCheck %s --check-prefix=MACHINE

#tokens = affine_map<(t, r) -> (t)>
#panels = affine_map<(t, r) -> (3)>
#one = affine_map<(t, r) -> (1)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>

// MACHINE-NOT: amx.
// MACHINE: llvm.func @whole(
// MACHINE-COUNT-12: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// MACHINE-NOT: amx.
module attributes {kernel.arena = array<i64: 0, 448, 0>, kernel.weights_bytes = 17408 : i64} {
  transformer.parameter @w : tensor<3x4096xi8> attributes {kernel.offset = 0 : i64}
  transformer.parameter @v : tensor<1x3072xi8> attributes {kernel.offset = 12288 : i64}

  // Halves of 32 inputs for 16 tokens and for 16 outputs of two panels; 512 tokens at once.
  // CHECK-LABEL: func.func private @whole(
  // TILES-DAG: memref.alloca() {alignment = 64 : i64} : memref<32x2x2x16x32xbf16>
  // TILES-DAG: memref.alloca() {alignment = 64 : i64} : memref<2x2x2x16x32xbf16>
  // TILES-DAG: memref.alloca() {alignment = 64 : i64} : memref<2x512x16xf32>
  // TILES: vector.interleave
  // TILES: scf.for {{.*}} iter_args
  // TILES-COUNT-12: amx.tile_mulf
  // TILES-NOT: amx.tile_mulf
  // VECTORS-NOT: amx
  // VECTORS: math.fma
  // CHECK-LABEL: func.func private @part(
  // CHECK-NOT: amx
  // CHECK: math.fma
  func.func @forward(%t: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %b: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache) -> (tensor<?x16xf32>, !cache) {
    %w = transformer.get @w : tensor<3x4096xi8>
    %v = transformer.get @v : tensor<1x3072xi8>
    %x = kernel.dispatch @table grid #tokens (%p) {placement = [array<i64: 0, 0, 0>]}
        : (tensor<?xi32>) -> tensor<?x64xf32> {
    ^bb0(%i: tensor<?xi32>):
      %0 = transformer.rotary_table %i <dim = 64, base = 1.0e4 : f64> : tensor<?xi32> -> tensor<?x64xf32>
      kernel.yield %0 : tensor<?x64xf32>
    }
    %y = kernel.dispatch @whole grid #panels (%x, %w) {placement = [array<i64: 0, 256, 0>]}
        : (tensor<?x64xf32>, tensor<3x4096xi8>) -> tensor<?x48xf32> {
    ^bb0(%i: tensor<?x64xf32>, %j: tensor<3x4096xi8>):
      %0 = lowbit.matmul %i, %j layout(#kernel.panel<code = f32, dot = 1>)
          : (tensor<?x64xf32>, tensor<3x4096xi8>) -> tensor<?x48xf32>
      kernel.yield %0 : tensor<?x48xf32>
    }
    %z = kernel.dispatch @part grid #one (%y, %v) {over_rows, placement = ["logits"]}
        : (tensor<?x48xf32>, tensor<1x3072xi8>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x48xf32>, %j: tensor<1x3072xi8>):
      %0 = lowbit.matmul %i, %j layout(#kernel.panel<code = f32, dot = 1>)
          : (tensor<?x48xf32>, tensor<1x3072xi8>) -> tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    return %z, %c : tensor<?x16xf32>, !cache
  }
}
