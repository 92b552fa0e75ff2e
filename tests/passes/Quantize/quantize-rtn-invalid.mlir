// What quantize-rtn refuses, and how. No overlay is left behind by any of these.
// DEFINE: %{dir} = directory=%qopt_src/tests/fixtures overlay=%t.safetensors
// RUN: rm -f %t.safetensors
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g64 %{dir}" 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: sed 's/96/80/g' %s | not qopt --quantize-rtn="scheme=w3a8:channel %{dir}" 2>&1 | FileCheck %s --check-prefix=BLOCK
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g32 keep=model.* %{dir}" 2>&1 | FileCheck %s --check-prefix=NOTHING
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g32 keep=u*,up %{dir}" 2>&1 | FileCheck %s --check-prefix=SHADOWED
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g32 keep=[ %{dir}" 2>&1 | FileCheck %s --check-prefix=GLOB
// RUN: not qopt %s --quantize-rtn="scheme=w7a8 %{dir}" 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: not qopt %s --quantize-rtn="%{dir}" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g32 directory=%t.nowhere overlay=%t.safetensors" 2>&1 | FileCheck %s --check-prefix=ARCHIVE
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g32 directory=%qopt_src/tests/fixtures overlay=%t.nowhere/o.safetensors" 2>&1 | FileCheck %s --check-prefix=OUTPUT
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g32 head=keep keep=up,down,q %{dir}" 2>&1 | FileCheck %s --check-prefix=EMPTY
// RUN: not qopt %s --quantize-rtn="scheme=w4a8:g32 recipe=%S/Inputs/keep.yaml %{dir}" 2>&1 | FileCheck %s --check-prefix=BOTH
// RUN: sed -e 's/@forward/@backward/' %s | not qopt --quantize-rtn="scheme=w4a8:g32 %{dir}" 2>&1 | FileCheck %s --check-prefix=FORWARD
// RUN: sed -e 's/header "sha256:../header "sha256:zz/' %s | not qopt --quantize-rtn="scheme=w4a8:g32 %{dir}" 2>&1 | FileCheck %s --check-prefix=DIGEST
// RUN: sed -e 's/"model.norm.weight"/"model.norm.wait"/; s/mlp.up_proj.weight"/mlp.up_proj.wait"/' %s | not qopt --quantize-rtn="scheme=w4a8:g32 %{dir}" 2>&1 | FileCheck %s --check-prefix=KEY
// A recipe for another pass; static ranges without samples; groups of activations that do not fit.
// RUN: not qopt %s --quantize-rtn="recipe=%S/Inputs/gptq-embedding.yaml %{dir}" 2>&1 | FileCheck %s --check-prefix=GPTQ
// RUN: not qopt %s --quantize-rtn="scheme=w8a8s:channel head=keep %{dir}" 2>&1 | FileCheck %s --check-prefix=STATISTICS
// RUN: sed '/linear %0, %up/s/ : / {lowbit.quantize = {scheme = "w8a8s:channel"}} : /' %s | not qopt --quantize-rtn="scheme=w4a8:g32 %{dir}" 2>&1 | FileCheck %s --check-prefix=STATIC
// RUN: sed 's/96/80/g' %s | not qopt --quantize-rtn="scheme=w8a8g32:channel %{dir}" 2>&1 | FileCheck %s --check-prefix=ACTIVATIONS
// Weights that are more than a parameter, or of which something else is made too.
// RUN: sed -e 's/^  %up = transformer.get @up : .*/%raw = transformer.get @up : tensor<96x64xf32>\n%f = transformer.get @norm : tensor<64xf32>\n%up = lowbit.scale %raw by %f axis 1 : tensor<96x64xf32>, tensor<64xf32> -> tensor<96x64xf32>/' %s | not qopt --quantize-rtn="scheme=w4a8:g32 %{dir}" 2>&1 | FileCheck %s --check-prefix=SCALED
// RUN: sed -e 's/^  %up = transformer.get @up : .*/%up = transformer.get @up : tensor<96x64xf32>\n%made = transformer.activation silu %up : tensor<96x64xf32>/' %s | not qopt --quantize-rtn="scheme=w4a8:g32 %{dir}" 2>&1 | FileCheck %s --check-prefix=SHARED
// Where that weight is kept it does not matter.
// RUN: sed -e 's/^  %up = transformer.get @up : .*/%up = transformer.get @up : tensor<96x64xf32>\n%made = transformer.activation silu %up : tensor<96x64xf32>/' %s | qopt --quantize-rtn="scheme=w4a8:g32 keep=up directory=%qopt_src/tests/fixtures overlay=%t.kept" | FileCheck %s --check-prefix=KEPT
// RUN: not ls %t.safetensors

// GPTQ: error: expected a recipe for round to nearest alone, but it asks for gptq
// GPTQ: note: in: {{.*}}gptq-embedding.yaml
// GPTQ: note: next: use --quantize-gptq with statistics
// STATISTICS: error: expected statistics{{$}}
// STATISTICS: note: next: make them with 'qopt calibrate
// STATIC: error: expected a recipe with static activations, because an op asks for them
// STATIC: note: next: say such a scheme in the recipe
// ACTIVATIONS: error: expected activation groups of 32 to divide the inputs, but got 80 inputs
// ACTIVATIONS: note: in: transformer.linear at {{.*}}: parameter @down
// ACTIVATIONS: note: next: use activations per token (a8)
// SCALED: error: expected a weight that transformer.get reads
// SCALED: note: in: transformer.linear at
// SCALED: note: next: fold scales first (--fold-scales), and quantize before passes that outline or compute weights
// SHARED: error: expected a weight that only linears and embeddings use, but transformer.activation at {{.*}} uses it too
// SHARED: note: in: parameter @up
// SHARED: note: next: keep this weight by a rule of the recipe
// KEPT: transformer.activation silu
// GROUP: error: expected a group that divides the 96 inputs, but got 64
// GROUP: note: in: transformer.linear at {{.*}}quantize-rtn-invalid.mlir":{{[0-9]+}}:{{[0-9]+}}): parameter @down
// GROUP: note: result: nothing was written
// GROUP: note: next: use a group that divides it (g32) or :channel, or keep this weight by a rule of the recipe
// BLOCK: error: expected a multiple of 32 inputs for 3-bit codes, but got 80
// BLOCK: note: in: transformer.linear at {{.*}}: parameter @down
// BLOCK: note: next: use 8 bits for this weight, or keep it by a rule of the recipe
// NOTHING: error: expected a pattern that matches a weight of the model, but "model.*" matches none
// SHADOWED: error: expected each rule to decide a weight, but all that "up" matches are decided by rules before it
// GLOB: error: expected a glob, but got "["
// SCHEME: error: {{.*}}w7a8
// NONE: error: expected a scheme or a recipe
// ARCHIVE: note: in: transformer.archive @checkpoint: {{.*}}nowhere/llama-tied/
// OUTPUT: error: cannot open the output's directory
// EMPTY: error: expected weights to quantize, but found none
// BOTH: error: expected either a recipe or scheme, head, keep and scales, but got both
// FORWARD: error: expected a function @forward with a body
// DIGEST: error: expected a header with digest sha256:zz
// KEY: note: in: parameter @up
transformer.archive @checkpoint "llama-tied/model.safetensors" size 322824 header "sha256:20545943b583b7e9c826d4e997b1f898e90151baa051ab01462008248515592d"
transformer.parameter @embed : tensor<288x64xf32> from <@checkpoint, "model.embed_tokens.weight", f32>
transformer.parameter @norm : tensor<64xf32> from <@checkpoint, "model.norm.weight", f32>
transformer.parameter @up.half : tensor<48x64xf32>
transformer.parameter @up : tensor<96x64xf32> from <@checkpoint, "model.layers.0.mlp.up_proj.weight", f32>
transformer.parameter @q.stored : tensor<64x64xf32> from <@checkpoint, "model.layers.0.self_attn.q_proj.weight", f32>
transformer.parameter @q : tensor<64x64xf32> {
  %0 = transformer.get @q.stored : tensor<64x64xf32>
  %1 = transformer.unpermute_rotary %0 heads 4 : tensor<64x64xf32>
  transformer.yield %1 : tensor<64x64xf32>
}
transformer.parameter @down : tensor<64x96xf32> from <@checkpoint, "model.layers.0.mlp.down_proj.weight", f32>
transformer.parameter @bias : tensor<64xf32> from <@checkpoint, "model.layers.0.input_layernorm.weight", f32>

func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x288xf32> {
  %embed = transformer.get @embed : tensor<288x64xf32>
  %x = transformer.embedding %tokens, %embed : (tensor<?xi32>, tensor<288x64xf32>) -> tensor<?x64xf32>
  %q = transformer.get @q : tensor<64x64xf32>
  %0 = transformer.linear %x, %q : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %up = transformer.get @up : tensor<96x64xf32>
  %1 = transformer.linear %0, %up : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %down = transformer.get @down : tensor<64x96xf32>
  %bias = transformer.get @bias : tensor<64xf32>
  %2 = transformer.linear %1, %down bias %bias
      : (tensor<?x96xf32>, tensor<64x96xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %norm = transformer.get @norm : tensor<64xf32>
  %3 = transformer.rms_norm %2, %norm epsilon 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %head = transformer.get @embed : tensor<288x64xf32>
  %4 = transformer.linear %3, %head : (tensor<?x64xf32>, tensor<288x64xf32>) -> tensor<?x288xf32>
  return %4 : tensor<?x288xf32>
}
