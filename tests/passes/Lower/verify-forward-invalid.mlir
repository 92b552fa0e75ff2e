// What the callers of the compiled entry rely on, each rule broken once.
// RUN: qopt %s --split-input-file --verify-forward --verify-diagnostics

// expected-error@+1 {{expected a function @forward with a body}}
module {
}

// -----

// The logits of all tokens do not fit into memory for those that are wanted.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %h, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    // expected-error@+1 {{expected result 0 of the wanted rows: let 'transformer.select_rows' take them by argument 4}}
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// Nor do hidden states.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache, tensor<?x16xf32>) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    // expected-error@+1 {{expected result 2 of the wanted rows}}
    return %logits, %cache, %h : tensor<?x32xf32>, !cache, tensor<?x16xf32>
  }
}

// -----

// A part's outputs are as long as the batch.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x16xf32>, !cache)
      attributes {transformer.part} {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    // expected-error@+1 {{expected result 0 of all tokens}}
    return %x, %cache : tensor<?x16xf32>, !cache
  }
}

// -----

// Two values of different rows, which their types do not tell apart.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    // expected-error@+1 {{expected operands of all tokens or of the wanted rows, but got operand 1 of all tokens after one of the wanted rows}}
    %y = transformer.residual %x, %h : tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %y, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// Rows count tokens of the batch, not rows that were taken before.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    // expected-error@+1 {{expected the wanted rows, argument 4 of @forward, of a value of all tokens}}
    %y = transformer.select_rows %x, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %y, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// Or by other numbers.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    // expected-error@+1 {{expected the wanted rows, argument 4 of @forward, of a value of all tokens}}
    %x = transformer.select_rows %h, %positions : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// The runtime lets token ids pass that have a logit.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<31x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<31x16xf32>
    // expected-error@+1 {{expected a table of at least 32 rows, one for each token that has a logit, but got 31}}
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<31x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// And positions of the context.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 33 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    // expected-error@+1 {{expected a table of at least 33 rows, one for each position of the context, but got 32}}
    %h = transformer.embedding %positions, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// Nothing bounds sequence numbers by a table.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    // expected-error@+1 {{expected rows of a table by tokens or by positions, arguments 0 and 1 of @forward}}
    %h = transformer.embedding %sequences, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// A layer that the cache does not have.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %one = arith.constant 1 : index
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    // expected-error@+1 {{expected a constant layer of the cache's 1, but got 1}}
    %c = transformer.cache_update %cache[%one], %h, %h at (%positions, %sequences, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// A layer that is computed.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %zero = arith.constant 0 : index
    %sum = arith.addi %zero, %zero : index
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    // expected-error@+1 {{expected a constant layer of the cache's 1, but got one that is computed}}
    %c = transformer.cache_update %cache[%sum], %h, %h at (%positions, %sequences, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// Caches are written in place: what an update has replaced is gone.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %zero = arith.constant 0 : index
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %c = transformer.cache_update %cache[%zero], %h, %h at (%positions, %sequences, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    // expected-error@+1 {{expected the cache as the last update before has left it}}
    %a = transformer.attention %h, %cache[%zero] at (%positions, %sequences, %tables) scale 0.25 : tensor<?x16xf32>, !cache, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %a, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// The same of what is returned.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %zero = arith.constant 0 : index
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %c = transformer.cache_update %cache[%zero], %h, %h at (%positions, %sequences, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    // expected-error@+1 {{expected the cache as the last update has left it}}
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// A token is written to its own sequence.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %zero = arith.constant 0 : index
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    // expected-error@+1 {{expected positions, sequences and block tables to be arguments 1, 2 and 3 of @forward}}
    %c = transformer.cache_update %cache[%zero], %h, %h at (%positions, %positions, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// Who calls a model brings six arguments.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  // expected-error@+1 {{expected the arguments of a model (tokens, positions, sequences: tensor<?xi32>, block tables: tensor<?x?xi32>, rows: tensor<?xi32>, a cache), but got}}
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache, %more: tensor<?x16xf32>) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// In their order.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  // expected-error@+1 {{expected the arguments of a model}}
  func.func @forward(%tokens: tensor<?x?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %positions, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// Logits come first.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  // expected-error@+1 {{expected the results of a model (logits: tensor<?xNxf32>, a cache, and then hidden states or nothing), but got}}
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (!cache, tensor<?x32xf32>) {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %cache, %logits : !cache, tensor<?x32xf32>
  }
}

// -----

// One block is compiled.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  // expected-error@+1 {{expected one block, but got several}}
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    cf.br ^next
    ^next:
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// A packed table has as many rows as it says.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @packed : tensor<2x1024xi8>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %packed = transformer.get @packed : tensor<2x1024xi8>
    // expected-error@+1 {{expected a table of at least 32 rows, one for each token that has a logit, but got 31}}
    %h = lowbit.gather %tokens, %packed rows 31 layout(#kernel.panel<code = f32, dot = 1>)
        : (tensor<?xi32>, tensor<2x1024xi8>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// Of layer 1 the cache has nothing of these tokens.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %c = transformer.cache_update %cache[%zero], %e, %e at (%positions, %sequences, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    // expected-error@+1 {{expected an update of layer 1 before it: of its own tokens there is nothing in the cache yet}}
    %h = transformer.attention %e, %c[%one] at (%positions, %sequences, %tables) scale 0.25 : tensor<?x16xf32>, !cache, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// How many tokens there are is known when the model runs.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    // expected-error@+1 {{expected a result of ? rows, one for each of all tokens, but got 'tensor<4x16xf32>'}}
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<4x16xf32>
    %h = transformer.activation silu %e : tensor<4x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<4x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// A constant would have no place in the artifact.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    // expected-error@+1 {{expected no constants but a cache's layers, of type index, but got 'tensor<16xf32>': let a transformer.parameter hold its values}}
    %ones = arith.constant dense<1.0> : tensor<16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %h = transformer.rms_norm %e, %ones epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// Dispatches are made of the graph, once all rules hold.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    // expected-error@+1 {{expected the graph as importers leave it, of which later passes make kernels}}
    %h = kernel.dispatch @a grid affine_map<(t, r) -> (t)> (%e) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
    ^bb0(%i: tensor<?x16xf32>):
      %0 = transformer.activation silu %i : tensor<?x16xf32>
      kernel.yield %0 : tensor<?x16xf32>
    }
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// A parameter of four rows is read beyond its end where there are more tokens.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @four : tensor<4x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %four = transformer.get @four : tensor<4x16xf32>
    // expected-error@+1 {{expected a value with a row for each token, or each wanted row, but got one of 'tensor<4x16xf32>' that is not computed of them}}
    %h = transformer.rotate %e, %four : tensor<?x16xf32>, tensor<4x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// So is one that the cache would take.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @four : tensor<4x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %zero = arith.constant 0 : index
    %four = transformer.get @four : tensor<4x16xf32>
    // expected-error@+1 {{expected a value with a row for each token, or each wanted row, but got one of 'tensor<4x16xf32>'}}
    %c = transformer.cache_update %cache[%zero], %four, %four at (%positions, %sequences, %tables) : !cache, tensor<4x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %h = transformer.activation silu %e : tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// A table by wanted rows would be read as one by tokens.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @four : tensor<4x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    // expected-error@+1 {{expected positions to be argument 1 of @forward}}
    %t = transformer.rotary_table %rows <dim = 16, base = 1.0e4 : f64> : tensor<?xi32> -> tensor<?x16xf32>
    %h = transformer.rotate %e, %t : tensor<?x16xf32>, tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
}

// -----

// An attention between two updates would see of the second what was in chunks before.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @four : tensor<4x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %zero = arith.constant 0 : index
    %b = transformer.cache_update %cache[%zero], %e, %e at (%positions, %sequences, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %h = transformer.attention %e, %b[%zero] at (%positions, %sequences, %tables) scale 0.25 : tensor<?x16xf32>, !cache, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    // expected-error@+1 {{expected one update of layer 0, but got two}}
    %c = transformer.cache_update %b[%zero], %h, %h at (%positions, %sequences, %tables) : !cache, tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// Nothing would compile another function.
!cache = !transformer.cache<layers = 2, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @four : tensor<4x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x32xf32>, !cache) {
    %table = transformer.get @table : tensor<32x16xf32>
    %e = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    %h = transformer.activation silu %e : tensor<?x16xf32>
    %x = transformer.select_rows %h, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %cache : tensor<?x32xf32>, !cache
  }
  // expected-error@+1 {{expected no function with a body but @forward, which is what is compiled: remove it}}
  func.func private @other() {
    return
  }
}
