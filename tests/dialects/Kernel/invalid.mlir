// One refusal for each labelled constraint of the dialect; `tools/dev/check_labels.py` keeps the two lists equal.
// RUN: qopt %s --split-input-file --verify-diagnostics

// dispatch_c1
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected a grid of the form (tokens, rows) -> (tiles), but got affine_map<(d0) -> (d0)>}}
  kernel.dispatch @k grid affine_map<(t) -> (t)> (%x) : (tensor<?x4xf32>) -> () {
  ^bb0(%a: tensor<?x4xf32>):
    kernel.yield
  }
  return
}

// -----

// dispatch_c2
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected a placement for each of 1 results, but got 0}}
  %0 = kernel.dispatch @k grid affine_map<(t, r) -> (t)> (%x) {placement = []} : (tensor<?x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: tensor<?x4xf32>):
    kernel.yield %a : tensor<?x4xf32>
  }
  return
}

// -----

// dispatch_c3
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected the body's arguments to have the types of the bindings}}
  kernel.dispatch @k grid affine_map<(t, r) -> (t)> (%x) : (tensor<?x4xf32>) -> () {
  ^bb0(%a: tensor<?x8xf32>):
    kernel.yield
  }
  return
}

// -----

// dispatch_c4
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected the body to yield the types of the results}}
  %0 = kernel.dispatch @k grid affine_map<(t, r) -> (t)> (%x) : (tensor<?x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: tensor<?x4xf32>):
    kernel.yield
  }
  return
}

// -----

// dispatch_c4
func.func @f() {
  // expected-error@+1 {{expected the body to yield the types of the results}}
  kernel.dispatch @k grid affine_map<(t, r) -> (t)> () : () -> () {
    llvm.unreachable
  }
  return
}

// -----

// An empty block has no last op for dispatch_c4 to look at: the trait SingleBlock refuses it first.
func.func @f() {
  // expected-error@+1 {{expects a non-empty block}}
  kernel.dispatch @k grid affine_map<(t, r) -> (t)> () : () -> () {
  ^bb0:
  }
  return
}

// -----

// repeat_c1
func.func private @block(index, tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected at least one row in the table}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c2
func.func private @block(index, tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected row 1 of the table to be a list of symbols, but got ["a"]}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[], ["a"]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c3
transformer.parameter @a : tensor<4xf32>
func.func private @block(index, tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected rows of 0 parameters, but row 1 has 1}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[], [@a]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c4
func.func private @block(index, tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected results of the types of the carried values}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[]] : (tensor<?x4xf32>) -> tensor<?x8xf32>
  return
}

// -----

