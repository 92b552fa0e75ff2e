// RUN: qopt %s --split-input-file --place-parameters --verify-diagnostics

// expected-error@+1 {{expected a function @forward}}
module {
  transformer.parameter @a : tensor<3xf32>
}
