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
