// RUN: qopt %s --split-input-file --lower-dispatches --verify-diagnostics

// expected-error@+1 {{expected a function @forward whose memory is planned; run --plan-memory first}}
module {
  func.func @forward() {
    return
  }
}

// -----

// expected-error@+1 {{expected a function @forward whose memory is planned; run --plan-memory first}}
module attributes {kernel.arena = array<i64: 0, 0, 0>} {
}

// -----

module attributes {kernel.arena = array<i64: 0, 0, 0>} {
  // expected-error@+1 {{expected the six arguments of a model's entry (tokens, positions, sequences, block tables, rows, cache) and then inputs, but got 1}}
  func.func @forward(%tokens: tensor<?xi32>) {
    return
  }
}

// -----

#tokens = affine_map<(t, r) -> (t)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 64, 0>} {
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache) {
    // expected-error@+1 {{expected a placement for its results; run --plan-memory first}}
    %0 = kernel.dispatch @table grid #tokens (%p) : (tensor<?xi32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?xi32>):
      %1 = transformer.rotary_table %i <dim = 16, base = 1.0e4 : f64> : tensor<?xi32> -> tensor<?x16xf32>
      kernel.yield %1 : tensor<?x16xf32>
    }
    return
  }
}

// -----

!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 64, 0>} {
  transformer.parameter @n : tensor<16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache) {
    // expected-error@+1 {{expected @n to have an offset; run --place-parameters first}}
    %0 = transformer.get @n : tensor<16xf32>
    return
  }
}

// -----

!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 64, 0>} {
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache) {
    // expected-error@+1 {{expected dispatches, parameters and repeats only; run --form-dispatches first}}
    %0 = transformer.rotary_table %p <dim = 16, base = 1.0e4 : f64> : tensor<?xi32> -> tensor<?x16xf32>
    return
  }
}

// -----

// Of another token's row nothing is there yet.
#rows = affine_map<(t, r) -> (r)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 64, 0>} {
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache, %x: tensor<?x16xf32>) {
    %0 = kernel.dispatch @select grid #rows (%x, %r) {over_rows, placement = ["logits"]}
        : (tensor<?x16xf32>, tensor<?xi32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>, %j: tensor<?xi32>):
      %1 = transformer.activation silu %i : tensor<?x16xf32>
      // expected-error@+1 {{expected rows of what another dispatch computes, or of slices of it}}
      %2 = transformer.select_rows %1, %j : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
      kernel.yield %2 : tensor<?x16xf32>
    }
    return
  }
}

// -----

// 139264 products of up to 128 times 127 overflow an i32.
#tokens = affine_map<(t, r) -> (t)>
#one = affine_map<(t, r) -> (1)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 139392, 0>} {
  transformer.parameter @w : tensor<1x2228256xi8> attributes {kernel.offset = 0 : i64}
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache, %x: tensor<?x139264xf32>) {
    %w = transformer.get @w : tensor<1x2228256xi8>
    %0, %1, %2 = kernel.dispatch @encode grid #tokens (%x)
        {placement = [array<i64: 0, 0, 0>, array<i64: 0, 139264, 0>, array<i64: 0, 139328, 0>]}
        : (tensor<?x139264xf32>) -> (tensor<?x139264xi8>, tensor<?x1xf32>, tensor<?x1xi32>) {
    ^bb0(%i: tensor<?x139264xf32>):
      %3, %4, %5 = lowbit.encode %i <kind = i8> sums 139264
          : tensor<?x139264xf32> -> tensor<?x139264xi8> scales tensor<?x1xf32> sums tensor<?x1xi32>
      kernel.yield %3, %4, %5 : tensor<?x139264xi8>, tensor<?x1xf32>, tensor<?x1xi32>
    }
    %y = kernel.dispatch @matmul grid #one (%0, %1, %2, %w) {placement = ["logits"]}
        : (tensor<?x139264xi8>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<1x2228256xi8>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x139264xi8>, %j: tensor<?x1xf32>, %k: tensor<?x1xi32>, %v: tensor<1x2228256xi8>):
      // expected-error@+1 {{expected sums over at most 132104 inputs, whose products an i32 can hold, but got 139264; run --select-layouts}}
      %3 = lowbit.matmul %i scales %j sums %k, %v layout(#kernel.panel<code = u8, dot = 4, scale = f16>)
          : (tensor<?x139264xi8>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<1x2228256xi8>) -> tensor<?x16xf32>
      kernel.yield %3 : tensor<?x16xf32>
    }
    return
  }
}

// -----

// Unsigned codes cannot be corrected for their zero point without the sums of what they are multiplied with.
#tokens = affine_map<(t, r) -> (t)>
#one = affine_map<(t, r) -> (1)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 128, 0>} {
  transformer.parameter @w : tensor<1x1056xi8> attributes {kernel.offset = 0 : i64}
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache, %x: tensor<?x64xf32>) {
    %w = transformer.get @w : tensor<1x1056xi8>
    %0, %1 = kernel.dispatch @encode grid #tokens (%x) {placement = [array<i64: 0, 0, 0>, array<i64: 0, 64, 0>]}
        : (tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?x1xf32>) {
    ^bb0(%i: tensor<?x64xf32>):
      %2, %3 = lowbit.encode %i <kind = i8> : tensor<?x64xf32> -> tensor<?x64xi8> scales tensor<?x1xf32>
      kernel.yield %2, %3 : tensor<?x64xi8>, tensor<?x1xf32>
    }
    %y = kernel.dispatch @matmul grid #one (%0, %1, %w) {placement = ["logits"]}
        : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<1x1056xi8>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x64xi8>, %j: tensor<?x1xf32>, %v: tensor<1x1056xi8>):
      // expected-error@+1 {{expected sums of activations, by which zero points are taken off; run --select-layouts}}
      %2 = lowbit.matmul %i scales %j, %v layout(#kernel.panel<code = u8, dot = 4, scale = f16>)
          : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<1x1056xi8>) -> tensor<?x16xf32>
      kernel.yield %2 : tensor<?x16xf32>
    }
    return
  }
}

