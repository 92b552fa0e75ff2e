// RUN: qopt %s --return-hidden-states --verify-diagnostics

!cache = !transformer.cache<layers = 1, heads = 1, dim = 16, f32>
// expected-error@+1 {{expected the logits to be the result of a linear}}
func.func @forward(%x: tensor<?x16xf32>, %c: !cache) -> (tensor<?x16xf32>, !cache) {
  return %x, %c : tensor<?x16xf32>, !cache
}