// repeat_c5
transformer.parameter @a : tensor<4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected @a to name a function}}
  %0 = kernel.repeat @a from 0 (%x) invariant () table [[]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c6
transformer.parameter @a : tensor<4xf32>
func.func private @block(index, tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected a function of 3 arguments, but @block has 2}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[@a]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c7
func.func private @block(i64, tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected argument 0 of @block to be 'index', but got 'i64'}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c8
func.func private @block(index, tensor<?x4xf32>)
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected @block to return the types of the carried values}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c9
func.func private @block(index, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected @f to name a transformer.parameter}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[@f]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// repeat_c10
transformer.parameter @a : tensor<4xf32>
transformer.parameter @b : tensor<8xf32>
func.func private @block(index, tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  // expected-error@+1 {{expected @b to be 'tensor<4xf32>', but got 'tensor<8xf32>'}}
  %0 = kernel.repeat @block from 0 (%x) invariant () table [[@a], [@b]] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// dot_c1
func.func @f(%a: vector<16xf32>, %b: vector<64xi8>) {
  // expected-error@+1 {{expected i8 vectors for an i32 accumulator and bf16 vectors for an f32 one, but got 'vector<64xi8>'}}
  %0 = kernel.dot %a, %b, %b : vector<16xf32>, vector<64xi8>
  return
}

// -----

// dot_c2
func.func @f(%a: vector<16xi32>, %b: vector<32xi8>) {
  // expected-error@+1 {{expected vectors of 64 elements, but got 'vector<32xi8>'}}
  %0 = kernel.dot %a, %b, %b : vector<16xi32>, vector<32xi8>
  return
}

// -----

// dot_c2
func.func @f(%a: vector<16xf32>, %b: vector<16xbf16>) {
  // expected-error@+1 {{expected vectors of 32 elements, but got 'vector<16xbf16>'}}
  %0 = kernel.dot %a, %b, %b : vector<16xf32>, vector<16xbf16>
  return
}

// -----

// decode_codes_c1
func.func @f(%a: vector<16xi16>) {
  // expected-error@+1 {{expected a result as long as the words}}
  %0 = kernel.decode_codes %a bits 4 zero 8 : vector<16xi16> -> vector<32xbf16>
  return
}

// -----

// decode_codes_c2
func.func @f(%a: vector<16xi16>) {
  // expected-error@+1 {{expected 4, 5 or 6 bits, but got 3}}
  %0 = kernel.decode_codes %a bits 3 zero 4 : vector<16xi16> -> vector<16xbf16>
  return
}

// -----

// decode_codes_c3
func.func @f(%a: vector<16xi16>) {
  // expected-error@+1 {{expected a zero point in [0, 15], but got 16}}
  %0 = kernel.decode_codes %a bits 4 zero 16 : vector<16xi16> -> vector<16xbf16>
  return
}

// -----

// panel_c1
// expected-error@+1 {{expected a dot of 1, 2 or 4 for codes, 2 for bf16 and 1 for f32 and f16, but got 3}}
#p = #kernel.panel<code = u4, dot = 3, group = 64, scale = f16>

// -----

// panel_c1
// expected-error@+1 {{expected a dot of 1, 2 or 4 for codes, 2 for bf16 and 1 for f32 and f16, but got 2}}
#p = #kernel.panel<code = f32, dot = 2>

// -----

// panel_c2
// expected-error@+1 {{expected scales for codes, and for nothing else}}
#p = #kernel.panel<code = u4, dot = 4, group = 64>

// -----

// panel_c2
// expected-error@+1 {{expected scales for codes, and for nothing else}}
#p = #kernel.panel<code = f32, dot = 1, scale = f16>

// -----

// panel_c3
// expected-error@+1 {{expected scales of f16, bf16 or f32, but got 'i8'}}
#p = #kernel.panel<code = u4, dot = 4, group = 64, scale = i8>

// -----

// panel_c4
// expected-error@+1 {{expected a group and zero points for codes only}}
#p = #kernel.panel<code = f32, dot = 1, group = 64>

// -----

// panel_c4
// expected-error@+1 {{expected a group and zero points for codes only}}
#p = #kernel.panel<code = bf16, dot = 2, zeroPoints = true>

// -----

// panel_c5
// expected-error@+1 {{expected a group of at least 1, or 0 for all inputs, but got -8}}
#p = #kernel.panel<code = u4, dot = 4, group = -8, scale = f16>

// -----

// panel_c6
// expected-error@+1 {{expected a group that blocks of 8 inputs divide, but got 12}}
#p = #kernel.panel<code = u4, dot = 4, group = 12, scale = f16>

// -----

// panel_c6
// expected-error@+1 {{expected a group that blocks of 4 inputs divide, but got 6}}
#p = #kernel.panel<code = u8, dot = 4, group = 6, scale = f16>

// -----

// panel_c6
// expected-error@+1 {{expected a group that blocks of 16 inputs divide, but got 24}}
#p = #kernel.panel<code = u2, dot = 4, group = 24, scale = f16>

// -----

// panel_c6
// expected-error@+1 {{expected a group that blocks of 32 inputs divide, but got 48}}
#p = #kernel.panel<code = u3, dot = 2, group = 48, scale = f16>

// -----

// panel_c6
// expected-error@+1 {{expected a group that blocks of 32 inputs divide, but got 48}}
#p = #kernel.panel<code = u5, dot = 2, group = 48, scale = f16>

// -----

// panel_c6
// expected-error@+1 {{expected a group that blocks of 16 inputs divide, but got 24}}
#p = #kernel.panel<code = u6, dot = 2, group = 24, scale = f16>

// -----

// panel_c7
func.func @f(%t: tensor<?xi32>, %w: tensor<1x64xi8>) {
  // expected-error@+1 {{expected a matrix, but got 0x1}}
  %0 = lowbit.gather %t, %w rows 0 layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<?xi32>, tensor<1x64xi8>) -> tensor<?x1xf32>
  return
}

// -----

// panel_c8
func.func @f(%t: tensor<?xi32>, %w: tensor<1x64xi8>) {
  // expected-error@+1 {{expected a group that divides 24 inputs, but got 16}}
  %0 = lowbit.gather %t, %w rows 1 layout(#kernel.panel<code = u4, dot = 4, group = 16, scale = f16>)
      : (tensor<?xi32>, tensor<1x64xi8>) -> tensor<?x24xf32>
  return
}

// -----

// panel_c9: a group of all inputs, which no block ends
func.func @f(%t: tensor<?xi32>, %w: tensor<1x64xi8>) {
  // expected-error@+1 {{expected inputs that blocks of 8 divide, but got 20}}
  %0 = lowbit.gather %t, %w rows 1 layout(#kernel.panel<code = u4, dot = 4, scale = f16>)
      : (tensor<?xi32>, tensor<1x64xi8>) -> tensor<?x20xf32>
  return
}

// -----

// panel_c10
func.func @f(%t: tensor<?xi32>, %w: tensor<1x64xi8>) {
  // expected-error@+1 {{expected at most 72057594037927936 elements, but got 1x9223372036854775807}}
  %0 = lowbit.gather %t, %w rows 1 layout(#kernel.panel<code = f32, dot = 1>)
      : (tensor<?xi32>, tensor<1x64xi8>) -> tensor<?x9223372036854775807xf32>
  return
}
