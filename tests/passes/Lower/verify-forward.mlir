// A model and a part that keep all rules stay as they are.
// RUN: qopt %s --split-input-file -o %t.before.mlir
// RUN: qopt %s --split-input-file --verify-forward --pass-counts -o %t.after.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: diff %t.before.mlir %t.after.mlir
// COUNTS: 8 ops
// COUNTS: 2 ops

// All rules hold: nothing is said.
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
    %a = transformer.attention %h, %c[%zero] at (%positions, %sequences, %tables) scale 0.25 : tensor<?x16xf32>, !cache, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>
    %x = transformer.select_rows %a, %rows : tensor<?x16xf32>, tensor<?xi32> -> tensor<?x16xf32>
    %head = transformer.get @head : tensor<32x16xf32>
    %logits = transformer.linear %x, %head : (tensor<?x16xf32>, tensor<32x16xf32>) -> tensor<?x32xf32>
    return %logits, %c : tensor<?x32xf32>, !cache
  }
}

// -----

// A part gives all tokens.
!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
module attributes {transformer.model = {vocabulary = 32 : i64, context = 8 : i64}} {
  transformer.parameter @table : tensor<32x16xf32>
  transformer.parameter @head : tensor<32x16xf32>
  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,
                   %tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: !cache) -> (tensor<?x16xf32>, !cache)
      attributes {transformer.part} {
    %table = transformer.get @table : tensor<32x16xf32>
    %h = transformer.embedding %tokens, %table : (tensor<?xi32>, tensor<32x16xf32>) -> tensor<?x16xf32>
    return %h, %cache : tensor<?x16xf32>, !cache
  }
}