// -----

// Sums of half a block of codes would need half a block to be read.
#one = affine_map<(t, r) -> (1)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 0, 0>} {
  transformer.parameter @w : tensor<1x544xi8> attributes {kernel.offset = 0 : i64}
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache, %a: tensor<?x64xi8>, %b: tensor<?x1xf32>, %d: tensor<?x16xi32>) {
    %w = transformer.get @w : tensor<1x544xi8>
    %y = kernel.dispatch @matmul grid #one (%a, %b, %d, %w) {placement = ["logits"]}
        : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x16xi32>, tensor<1x544xi8>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x64xi8>, %j: tensor<?x1xf32>, %k: tensor<?x16xi32>, %v: tensor<1x544xi8>):
      // expected-error@+1 {{expected sums over whole blocks of 8 inputs, but got sums of 4; run --select-layouts}}
      %2 = lowbit.matmul %i scales %j sums %k, %v layout(#kernel.panel<code = u4, dot = 4, group = 64, scale = f16>)
          : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x16xi32>, tensor<1x544xi8>) -> tensor<?x16xf32>
      kernel.yield %2 : tensor<?x16xf32>
    }
    return
  }
}

// -----

// One sum meets one zero point of bf16 activations.
#one = affine_map<(t, r) -> (1)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 0, 0>} {
  transformer.parameter @w : tensor<1x552xi8> attributes {kernel.offset = 0 : i64}
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache, %a: tensor<?x64xbf16>, %d: tensor<?x2xf32>) {
    %w = transformer.get @w : tensor<1x552xi8>
    %y = kernel.dispatch @matmul grid #one (%a, %d, %w) {placement = ["logits"]}
        : (tensor<?x64xbf16>, tensor<?x2xf32>, tensor<1x552xi8>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x64xbf16>, %k: tensor<?x2xf32>, %v: tensor<1x552xi8>):
      // expected-error@+1 {{expected a sum for each group of the weight, of 64 inputs, but got sums of 32; run --select-layouts}}
      %2 = lowbit.matmul %i sums %k, %v layout(#kernel.panel<code = u4, dot = 2, group = 64, scale = f16, zeroPoints = true>)
          : (tensor<?x64xbf16>, tensor<?x2xf32>, tensor<1x552xi8>) -> tensor<?x16xf32>
      kernel.yield %2 : tensor<?x16xf32>
    }
    return
  }
}

// -----

// How many inputs lie together follows from what multiplies them.
#one = affine_map<(t, r) -> (1)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 0, 0>} {
  transformer.parameter @w : tensor<1x544xi8> attributes {kernel.offset = 0 : i64}
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache, %a: tensor<?x64xi8>, %b: tensor<?x1xf32>, %d: tensor<?x1xi32>) {
    %w = transformer.get @w : tensor<1x544xi8>
    %y = kernel.dispatch @matmul grid #one (%a, %b, %d, %w) {placement = ["logits"]}
        : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<1x544xi8>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x64xi8>, %j: tensor<?x1xf32>, %k: tensor<?x1xi32>, %v: tensor<1x544xi8>):
      // expected-error@+1 {{expected a layout that a payload of 'i8' reads 4 inputs at a time, but got #kernel.panel<code = u4, dot = 1, group = 64, scale = f16>; run --select-layouts}}
      %2 = lowbit.matmul %i scales %j sums %k, %v layout(#kernel.panel<code = u4, dot = 1, group = 64, scale = f16>)
          : (tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x1xi32>, tensor<1x544xi8>) -> tensor<?x16xf32>
      kernel.yield %2 : tensor<?x16xf32>
    }
    return
  }
}

// -----

// What stays inside a dispatch lies on a worker's stack.
#tokens = affine_map<(t, r) -> (t)>
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {kernel.arena = array<i64: 0, 0, 0>} {
  func.func @forward(%tokens: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %t: tensor<?x?xi32>, %r: tensor<?xi32>,
                     %c: !cache, %x: tensor<?x131072xf32>) {
    // expected-error@+1 {{expected rows that stay inside it to take at most 262144 bytes of a worker's stack, but they take 524288: let --form-dispatches divide them}}
    %0 = kernel.dispatch @wide grid #tokens (%x) {placement = ["logits"]} : (tensor<?x131072xf32>) -> tensor<?x131072xf32> {
    ^bb0(%i: tensor<?x131072xf32>):
      %1 = transformer.activation silu %i : tensor<?x131072xf32>
      %2 = transformer.activation silu %1 : tensor<?x131072xf32>
      kernel.yield %2 : tensor<?x131072xf32>
    }
    return
  }
}
