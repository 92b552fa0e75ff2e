// What rotation refuses, each with its reason.
// RUN: qopt %s --rotate --split-input-file --verify-diagnostics
// Of a whole model: a weight from outside; values that are keys too; heads that more than linears read, which only rotating
// them minds.
// RUN: rm -rf %t && mkdir -p %t && qopt import %qopt_src/tests/fixtures/llama-tied -o %t/model.mlir
// RUN: sed -e 's/func.func @forward(/func.func @forward(%w: tensor<64x64xf32>, /' -e 's/transformer.linear %13, %14/transformer.linear %13, %w/' %t/model.mlir | not qopt --rotate 2>&1 | FileCheck %s --check-prefix=OUTSIDE
// RUN: sed 's/\(cache_update %arg5\[%c0\], %11\), %9/\1, %11/' %t/model.mlir | not qopt --rotate 2>&1 | FileCheck %s --check-prefix=VALUES
// RUN: sed 's/%16 = transformer.residual/%read = transformer.activation silu %13 : tensor<?x64xf32>\n&/' %t/model.mlir > %t/read.mlir
// RUN: not qopt %t/read.mlir --rotate 2>&1 | FileCheck %s --check-prefix=READ
// RUN: qopt %t/read.mlir --rotate=value-heads=false -o %t/rotated.mlir

// OUTSIDE: error: expected a weight that transformer.get reads
// OUTSIDE: note: in: transformer.linear
// OUTSIDE: note: next: rotate the model as it was imported, before scales are folded and weights joined
// VALUES: error: expected values that a linear makes for the cache alone
// VALUES: note: in: transformer.attention
// READ: error: expected attention whose result linears alone read, but transformer.activation does
// READ: note: in: transformer.attention

// expected-error@+3 {{expected a function @forward with a body}}
// expected-note@+2 {{result: nothing was written}}
// expected-note@+1 {{next: start from a module}}
module {}

// -----

// expected-error@+2 {{expected a model that begins with an embedding, but found none}}
// expected-note@+1 {{result: nothing was written}}
module {
  func.func @forward(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
    return %x : tensor<?x64xf32>
  }
}

// -----

// A layer norm subtracts a mean, which rotation does not keep.
// expected-error@+2 {{expected a residual stream that norms that subtract no mean, residuals and the selection of rows alone read, but transformer.layer_norm does}}
// expected-note@+1 {{result}}
module {
  transformer.parameter @table : tensor<32x64xf32>
  transformer.parameter @norm : tensor<64xf32>
  func.func @forward(%t: tensor<?xi32>) -> tensor<?x64xf32> {
    %table = transformer.get @table : tensor<32x64xf32>
    %norm = transformer.get @norm : tensor<64xf32>
    %0 = transformer.embedding %t, %table : (tensor<?xi32>, tensor<32x64xf32>) -> tensor<?x64xf32>
    %1 = transformer.layer_norm %0, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    return %1 : tensor<?x64xf32>
  }
}

// -----

// expected-error@+2 {{expected a residual stream that embeddings and linears alone write to, but transformer.activation does}}
// expected-note@+1 {{result}}
module {
  transformer.parameter @table : tensor<32x64xf32>
  transformer.parameter @w : tensor<64x64xf32>
  transformer.parameter @norm : tensor<64xf32>
  func.func @forward(%t: tensor<?xi32>) -> tensor<?x64xf32> {
    %table = transformer.get @table : tensor<32x64xf32>
    %w = transformer.get @w : tensor<64x64xf32>
    %norm = transformer.get @norm : tensor<64xf32>
    %0 = transformer.embedding %t, %table : (tensor<?xi32>, tensor<32x64xf32>) -> tensor<?x64xf32>
    %1 = transformer.rms_norm %0, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %2 = transformer.linear %1, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %3 = transformer.activation gelu %2 : tensor<?x64xf32>
    %4 = transformer.residual %0, %3 : tensor<?x64xf32>
    %5 = transformer.rms_norm %4, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    return %5 : tensor<?x64xf32>
  }
}

// -----

// A norm that something else than linears reads.
// expected-error@+2 {{expected norms that linears alone read, but func.return does}}
// expected-note@+1 {{result}}
module {
  transformer.parameter @table : tensor<32x64xf32>
  transformer.parameter @norm : tensor<64xf32>
  func.func @forward(%t: tensor<?xi32>) -> tensor<?x64xf32> {
    %table = transformer.get @table : tensor<32x64xf32>
    %norm = transformer.get @norm : tensor<64xf32>
    %0 = transformer.embedding %t, %table : (tensor<?xi32>, tensor<32x64xf32>) -> tensor<?x64xf32>
    %1 = transformer.rms_norm %0, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    return %1 : tensor<?x64xf32>
  }
}

// -----

// One weight of two linears: each would need another.
// expected-error@+3 {{expected parameters that one op reads, or an embedding that is the output head too, but this one is read 2 times}}
// expected-note@+2 {{in: parameter @w}}
// expected-note@+1 {{result}}
module {
  transformer.parameter @table : tensor<32x64xf32>
  transformer.parameter @w : tensor<64x64xf32>
  transformer.parameter @norm : tensor<64xf32>
  func.func @forward(%t: tensor<?xi32>) -> tensor<?x64xf32> {
    %table = transformer.get @table : tensor<32x64xf32>
    %w = transformer.get @w : tensor<64x64xf32>
    %norm = transformer.get @norm : tensor<64xf32>
    %0 = transformer.embedding %t, %table : (tensor<?xi32>, tensor<32x64xf32>) -> tensor<?x64xf32>
    %1 = transformer.rms_norm %0, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    %2 = transformer.linear %1, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %3 = transformer.linear %1, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %4 = transformer.gated_product silu %2, %3 : tensor<?x64xf32>
    return %4 : tensor<?x64xf32>
  }
}

// -----

// No Hadamard matrix of 28 channels is known here.
// expected-error@+3 {{expected a number of channels that is a product of 2s, 12s and 20s, but got 28}}
// expected-note@+2 {{result}}
// expected-note@+1 {{next: use an orthogonal rotation}}
module {
  transformer.parameter @table : tensor<32x28xf32>
  func.func @forward(%t: tensor<?xi32>) -> tensor<?xi32> {
    %table = transformer.get @table : tensor<32x28xf32>
    %0 = transformer.embedding %t, %table : (tensor<?xi32>, tensor<32x28xf32>) -> tensor<?x28xf32>
    %1 = transformer.residual %0, %0 : tensor<?x28xf32>
    %2 = transformer.residual %1, %1 : tensor<?x28xf32>
    return %t : tensor<?xi32>
  }
}

// -----

// More channels than a rotation is made of.
// expected-error@+2 {{expected a rotation of 1 to 2^20 channels, but got 1048577}}
// expected-note@+1 {{result}}
module {
  transformer.parameter @table : tensor<1x1048577xf32>
  func.func @forward(%t: tensor<?xi32>) -> tensor<?xi32> {
    %table = transformer.get @table : tensor<1x1048577xf32>
    %0 = transformer.embedding %t, %table : (tensor<?xi32>, tensor<1x1048577xf32>) -> tensor<?x1048577xf32>
    return %t : tensor<?xi32>
  }
}
