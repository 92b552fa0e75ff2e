// Every op, attribute and type of the dialect survives text, generic text and bytecode.
// RUN: qopt %s | qopt | FileCheck %s
// RUN: qopt %s --mlir-print-op-generic | qopt | FileCheck %s
// RUN: qopt %s --emit-bytecode -o %t.mlirbc && qopt %t.mlirbc | FileCheck %s

// CHECK-LABEL: module @tiny
// CHECK-SAME: transformer.model = {architecture = "llama", context = 8192 : i64}
module @tiny attributes {transformer.model = {architecture = "llama", context = 8192 : i64}} {
  // CHECK: transformer.archive @checkpoint "model.gguf" size 1024 header "sha256:00"
  transformer.archive @checkpoint "model.gguf" size 1024 header "sha256:00"
  // CHECK: transformer.tokenizer @tokenizer "model.gguf" digest "sha256:01"
  transformer.tokenizer @tokenizer "model.gguf" digest "sha256:01"

  // CHECK: transformer.parameter @q4_1 : tensor<64x32xf32> from <@checkpoint, "a", q4_1>
  transformer.parameter @q4_1 : tensor<64x32xf32> from <@checkpoint, "a", q4_1>
  // CHECK: transformer.parameter @codes : tensor<64x32xi4> from <@checkpoint, "b", packed_u4>
  transformer.parameter @codes : tensor<64x32xi4> from <@checkpoint, "b", packed_u4>
  // CHECK: transformer.parameter @pairs : tensor<64x12xi2> from <@checkpoint, "b", packed_u2>
  transformer.parameter @pairs : tensor<64x12xi2> from <@checkpoint, "b", packed_u2>
  // CHECK: transformer.parameter @threes : tensor<64x24xi3> from <@checkpoint, "b", packed_u3>
  transformer.parameter @threes : tensor<64x24xi3> from <@checkpoint, "b", packed_u3>
  // CHECK: transformer.parameter @zeros : tensor<64x1xi8> from <@checkpoint, "c", u8>
  transformer.parameter @zeros : tensor<64x1xi8> from <@checkpoint, "c", u8>
  // CHECK: transformer.parameter @half : tensor<64xf16> from <@checkpoint, "d", f16>
  transformer.parameter @half : tensor<64xf16> from <@checkpoint, "d", f16>
  // CHECK: transformer.parameter @wide : tensor<64xf32> from <@checkpoint, "e", bf16>
  transformer.parameter @wide : tensor<64xf32> from <@checkpoint, "e", bf16>
  // CHECK: transformer.parameter @"model.layers.0.shape only" : tensor<64x32xf32>{{$}}
  transformer.parameter @"model.layers.0.shape only" : tensor<64x32xf32>
  // CHECK: transformer.parameter @placed : tensor<64xf32> attributes {kernel.offset = 64 : i64}
  transformer.parameter @placed : tensor<64xf32> attributes {kernel.offset = 64 : i64}
  // CHECK: transformer.parameter @placed_entry : tensor<64xf32> from <@checkpoint, "f", f32> attributes {kernel.offset = 0 : i64}
  transformer.parameter @placed_entry : tensor<64xf32> from <@checkpoint, "f", f32> attributes {kernel.offset = 0 : i64}
  // CHECK: transformer.parameter @placed_result : tensor<64xf32> attributes {kernel.offset = 128 : i64} {
  // CHECK:   transformer.get @placed : tensor<64xf32>
  transformer.parameter @placed_result : tensor<64xf32> attributes {kernel.offset = 128 : i64} {
    %0 = transformer.get @placed : tensor<64xf32>
    transformer.yield %0 : tensor<64xf32>
  }
  // CHECK: transformer.parameter @unpermuted : tensor<64x32xf32> {
  // CHECK:   %[[STORED:.*]] = transformer.get @q4_1 : tensor<64x32xf32>
  // CHECK:   %[[HALVES:.*]] = transformer.unpermute_rotary %[[STORED]] heads 2 : tensor<64x32xf32>
  // CHECK:   transformer.yield %[[HALVES]] : tensor<64x32xf32>
  transformer.parameter @unpermuted : tensor<64x32xf32> {
    %0 = transformer.get @q4_1 : tensor<64x32xf32>
    %1 = transformer.unpermute_rotary %0 heads 2 : tensor<64x32xf32>
    transformer.yield %1 : tensor<64x32xf32>
  }
  // CHECK: transformer.parameter @joined : tensor<256x32xf32>
  transformer.parameter @joined : tensor<256x32xf32> {
    %0 = transformer.get @q4_1 : tensor<64x32xf32>
    %1 = transformer.get @unpermuted : tensor<64x32xf32>
    // CHECK: %[[PLAIN:.*]] = transformer.concat %{{.*}}, %{{.*}} : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<128x32xf32>
    %2 = transformer.concat %0, %1 : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<128x32xf32>
    // CHECK: transformer.concat %[[PLAIN]], %[[PLAIN]] interleave 16 :
    %3 = transformer.concat %2, %2 interleave 16 : (tensor<128x32xf32>, tensor<128x32xf32>) -> tensor<256x32xf32>
    transformer.yield %3 : tensor<256x32xf32>
  }

  // CHECK-LABEL: func.func @graph
  func.func @graph(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>,
                   %cache: !transformer.cache<layers = 2, heads = 1, dim = 16, f16>, %table: tensor<100x32xf16>,
                   %v: tensor<32xf32>, %w: tensor<32x32xbf16>, %wk: tensor<16x32xf32>, %bk: tensor<16xf32>)
      -> (tensor<?x32xf32>, !transformer.cache<layers = 2, heads = 1, dim = 16, f16>) {
    %layer = arith.constant 1 : index
    // CHECK: %[[H:.*]] = transformer.embedding %{{.*}}, %{{.*}} : (tensor<?xi32>, tensor<100x32xf16>) -> tensor<?x32xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<100x32xf16>) -> tensor<?x32xf32>
    // CHECK: transformer.rms_norm %[[H]], %{{.*}} epsilon 1.000000e-05 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
    %n = transformer.rms_norm %h, %v epsilon 1.0e-5 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
    // CHECK: transformer.layer_norm %{{.*}}, %{{.*}} epsilon 0.000000e+00 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
    %l0 = transformer.layer_norm %n, %v epsilon 0.0 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
    // CHECK: transformer.layer_norm %{{.*}}, %{{.*}} bias %{{.*}} epsilon 1.000000e-05
    %l1 = transformer.layer_norm %l0, %v bias %v epsilon 1.0e-5
        : (tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
    // CHECK: transformer.linear %{{.*}}, %{{.*}} : (tensor<?x32xf32>, tensor<32x32xbf16>) -> tensor<?x32xf32>
    %q = transformer.linear %l1, %w : (tensor<?x32xf32>, tensor<32x32xbf16>) -> tensor<?x32xf32>
    // CHECK: transformer.linear %{{.*}}, %{{.*}} bias %{{.*}} : (tensor<?x32xf32>, tensor<16x32xf32>, tensor<16xf32>) -> tensor<?x16xf32>
    %k = transformer.linear %l1, %wk bias %bk : (tensor<?x32xf32>, tensor<16x32xf32>, tensor<16xf32>) -> tensor<?x16xf32>
    // CHECK: %[[V:.*]] = transformer.slice %{{.*}} at 16 : tensor<?x32xf32> -> tensor<?x16xf32>
    %value = transformer.slice %q at 16 : tensor<?x32xf32> -> tensor<?x16xf32>
    // CHECK: transformer.rotary %{{.*}}, %{{.*}} <dim = 16, base = 1.000000e+04 : f64> : tensor<?x16xf32>, tensor<?xi32>
    %kr = transformer.rotary %k, %positions <dim = 16, base = 1.0e4 : f64> : tensor<?x16xf32>, tensor<?xi32>
    // CHECK: %[[TABLE:.*]] = transformer.rotary_table %{{.*}} <dim = 16, base = 5.000000e+05 : f64, factor = 3.200000e+01 : f64, lowFrequency = 1.000000e+00 : f64, highFrequency = 4.000000e+00 : f64, originalContext = 8192> : tensor<?xi32> -> tensor<?x16xf32>
    %cs = transformer.rotary_table %positions <dim = 16, base = 5.0e5 : f64, factor = 32.0 : f64,
        lowFrequency = 1.0 : f64, highFrequency = 4.0 : f64, originalContext = 8192> : tensor<?xi32> -> tensor<?x16xf32>
    // CHECK: transformer.rotate %{{.*}}, %[[TABLE]] : tensor<?x32xf32>, tensor<?x16xf32>
    %qr = transformer.rotate %q, %cs : tensor<?x32xf32>, tensor<?x16xf32>
    // CHECK: %[[CACHE:.*]] = transformer.cache_update %{{.*}}[%{{.*}}], %{{.*}}, %[[V]] at(%{{.*}}, %{{.*}}, %{{.*}}) : <layers = 2, heads = 1, dim = 16, f16>, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %c = transformer.cache_update %cache[%layer], %kr, %value at (%positions, %sequences, %tables)
        : !transformer.cache<layers = 2, heads = 1, dim = 16, f16>, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>,
          tensor<?x?xi32>
    // CHECK: transformer.attention %{{.*}}, %[[CACHE]][%{{.*}}] at(%{{.*}}, %{{.*}}, %{{.*}}) scale 2.500000e-01 : tensor<?x32xf32>
    %a = transformer.attention %qr, %c[%layer] at (%positions, %sequences, %tables) scale 0.25
        : tensor<?x32xf32>, !transformer.cache<layers = 2, heads = 1, dim = 16, f16>, tensor<?xi32>, tensor<?xi32>,
          tensor<?x?xi32>
    // CHECK: transformer.attention {{.*}} scale 2.500000e-01 window 128 :
    %aw = transformer.attention %qr, %c[%layer] at (%positions, %sequences, %tables) scale 0.25 window 128
        : tensor<?x32xf32>, !transformer.cache<layers = 2, heads = 1, dim = 16, f16>, tensor<?xi32>, tensor<?xi32>,
          tensor<?x?xi32>
    // CHECK: transformer.residual %{{.*}}, %{{.*}} : tensor<?x32xf32>
    %r = transformer.residual %a, %aw : tensor<?x32xf32>
    // CHECK: transformer.activation silu
    %e0 = transformer.activation silu %r : tensor<?x32xf32>
    // CHECK: transformer.activation gelu %
    %e1 = transformer.activation gelu %e0 : tensor<?x32xf32>
    // CHECK: transformer.activation gelu_tanh
    %e2 = transformer.activation gelu_tanh %e1 : tensor<?x32xf32>
    // CHECK: transformer.activation relu
    %e3 = transformer.activation relu %e2 : tensor<?x32xf32>
    // CHECK: transformer.gated_product silu %{{.*}}, %{{.*}} : tensor<?x32xf32>
    %g = transformer.gated_product silu %e3, %r : tensor<?x32xf32>
    // CHECK: transformer.interleaved_gated_product gelu %{{.*}} block 8 : tensor<?x32xf32> -> tensor<?x16xf32>
    %i = transformer.interleaved_gated_product gelu %g block 8 : tensor<?x32xf32> -> tensor<?x16xf32>
    // CHECK: transformer.select_rows %{{.*}}, %{{.*}} : tensor<?x32xf32>, tensor<?xi32> -> tensor<?x32xf32>
    %s = transformer.select_rows %g, %rows : tensor<?x32xf32>, tensor<?xi32> -> tensor<?x32xf32>
    return %s, %c : tensor<?x32xf32>, !transformer.cache<layers = 2, heads = 1, dim = 16, f16>
  }
}
