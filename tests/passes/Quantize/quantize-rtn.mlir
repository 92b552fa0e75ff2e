// The weights of linears and of the embedding become codes in an overlay; what nothing uses any more goes.
// RUN: qopt %s --quantize-rtn="scheme=w4a8:g32:asym directory=%qopt_src/tests/fixtures overlay=%t.safetensors" | FileCheck %s
// The embedding that is also the head is quantized once, by the scheme of the head.
// RUN: qopt %s --quantize-rtn="scheme=w4a16:g32 head=w4:channel:bf16 directory=%qopt_src/tests/fixtures overlay=%t.safetensors" | FileCheck %s --check-prefix=HEAD
// What a rule keeps stays as it was.
// RUN: qopt %s --quantize-rtn="scheme=w8a8g32:g32 head=keep keep=do*,q directory=%qopt_src/tests/fixtures overlay=%t.safetensors" | FileCheck %s --check-prefix=KEEP
// The same by a recipe, and the same bytes with one thread.
// RUN: qopt %s --quantize-rtn="recipe=%S/Inputs/keep.yaml directory=%qopt_src/tests/fixtures overlay=%t.one.safetensors" --mlir-disable-threading | FileCheck %s --check-prefix=KEEP
// RUN: %python -c "import sys; a, b = (open(f, 'rb').read() for f in sys.argv[1:]); n = 8 + int.from_bytes(a[:8], 'little'); m = 8 + int.from_bytes(b[:8], 'little'); assert len(a) > n and a[n:] == b[m:]" %t.safetensors %t.one.safetensors
// With the body kept, what has a scheme of its own.
// RUN: qopt %s --quantize-rtn="scheme=keep head=w8a16:g32 directory=%qopt_src/tests/fixtures overlay=%t.safetensors" | FileCheck %s --check-prefix=BODY
// A range that is searched: other scales, and less error.
// RUN: qopt %s --quantize-rtn="scheme=w4a8:g32 directory=%qopt_src/tests/fixtures overlay=%t.whole.safetensors" -o %t.whole.mlir
// RUN: qopt %s --quantize-rtn="scheme=w4a8:g32 range=squared directory=%qopt_src/tests/fixtures overlay=%t.squared.safetensors" -o %t.squared.mlir
// RUN: qopt inspect %t.whole.safetensors --ledger --json > %t.whole.json
// RUN: qopt inspect %t.squared.safetensors --ledger --json > %t.squared.json
// RUN: %python -c "import json, sys; a, b = ({r['name']: r['relative_mse'] for r in json.load(open(f))['ledger']['rows']} for f in sys.argv[1:]); assert all(b[n] <= a[n] for n in a) and b['up'] < a['up'], (a, b)" %t.whole.json %t.squared.json
// What it did, in numbers: three linears, the embedding that is also the head, and @q's two and @up.half go.
// RUN: qopt %s --quantize-rtn="scheme=w4a8:g32 directory=%qopt_src/tests/fixtures overlay=%t.safetensors" --pass-counts -o %t.counted.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// A second time there is nothing to do, which is an error: the recipe would have no effect.
// RUN: qopt %s --quantize-rtn="scheme=w4a8:g32 directory=%qopt_src/tests/fixtures overlay=%t.safetensors" -o %t.once.mlir
// RUN: not qopt %t.once.mlir --quantize-rtn="scheme=w4a8:g32 directory=%qopt_src/tests/fixtures overlay=%t.two.safetensors" 2>&1 | FileCheck %s --check-prefix=AGAIN

// CHECK:     transformer.archive @checkpoint
// CHECK:     transformer.archive @overlay "{{.*}}quantize-rtn.mlir.tmp.safetensors" size {{[0-9]+}} header "sha256:{{[0-9a-f]+}}"
// CHECK:     transformer.parameter @embed.codes : tensor<288x64xi8> from <@overlay, "embed.codes", u8>
// CHECK:     transformer.parameter @embed.scales : tensor<288x2xf16> from <@overlay, "embed.scales", f16>
// CHECK-NOT: @embed.zeros
// CHECK-NOT: transformer.parameter @embed :
// CHECK:     transformer.parameter @norm : tensor<64xf32> from <@checkpoint
// CHECK-NOT: @up.half
// CHECK:     transformer.parameter @up.codes : tensor<96x64xi4> from <@overlay, "up.codes", packed_u4>
// CHECK:     transformer.parameter @up.scales : tensor<96x2xf16> from <@overlay, "up.scales", f16>
// CHECK:     transformer.parameter @up.zeros : tensor<96x2xi8> from <@overlay, "up.zeros", u8>
// CHECK-NOT: @q.stored
// CHECK:     transformer.parameter @q.codes : tensor<64x64xi4>
// CHECK:     transformer.parameter @bias : tensor<64xf32> from <@checkpoint
// CHECK:     func.func @forward
// CHECK:     %[[T:.*]] = transformer.get @embed.codes
// CHECK:     %[[TS:.*]] = transformer.get @embed.scales
// CHECK:     %[[X:.*]] = lowbit.embedding %{{.*}}, %[[T]], %[[TS]] <bits = 8, symmetric = true, group = 32, scale = f16>
// CHECK:     %[[C:.*]] = transformer.get @q.codes
// CHECK:     %[[S:.*]] = transformer.get @q.scales
// CHECK:     %[[Z:.*]] = transformer.get @q.zeros
// CHECK:     lowbit.linear %[[X]], %[[C]], %[[S]] zeros %[[Z]]
// CHECK-SAME: weights = <bits = 4, symmetric = false, group = 32, scale = f16>, activations = <kind = i8>, accumulation = i32
// CHECK:     %[[BIAS:.*]] = transformer.get @bias
// CHECK:     lowbit.linear {{.*}} bias %[[BIAS]] <
// CHECK:     transformer.get @embed.codes
// CHECK:     %[[LOGITS:.*]] = lowbit.linear {{.*}} <weights = <bits = 8, symmetric = true, group = 32, scale = f16>
// CHECK-NOT: transformer.linear
// CHECK:     return %[[LOGITS]]

// HEAD: lowbit.embedding {{.*}} <bits = 4, symmetric = true, group = 0, scale = bf16>
// HEAD: lowbit.linear {{.*}}group = 32, scale = f16>, activations = <kind = bf16>, accumulation = f32
// HEAD: return
// HEAD-NOT: func

// BODY-NOT: lowbit.linear
// BODY:     lowbit.embedding
// BODY-NOT: lowbit.linear
// BODY:     transformer.linear {{.*}} bias
// BODY:     lowbit.linear {{.*}}activations = <kind = bf16>

// KEEP:     transformer.parameter @q.stored
// KEEP:     %[[E:.*]] = transformer.get @embed :
// KEEP:     transformer.embedding %{{.*}}, %[[E]]
// KEEP:     %[[Q:.*]] = transformer.get @q :
// KEEP:     transformer.linear %{{.*}}, %[[Q]]
// KEEP:     lowbit.linear {{.*}}activations = <kind = i8, group = 32>
// KEEP:     %[[D:.*]] = transformer.get @down :
// KEEP:     transformer.linear %{{.*}}, %[[D]] bias
// KEEP:     transformer.linear

// COUNTS: 4 weights-quantized, 5 ops-rewritten, 6 parameters-erased

// AGAIN: error: expected weights to quantize, but found none
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
