// One refusal for each labelled constraint of the dialect; `tools/dev/check_labels.py` keeps the two lists equal.
// RUN: qopt %s --split-input-file --verify-diagnostics

// activations_c1
func.func @f(%x: tensor<?x?xf32>) {
  // expected-error@+1 {{operand #0 must be f32 tensor of tokens and a known number of channels, but got 'tensor<?x?xf32>'}}
  %0 = transformer.activation relu %x : tensor<?x?xf32>
  return
}

// -----

// activations_c1
func.func @f(%x: tensor<?x0xf32>, %t: tensor<?x0xf32>) {
  // expected-error@+1 {{must be f32 tensor of tokens and a known number of channels, but got 'tensor<?x0xf32>'}}
  %0 = transformer.rotate %x, %t : tensor<?x0xf32>, tensor<?x0xf32>
  return
}

// -----

// indices_c1
func.func @f(%t: tensor<?xi64>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{operand #0 must be 1D tensor of 32-bit signless integer values}}
  %0 = transformer.embedding %t, %w : (tensor<?xi64>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// block_tables_c1
func.func @f(%q: tensor<?x4xf32>, %c: !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, %l: index,
             %p: tensor<?xi32>) {
  // expected-error@+1 {{operand #5 must be 2D tensor of 32-bit signless integer values}}
  %0 = transformer.attention %q, %c[%l] at (%p, %p, %p) scale 1.0
      : tensor<?x4xf32>, !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, tensor<?xi32>, tensor<?xi32>,
        tensor<?xi32>
  return
}

// -----

// float_matrix_c1
func.func @f(%x: tensor<?x4xf32>, %w: tensor<?x4xf32>) {
  // expected-error@+1 {{operand #1 must be float matrix of known shape, but got 'tensor<?x4xf32>'}}
  %0 = transformer.linear %x, %w : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// float_vector_c1
func.func @f(%x: tensor<?x4xf32>, %w: tensor<?xf32>) {
  // expected-error@+1 {{operand #1 must be float vector of known length, but got 'tensor<?xf32>'}}
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<?xf32>) -> tensor<?x4xf32>
  return
}

// -----

// static_tensor_c1
// expected-error@+1 {{failed to satisfy constraint: type attribute of tensor of static shape}}
transformer.parameter @a : tensor<?x4xf32>

// -----

// static_tensor_c1
// expected-error@+1 {{failed to satisfy constraint: type attribute of tensor of static shape}}
transformer.parameter @a : tensor<f32>

// -----

// static_tensor_c1
func.func @f(%x: tensor<f32>) {
  // expected-error@+1 {{must be tensor of static shape, of at least one axis and one element, but got 'tensor<f32>'}}
  %0 = transformer.unpermute_rotary %x heads 2 : tensor<f32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x4xf32>'}}
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3xi32>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x4xf32>'}}
  %0 = transformer.embedding %x, %w : (tensor<3xi32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x4xf32>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x8xf32>'}}
  %0 = transformer.linear %x, %w : (tensor<3x4xf32>, tensor<8x4xf32>) -> tensor<2x8xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x4xf32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x2xf32>'}}
  %0 = transformer.slice %x at 0 : tensor<3x4xf32> -> tensor<2x2xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x4xf32>, %p: tensor<2xi32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2xi32>'}}
  %0 = transformer.rotary %x, %p <dim = 4, base = 1.0e5 : f64> : tensor<3x4xf32>, tensor<2xi32>
  return
}

// -----

// tokens_c1
func.func @f(%p: tensor<2xi32>) {
  // expected-error@+1 {{expected 2 tokens in every operand and result, but got 'tensor<3x4xf32>'}}
  %0 = transformer.rotary_table %p <dim = 4, base = 1.0e5 : f64> : tensor<2xi32> -> tensor<3x4xf32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x4xf32>, %t: tensor<2x4xf32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x4xf32>'}}
  %0 = transformer.rotate %x, %t : tensor<3x4xf32>, tensor<2x4xf32>
  return
}

// -----

// tokens_c1
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, %l: index, %k: tensor<3x4xf32>,
             %p: tensor<2xi32>, %t: tensor<?x?xi32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2xi32>'}}
  %0 = transformer.cache_update %c[%l], %k, %k at (%p, %p, %t)
      : !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, tensor<3x4xf32>, tensor<2xi32>, tensor<2xi32>,
        tensor<?x?xi32>
  return
}

// -----

// tokens_c1
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, %l: index, %q: tensor<?x4xf32>,
             %p: tensor<2xi32>, %s: tensor<3xi32>, %t: tensor<?x?xi32>) {
  // expected-error@+1 {{expected 2 tokens in every operand and result, but got 'tensor<3xi32>'}}
  %0 = transformer.attention %q, %c[%l] at (%p, %s, %t) scale 1.0
      : tensor<?x4xf32>, !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, tensor<2xi32>, tensor<3xi32>,
        tensor<?x?xi32>
  return
}

// -----

// tokens_c1
func.func @f(%x: tensor<3x8xf32>) {
  // expected-error@+1 {{expected 3 tokens in every operand and result, but got 'tensor<2x4xf32>'}}
  %0 = transformer.interleaved_gated_product silu %x block 2 : tensor<3x8xf32> -> tensor<2x4xf32>
  return
}

// -----

// tokens_c1: the selected rows, not those of the batch
func.func @f(%x: tensor<8x4xf32>, %r: tensor<2xi32>) {
  // expected-error@+1 {{expected 2 tokens in every operand and result, but got 'tensor<8x4xf32>'}}
  %0 = transformer.select_rows %x, %r : tensor<8x4xf32>, tensor<2xi32> -> tensor<8x4xf32>
  return
}

// -----

// archive_c1
// expected-error@+1 {{expected a path}}
transformer.archive @a "" size 8 header "sha256:00"

// -----

// archive_c2
// expected-error@+1 {{expected a size of at least 0, but got -1}}
transformer.archive @a "x.gguf" size -1 header "sha256:00"

// -----

// archive_c3
// expected-error@+1 {{expected a header digest of the form sha256:…, but got "md5:00"}}
transformer.archive @a "x.gguf" size 8 header "md5:00"

// -----

// parameter_c1
transformer.archive @a "x.gguf" size 8 header "sha256:00"
transformer.parameter @p : tensor<4xf32>
// expected-error@+1 {{expected an archive entry or an initializer, but got both}}
transformer.parameter @q : tensor<4xf32> from <@a, "t", f32> {
  %0 = transformer.get @p : tensor<4xf32>
  transformer.yield %0 : tensor<4xf32>
}

// -----

// parameter_c2
transformer.archive @a "x.gguf" size 8 header "sha256:00"
// expected-error@+1 {{expected a type that encoding q4_1 can be read as, but got 'tensor<32xf16>'}}
transformer.parameter @p : tensor<32xf16> from <@a, "t", q4_1>

// -----

// parameter_c2
transformer.archive @a "x.gguf" size 8 header "sha256:00"
// expected-error@+1 {{expected a type that encoding packed_u4 can be read as, but got 'tensor<4x3xi4>'}}
transformer.parameter @p : tensor<4x3xi4> from <@a, "t", packed_u4>

// -----

// parameter_c2
transformer.archive @a "x.gguf" size 8 header "sha256:00"
// expected-error@+1 {{expected a type that encoding packed_u3 can be read as, but got 'tensor<4x12xi3>'}}
transformer.parameter @p : tensor<4x12xi3> from <@a, "t", packed_u3>

// -----

// parameter_c2
transformer.archive @a "x.gguf" size 8 header "sha256:00"
// expected-error@+1 {{expected a type that encoding packed_u2 can be read as, but got 'tensor<4x8xi4>'}}
transformer.parameter @p : tensor<4x8xi4> from <@a, "t", packed_u2>

// -----

// parameter_c2
transformer.archive @a "x.gguf" size 8 header "sha256:00"
// expected-error@+1 {{expected a type that encoding u8 can be read as, but got 'tensor<4xi16>'}}
transformer.parameter @p : tensor<4xi16> from <@a, "t", u8>

// -----

// parameter_c2
transformer.archive @a "x.gguf" size 8 header "sha256:00"
// expected-error@+1 {{expected a type that encoding f16 can be read as, but got 'tensor<4xbf16>'}}
transformer.parameter @p : tensor<4xbf16> from <@a, "t", f16>

// -----

// parameter_c2
transformer.archive @a "x.gguf" size 8 header "sha256:00"
// expected-error@+1 {{expected a type that encoding bf16 can be read as, but got 'tensor<4xf16>'}}
transformer.parameter @p : tensor<4xf16> from <@a, "t", bf16>

// -----

// parameter_c3
// expected-error@+1 {{expected the initializer to end in transformer.yield}}
transformer.parameter @p : tensor<4xf32> {
  llvm.unreachable
}

// -----

// An empty block has no last op for parameter_c3 to look at: the trait SingleBlock refuses it first.
// expected-error@+1 {{expects a non-empty block}}
transformer.parameter @p : tensor<4xf32> {
^bb0:
}

// -----

// parameter_c4
transformer.parameter @p : tensor<4xf32>
// expected-error@+1 {{expected the initializer to yield 'tensor<8xf32>', but got 'tensor<4xf32>'}}
transformer.parameter @q : tensor<8xf32> {
  %0 = transformer.get @p : tensor<4xf32>
  transformer.yield %0 : tensor<4xf32>
}

// -----

// parameter_c5
transformer.parameter @p : tensor<4xf32>
func.func private @g()
// expected-error@+1 {{expected an initializer of pure ops, but got func.call}}
transformer.parameter @q : tensor<4xf32> {
  %0 = transformer.get @p : tensor<4xf32>
  func.call @g() : () -> ()
  transformer.yield %0 : tensor<4xf32>
}

// -----

// parameter_c6
// expected-error@+1 {{expected @nowhere to name a transformer.archive}}
transformer.parameter @p : tensor<4xf32> from <@nowhere, "t", f32>

// -----

// get_c1
func.func @f() {
  // expected-error@+1 {{expected @f to name a transformer.parameter}}
  %0 = transformer.get @f : tensor<4xf32>
  return
}

// -----

// get_c2
transformer.parameter @p : tensor<4xf32>
func.func @f() {
  // expected-error@+1 {{expected the type of @p, 'tensor<4xf32>', but got 'tensor<8xf32>'}}
  %0 = transformer.get @p : tensor<8xf32>
  return
}

// -----

// concat_c1
func.func @f() {
  // expected-error@+1 {{expected at least one input}}
  %0 = "transformer.concat"() <{interleave = 0 : i64}> : () -> tensor<4xf32>
  return
}

// -----

// concat_c2
func.func @f(%x: tensor<4x2xf32>, %y: tensor<4x3xf32>) {
  // expected-error@+1 {{expected inputs that differ from 'tensor<8x2xf32>' in the first axis only, but got 'tensor<4x3xf32>'}}
  %0 = transformer.concat %x, %y : (tensor<4x2xf32>, tensor<4x3xf32>) -> tensor<8x2xf32>
  return
}

// -----

// concat_c3
func.func @f(%x: tensor<4x2xf32>, %y: tensor<8x2xf32>) {
  // expected-error@+1 {{expected inputs of equal length that blocks of 2 rows divide, but got 'tensor<8x2xf32>'}}
  %0 = transformer.concat %x, %y interleave 2 : (tensor<4x2xf32>, tensor<8x2xf32>) -> tensor<12x2xf32>
  return
}

// -----

// concat_c3
func.func @f(%x: tensor<4x2xf32>) {
  // expected-error@+1 {{expected inputs of equal length that blocks of 3 rows divide, but got 'tensor<4x2xf32>'}}
  %0 = transformer.concat %x, %x interleave 3 : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<8x2xf32>
  return
}

// -----

// concat_c3
func.func @f(%x: tensor<4x2xf32>) {
  // expected-error@+1 {{expected inputs of equal length that blocks of -2 rows divide, but got 'tensor<4x2xf32>'}}
  %0 = transformer.concat %x, %x interleave -2 : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<8x2xf32>
  return
}

// -----

// concat_c4
func.func @f(%x: tensor<9223372036854775807xi8>) {
  // expected-error@+1 {{expected inputs whose rows can be counted in 64 bits}}
  %0 = transformer.concat %x, %x : (tensor<9223372036854775807xi8>, tensor<9223372036854775807xi8>) -> tensor<2xi8>
  return
}

// -----

// concat_c5
func.func @f(%x: tensor<4x2xf32>) {
  // expected-error@+1 {{expected the result's first axis to be 8, but got 4}}
  %0 = transformer.concat %x, %x : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
  return
}

// -----

// unpermute_rotary_c1
func.func @f(%x: tensor<6x2xf32>) {
  // expected-error@+1 {{expected heads of an even number of rows, but got 2 heads in 6 rows}}
  %0 = transformer.unpermute_rotary %x heads 2 : tensor<6x2xf32>
  return
}

// -----

// unpermute_rotary_c1
func.func @f(%x: tensor<6x2xf32>) {
  // expected-error@+1 {{expected heads of an even number of rows, but got 0 heads in 6 rows}}
  %0 = transformer.unpermute_rotary %x heads 0 : tensor<6x2xf32>
  return
}

// -----

// embedding_c1
func.func @f(%t: tensor<?xi32>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{expected the result's channels to be 4, but got 8}}
  %0 = transformer.embedding %t, %w : (tensor<?xi32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// norm_c1
func.func @f(%x: tensor<?x4xf32>, %w: tensor<8xf32>) {
  // expected-error@+1 {{expected the weight's length to be 4, but got 8}}
  %0 = transformer.rms_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// norm_c2
func.func @f(%x: tensor<?x4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{expected the result's channels to be 4, but got 8}}
  %0 = transformer.layer_norm %x, %w epsilon 1.0e-5 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// norm_c3
func.func @f(%x: tensor<?x4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{expected a finite epsilon of at least 0, but got -1.0}}
  %0 = transformer.rms_norm %x, %w epsilon -1.0 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// norm_c3
func.func @f(%x: tensor<?x4xf32>, %w: tensor<4xf32>) {
  // expected-error@+1 {{expected a finite epsilon of at least 0, but got nan}}
  %0 = "transformer.layer_norm"(%x, %w) <{epsilon = 0x7FF8000000000000 : f64}>
      : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// layer_norm_c1
func.func @f(%x: tensor<?x4xf32>, %w: tensor<4xf32>, %b: tensor<8xf32>) {
  // expected-error@+1 {{expected the bias's length to be 4, but got 8}}
  %0 = transformer.layer_norm %x, %w bias %b epsilon 1.0e-5
      : (tensor<?x4xf32>, tensor<4xf32>, tensor<8xf32>) -> tensor<?x4xf32>
  return
}

// -----

// linear_c1
func.func @f(%x: tensor<?x4xf32>, %w: tensor<8x3xf32>) {
  // expected-error@+1 {{expected the weight's inputs to be 4, but got 3}}
  %0 = transformer.linear %x, %w : (tensor<?x4xf32>, tensor<8x3xf32>) -> tensor<?x8xf32>
  return
}

// -----

// linear_c2
func.func @f(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>) {
  // expected-error@+1 {{expected the result's channels to be 8, but got 4}}
  %0 = transformer.linear %x, %w : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// linear_c3
func.func @f(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %b: tensor<4xf32>) {
  // expected-error@+1 {{expected the bias's length to be 8, but got 4}}
  %0 = transformer.linear %x, %w bias %b : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// slice_c1
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{expected a range within 8 channels, but got 4 channels at 5}}
  %0 = transformer.slice %x at 5 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

// slice_c1: the end of the range does not fit 64 bits
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{expected a range within 8 channels, but got 4 channels at 9223372036854775807}}
  %0 = transformer.slice %x at 9223372036854775807 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

// slice_c1
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{expected a range within 8 channels, but got 4 channels at -1}}
  %0 = transformer.slice %x at -1 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

// rotary_op_c1
func.func @f(%x: tensor<?x6xf32>, %p: tensor<?xi32>) {
  // expected-error@+1 {{expected channels that heads of 4 divide, but got 6}}
  %0 = transformer.rotary %x, %p <dim = 4, base = 1.0e5 : f64> : tensor<?x6xf32>, tensor<?xi32>
  return
}

// -----

// rotary_table_c1
func.func @f(%p: tensor<?xi32>) {
  // expected-error@+1 {{expected the table's width to be 4, but got 8}}
  %0 = transformer.rotary_table %p <dim = 4, base = 1.0e5 : f64> : tensor<?xi32> -> tensor<?x8xf32>
  return
}

// -----

// rotate_c1
func.func @f(%x: tensor<?x6xf32>, %t: tensor<?x3xf32>) {
  // expected-error@+1 {{expected channels that a table of even width divides, but got 6 and 3}}
  %0 = transformer.rotate %x, %t : tensor<?x6xf32>, tensor<?x3xf32>
  return
}

// -----

// cache_update_c1
func.func @f(%c: !transformer.cache<layers = 1, heads = 2, dim = 4, f32>, %l: index, %k: tensor<?x4xf32>,
             %p: tensor<?xi32>, %t: tensor<?x?xi32>) {
  // expected-error@+1 {{expected the keys' channels to be 8, but got 4}}
  %0 = transformer.cache_update %c[%l], %k, %k at (%p, %p, %t)
      : !transformer.cache<layers = 1, heads = 2, dim = 4, f32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>,
        tensor<?x?xi32>
  return
}

// -----

// attention_c1
func.func @f(%c: !transformer.cache<layers = 1, heads = 2, dim = 4, f32>, %l: index, %q: tensor<?x12xf32>,
             %p: tensor<?xi32>, %t: tensor<?x?xi32>) {
  // expected-error@+1 {{expected query channels that 2 cache heads of 4 divide, but got 12}}
  %0 = transformer.attention %q, %c[%l] at (%p, %p, %t) scale 1.0
      : tensor<?x12xf32>, !transformer.cache<layers = 1, heads = 2, dim = 4, f32>, tensor<?xi32>, tensor<?xi32>,
        tensor<?x?xi32>
  return
}

// -----

// attention_c2
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, %l: index, %q: tensor<?x4xf32>,
             %p: tensor<?xi32>, %t: tensor<?x?xi32>) {
  // expected-error@+1 {{expected a window of at least 0, but got -1}}
  %0 = transformer.attention %q, %c[%l] at (%p, %p, %t) scale 1.0 window -1
      : tensor<?x4xf32>, !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, tensor<?xi32>, tensor<?xi32>,
        tensor<?x?xi32>
  return
}

// -----

// attention_c3
func.func @f(%c: !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, %l: index, %q: tensor<?x4xf32>,
             %p: tensor<?xi32>, %t: tensor<?x?xi32>) {
  // expected-error@+1 {{expected a finite scale, but got INF}}
  %0 = "transformer.attention"(%q, %c, %l, %p, %p, %t) <{scale = 0x7FF0000000000000 : f64, window = 0 : i64}>
      : (tensor<?x4xf32>, !transformer.cache<layers = 1, heads = 1, dim = 4, f32>, index, tensor<?xi32>, tensor<?xi32>,
         tensor<?x?xi32>) -> tensor<?x4xf32>
  return
}

// -----

// interleaved_c1
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{expected twice as many channels as the result has, 2, but got 8}}
  %0 = transformer.interleaved_gated_product silu %x block 2 : tensor<?x8xf32> -> tensor<?x2xf32>
  return
}

// -----

// interleaved_c2
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{expected a block that divides 4 channels, but got 3}}
  %0 = transformer.interleaved_gated_product silu %x block 3 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

// interleaved_c2
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error@+1 {{expected a block that divides 4 channels, but got 0}}
  %0 = transformer.interleaved_gated_product silu %x block 0 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

// select_rows_c1
func.func @f(%x: tensor<?x4xf32>, %r: tensor<?xi32>) {
  // expected-error@+1 {{expected the result's channels to be 4, but got 8}}
  %0 = transformer.select_rows %x, %r : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x8xf32>
  return
}

// -----

// rotary_c1
// expected-error@+1 {{expected a positive even dimension, but got 3}}
#r = #transformer.rotary<dim = 3, base = 1.0e5 : f64>

// -----

// rotary_c1
// expected-error@+1 {{expected a positive even dimension, but got 0}}
#r = #transformer.rotary<dim = 0, base = 1.0e5 : f64>

// -----

// rotary_c2
// expected-error@+1 {{expected a finite base above 1, but got 1.0}}
#r = #transformer.rotary<dim = 4, base = 1.0 : f64>

// -----

// rotary_c3
// expected-error@+1 {{expected all of factor, lowFrequency, highFrequency and originalContext, or none}}
#r = #transformer.rotary<dim = 4, base = 1.0e5 : f64, factor = 8.0 : f64>

// -----

// rotary_c4
// expected-error@+1 {{expected a finite scaling factor of at least 1, but got 5.000000e-01}}
#r = #transformer.rotary<dim = 4, base = 1.0e5 : f64, factor = 0.5 : f64, lowFrequency = 1.0 : f64,
                         highFrequency = 4.0 : f64, originalContext = 8192>

// -----

// rotary_c5
// expected-error@+1 {{expected 0 < lowFrequency < highFrequency, but got 4.000000e+00 and 1.000000e+00}}
#r = #transformer.rotary<dim = 4, base = 1.0e5 : f64, factor = 8.0 : f64, lowFrequency = 4.0 : f64,
                         highFrequency = 1.0 : f64, originalContext = 8192>

// -----

// rotary_c6
// expected-error@+1 {{expected a positive originalContext, but got -1}}
#r = #transformer.rotary<dim = 4, base = 1.0e5 : f64, factor = 8.0 : f64, lowFrequency = 1.0 : f64,
                         highFrequency = 4.0 : f64, originalContext = -1>

// -----

// rotary_c7
// expected-error@+1 {{expected numbers of type f64}}
#r = #transformer.rotary<dim = 4, base = 1.0e5 : f32>

// -----

// cache_c1
// expected-error@+1 {{expected positive layers, heads and dim, but got 0, 1 and 4}}
func.func private @f(!transformer.cache<layers = 0, heads = 1, dim = 4, f32>)

// -----

// cache_c2
// expected-error@+1 {{expected f32 or f16 elements, but got 'bf16'}}
func.func private @f(!transformer.cache<layers = 1, heads = 1, dim = 4, bf16>)

// -----

// cache_c3
// expected-error@+1 {{expected a token whose bytes can be counted in 64 bits, but got 4611686018427387904 layers of 4 heads of 4}}
func.func private @f(!transformer.cache<layers = 4611686018427387904, heads = 4, dim = 4, f32>)
