// RUN: qopt %s --split-input-file --plan-memory --verify-diagnostics

// expected-error@+1 {{expected a function @forward}}
module {
}

// -----

#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  // expected-error@+1 {{expected carried values that nothing reads afterwards}}
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%a, %b) : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>, %j: tensor<?x16xf32>):
    %0 = transformer.residual %i, %j : tensor<?x16xf32>
    kernel.yield %0 : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  %r = kernel.dispatch @next grid #tokens (%h) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  return %r : tensor<?x16xf32>
}

// -----

// The next value would be written over the one that its own kernel still reads across elements.
#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%b) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  %r = kernel.dispatch @next grid #tokens (%h, %w) : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>, %v: tensor<16xf32>):
    %0 = transformer.rms_norm %i, %v epsilon 1.0e-5 : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
    kernel.yield %0 : tensor<?x16xf32>
  }
  // expected-error@+1 {{carried value 0 is read after its successor is written}}
  return %r : tensor<?x16xf32>
}

// -----

// What a repeat carries lies in the arena: nothing would write it to the caller.
#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // expected-error@+1 {{expected result 0 of @forward to be computed by a dispatch, but got one of kernel.repeat: return what another op makes of it}}
  return %b : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  %r = kernel.dispatch @next grid #tokens (%h) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    %0 = transformer.residual %i, %i : tensor<?x16xf32>
    kernel.yield %0 : tensor<?x16xf32>
  }
  return %r : tensor<?x16xf32>
}

// -----

// The same of hidden states.
#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%b) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  // expected-error@+1 {{expected result 1 of @forward to be computed by a dispatch, but got one of kernel.repeat: return what another op makes of it}}
  return %y, %b : tensor<?x16xf32>, tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  %r = kernel.dispatch @next grid #tokens (%h) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    %0 = transformer.residual %i, %i : tensor<?x16xf32>
    kernel.yield %0 : tensor<?x16xf32>
  }
  return %r : tensor<?x16xf32>
}

// -----

func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error@+1 {{expected result 0 of @forward to be computed by a dispatch, but got an argument: return what another op makes of it}}
  return %x : tensor<?x16xf32>
}

// -----

// A dispatch writes a result to one place.
#tokens = affine_map<(t, r) -> (t)>
func.func @forward(%x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %y = kernel.dispatch @out grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  // expected-error@+1 {{expected each result of @forward once, but got result 1 a second time: return it once}}
  return %y, %y : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// Another op of the same kernel reads what has been overwritten.
#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%b) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  %r, %s = kernel.dispatch @next grid #tokens (%h) : (tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  ^bb0(%i: tensor<?x16xf32>):
    %0 = transformer.residual %i, %i : tensor<?x16xf32>
    %1 = transformer.residual %i, %0 : tensor<?x16xf32>
    kernel.yield %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
  }
  // expected-error@+1 {{carried value 0 is read after its successor is written}}
  return %r : tensor<?x16xf32>
}

// -----

// Nothing plans a function's memory for two callers, or calls what has no body.
#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // expected-error@+1 {{expected to be in @forward, and @block to be a function with a body that nothing else repeats}}
  %c = kernel.repeat @block from 0 (%b) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%c) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  %r = kernel.dispatch @next grid #tokens (%h) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    %0 = transformer.residual %i, %i : tensor<?x16xf32>
    kernel.yield %0 : tensor<?x16xf32>
  }
  return %r : tensor<?x16xf32>
}

// -----

#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  // expected-error@+1 {{expected to be in @forward, and @block to be a function with a body that nothing else repeats}}
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%b) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
func.func private @block(index, tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>

// -----

// Calls within calls have no counters.
#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%b) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  // expected-error@+1 {{expected to be in @forward, and @block to be a function with a body that nothing else repeats}}
  %i = kernel.repeat @block from 0 (%h) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %r = kernel.dispatch @next grid #tokens (%i) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%j: tensor<?x16xf32>):
    %0 = transformer.residual %j, %j : tensor<?x16xf32>
    kernel.yield %0 : tensor<?x16xf32>
  }
  return %r : tensor<?x16xf32>
}

// -----

#tokens = affine_map<(t, r) -> (t)>
transformer.parameter @p : tensor<16xf32>
func.func @forward(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %a = kernel.dispatch @in grid #tokens (%x) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  %b = kernel.repeat @block from 0 (%a) invariant () table [[@p]] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %y = kernel.dispatch @out grid #tokens (%b) : (tensor<?x16xf32>) -> tensor<?x16xf32> {
  ^bb0(%i: tensor<?x16xf32>):
    kernel.yield %i : tensor<?x16xf32>
  }
  return %y : tensor<?x16xf32>
}
func.func private @block(%layer: index, %h: tensor<?x16xf32>, %w: tensor<16xf32>) -> tensor<?x16xf32> {
  // expected-error@+1 {{expected carried value 0 to be computed by a dispatch}}
  return %h : tensor<?x16xf32>
}
