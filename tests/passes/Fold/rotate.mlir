// Rotation: other weights, the same logits, of every checkpoint that we import, tied or not, with biases and grouped heads.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/tied.mlir
// RUN: qopt %t/tied.mlir --rotate=seed=3 --pass-counts -o %t/rotated.mlir 2>&1 | FileCheck %s --check-prefix=TIED
// RUN: FileCheck %s --input-file=%t/rotated.mlir
// RUN: qopt-reference %t/rotated.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-3
// RUN: qopt %t/tied.mlir --rotate="kind=orthogonal seed=5 value-heads=false" -o %t/orthogonal.mlir
// RUN: qopt-reference %t/orthogonal.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-3
// RUN: qopt import %qopt_src/tests/fixtures/llama-tiny.gguf -o %t/tiny.mlir
// RUN: qopt %t/tiny.mlir --rotate -o %t/tiny-rotated.mlir
// RUN: qopt-reference %t/tiny-rotated.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tiny.safetensors --against %qopt_src/tests/fixtures/expected-llama-tiny.safetensors --tolerance 1e-3
// The bf16 checkpoint, as f32 and as it is: rotated weights are f32.
// RUN: qopt import %qopt_src/tests/fixtures/llama-sharded -o %t/sharded.mlir
// RUN: sed s/xbf16\>/xf32\>/g %t/sharded.mlir > %t/f32.mlir
// RUN: qopt %t/f32.mlir --rotate --pass-counts -o %t/f32-rotated.mlir 2>&1 | FileCheck %s --check-prefix=UNTIED
// RUN: qopt-reference %t/f32-rotated.mlir --inputs %qopt_src/tests/fixtures/expected-llama-sharded.safetensors --against %qopt_src/tests/fixtures/expected-llama-sharded.safetensors --tolerance 1e-3
// RUN: qopt %t/sharded.mlir --rotate -o %t/bf16-rotated.mlir
// RUN: qopt-reference %t/bf16-rotated.mlir --inputs %qopt_src/tests/fixtures/expected-llama-sharded.safetensors --against %qopt_src/tests/fixtures/expected-llama-sharded.safetensors --tolerance 2e-2
// Compiled, too.
// RUN: qopt compile %t/tied.mlir -o %t/tied.qopt && qopt compile %t/rotated.mlir -o %t/rotated.qopt
// RUN: qopt eval %t/rotated.qopt --against %t/tied.qopt --text %qopt_src/docs/CommandLine.md --window 64 --windows 4 --max-kl 1e-8
// The weights are others: rotated ones are not what was imported.
// RUN: not qopt-reference %t/orthogonal.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-9
// A rotated model is calibrated as it is, scaled, rounded, compiled and run.
// RUN: qopt calibrate %t/rotated.mlir --text %qopt_src/docs/CommandLine.md --samples 16 --length 64 -o %t/stats
// RUN: not qopt quantize %t/tied.mlir --scheme w4a16:g32 --method gptq --statistics %t/stats -o %t/other.mlir 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: qopt quantize %t/rotated.mlir --scheme w4a16:g32 --scales awq --method gptq --statistics %t/stats -o %t/q.mlir
// RUN: qopt compile %t/q.mlir -o %t/q.qopt
// RUN: qopt run %t/q.qopt --prompt "a" --max-tokens 2

// TIED: rotate on {{.*}}: 16 parameters-rotated, 2 heads-rotated, 1 embeddings-untied
// UNTIED: rotate on {{.*}}: 20 parameters-rotated, 2 heads-rotated, 0 embeddings-untied
// OTHER: expected statistics of this model

// CHECK: transformer.parameter @model.embed_tokens.weight.unrotated : tensor<288x64xf32> from
// CHECK: transformer.parameter @model.embed_tokens.weight.untied : tensor<288x64xf32> {
// CHECK: %[[E:.*]] = transformer.get @model.embed_tokens.weight.unrotated
// CHECK: %[[G:.*]] = transformer.get @model.norm.weight.unrotated
// CHECK: %[[S:.*]] = lowbit.scale %[[E]] by %[[G]] axis 1 alone
// CHECK: lowbit.orthogonal hadamard %[[S]] axis 1 size 64 seed 3
// CHECK: transformer.parameter @model.embed_tokens.weight : tensor<288x64xf32> {
// CHECK: lowbit.orthogonal hadamard %{{.*}} axis 1 size 64 seed 3
// CHECK: transformer.parameter @model.layers.0.input_layernorm.weight : tensor<64xf32> {
// CHECK-NEXT: lowbit.fill 1.000000e+00
// CHECK: transformer.parameter @model.layers.0.self_attn.v_proj.weight : tensor<32x64xf32> {
// CHECK: lowbit.orthogonal hadamard %{{.*}} axis 0 size 16 seed 4
// CHECK-NEXT: lowbit.orthogonal hadamard %{{.*}} axis 1 size 64 seed 3
// CHECK: transformer.parameter @model.layers.0.self_attn.o_proj.weight : tensor<64x64xf32> {
// CHECK: lowbit.orthogonal hadamard %{{.*}} axis 1 size 16 seed 4
// CHECK-NEXT: lowbit.orthogonal hadamard %{{.*}} axis 0 size 64 seed 3
