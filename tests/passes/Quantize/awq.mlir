// AWQ puts pairs of scales where they lower the error of the output; folded, the model computes what it did.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/stats
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/awq.safetensors" --pass-counts -o %t/awq.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: FileCheck %s --input-file=%t/awq.mlir
// RUN: qopt %t/awq.mlir --fold-scales=directory=%t -o %t/folded.mlir
// RUN: qopt-reference %t/folded.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-4
// The same bytes with one thread.
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/one.safetensors" --mlir-disable-threading -o %t/one.mlir
// RUN: cmp %t/awq.safetensors %t/one.safetensors
// By what attention and MLP give: the same bytes with one thread, and with q kept, whose site k and v still have.
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 objective=module statistics=%t/stats directory=%t overlay=%t/module.safetensors" --pass-counts -o %t/module.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 objective=module statistics=%t/stats directory=%t overlay=%t/module1.safetensors" --mlir-disable-threading -o %t/module1.mlir
// RUN: cmp %t/module.safetensors %t/module1.safetensors
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 objective=module keep=*.q_proj.weight statistics=%t/stats directory=%t overlay=%t/q.safetensors" --pass-counts -o %t/q.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: qopt %t/module.mlir --fold-scales=directory=%t -o %t/folded-module.mlir
// RUN: qopt-reference %t/folded-module.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-4
// Weights that are kept do not count: with gate and up kept, their site is left.
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 keep=*.mlp.gate_proj.weight,*.mlp.up_proj.weight statistics=%t/stats directory=%t overlay=%t/kept.safetensors" --pass-counts -o %t/kept.mlir 2>&1 | FileCheck %s --check-prefix=KEPT
// Statistics of the original serve the folded model.
// RUN: qopt %t/folded.mlir --quantize-gptq="scheme=w4a16:g32 inputs=statistics statistics=%t/stats directory=%t overlay=%t/scaled.safetensors" -o %t/scaled.mlir
// RUN: qopt inspect %t/scaled.safetensors --ledger --json | %python -c "import json, sys; rows = json.load(sys.stdin)['ledger']['rows']; quantized = [r for r in rows if r['status'] == 'quantized']; assert len(quantized) == 14 and all(0 < r['output_error'] < 0.1 and r['scaled_by'] for r in quantized), rows"
// A recipe says the same.
// RUN: qopt %t/mlir --awq="recipe=%S/Inputs/awq.yaml statistics=%t/stats directory=%t overlay=%t/recipe.safetensors" --pass-counts -o %t/recipe.mlir 2>&1 | FileCheck %s --check-prefix=RECIPE
// The driver folds, rounds, and leaves one archive that holds the factors that norms need.
// RUN: qopt quantize %t/mlir --recipe %S/Inputs/awq.yaml --statistics %t/stats -o %t/driven.mlir
// RUN: FileCheck %s --input-file=%t/driven.mlir --check-prefix=DRIVEN
// RUN: qopt compile %t/driven.mlir -o %t/driven.qopt
// RUN: qopt inspect %t/driven.qopt --ledger --json | %python -c "import json, sys; rows = {r['name']: r for r in json.load(sys.stdin)['ledger']['rows']}; layer = 'model.layers.1.'; assert rows[layer + 'post_attention_layernorm.weight']['scaled_by'] == rows[layer + 'mlp.gate_proj.weight']['scaled_by'] == [layer + 'mlp.gate_proj.weight.awq'] and rows[layer + 'input_layernorm.weight']['scaled_by'] == [], rows"

// COUNTS: awq on {{.*}}: 8 sites-scaled, 0 sites-left
// KEPT: 6 sites-scaled, 0 sites-left
// RECIPE: 4 sites-scaled, 0 sites-left

// CHECK: transformer.archive @scales "awq.safetensors"
// CHECK: transformer.parameter @model.layers.0.self_attn.q_proj.weight.awq : tensor<64xf32> from <@scales, "model.layers.0.self_attn.q_proj.weight.awq", f32>
// CHECK: transformer.parameter @model.layers.0.self_attn.o_proj.weight.awq : tensor<32xf32>
// CHECK: %[[N:.*]] = transformer.rms_norm
// CHECK: %[[S:.*]] = transformer.get @model.layers.0.self_attn.q_proj.weight.awq
// CHECK: %[[X:.*]] = lowbit.scale %[[N]] by %[[S]] axis 1 inverse
// CHECK: transformer.linear %[[X]]
// CHECK: lowbit.repeat_heads %{{.*}} times 2 dim 16

// DRIVEN-NOT: transformer.archive @scales
// DRIVEN: transformer.archive @overlay
// DRIVEN: transformer.parameter @model.layers.0.post_attention_layernorm.weight : tensor<64xf32> {
// DRIVEN: transformer.parameter @model.layers.0.mlp.gate_proj.weight.awq : tensor<64xf32> from <@overlay
// DRIVEN-NOT: lowbit.scale %{{.*}} : tensor<?x
