// GPTQ writes what round to nearest writes, with other codes: the same ops, the same parameters, a richer ledger.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/stats 2>&1 | FileCheck %s --check-prefix=REPORT
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/gptq.safetensors" --pass-counts -o %t/gptq.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: FileCheck %s --input-file=%t/gptq.mlir
// RUN: qopt inspect %t/gptq.safetensors --ledger --json | %python -c "import json, sys; rows = json.load(sys.stdin)['ledger']['rows']; quantized = [r for r in rows if r['status'] == 'quantized']; assert len(quantized) == 14 and all(r['algorithm'] == 'gptq' and r['tokens'] == 1024 and r['damping'] == 0.01 and 0 < r['output_error'] < 0.1 for r in quantized), rows"
// The same bytes with one thread, and others with another method.
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/one.safetensors" --mlir-disable-threading -o %t/one.mlir
// RUN: cmp %t/gptq.safetensors %t/one.safetensors
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 order=stored scales=live range=minmax shrink=0 damping=0.05 statistics=%t/stats directory=%t overlay=%t/live.safetensors" -o %t/live.mlir
// RUN: not %python %qopt_src/tests/tools/Inputs/same_tensors.py %t/gptq.safetensors %t/live.safetensors
// Hessians of the original are another method than those of the model as it becomes, and need other statistics.
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 inputs=statistics statistics=%t/stats directory=%t overlay=%t/original.safetensors" -o %t/original.mlir
// RUN: not %python %qopt_src/tests/tools/Inputs/same_tensors.py %t/gptq.safetensors %t/original.safetensors
// RUN: qopt calibrate %t/mlir --text %qopt_src/LICENSE --samples 16 --length 64 --no-gram -o %t/tokens
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/tokens directory=%t overlay=%t/tokens.safetensors" -o %t/tokens.mlir
// RUN: %python %qopt_src/tests/tools/Inputs/same_tensors.py %t/gptq.safetensors %t/tokens.safetensors
// A head that is named is rounded to nearest.
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 head=w8a16:g32 statistics=%t/stats directory=%t overlay=%t/head.safetensors" | FileCheck %s --check-prefix=HEAD
// What is rounded to nearest beside it has the range that the recipe gives to round to nearest.
// RUN: qopt %t/mlir --quantize-gptq="recipe=%S/Inputs/gptq-and-rtn.yaml statistics=%t/stats directory=%t overlay=%t/diagonal.safetensors" -o %t/diagonal.mlir
// RUN: sed 's/range: diagonal/range: minmax/' %S/Inputs/gptq-and-rtn.yaml > %t/minmax.yaml
// RUN: qopt %t/mlir --quantize-gptq="recipe=%t/minmax.yaml statistics=%t/stats directory=%t overlay=%t/minmax.safetensors" -o %t/minmax.mlir
// RUN: qopt %t/mlir --quantize-rtn="scheme=w4a16:g32 head=keep range=diagonal statistics=%t/stats directory=%t overlay=%t/rtn.safetensors" -o %t/rtn.mlir
// RUN: %python %S/Inputs/compare_tensor.py model.layers.1.mlp.down_proj.weight.codes %t/diagonal.safetensors same %t/rtn.safetensors other %t/minmax.safetensors
// AWQ's clipping is not of queries and keys, unless it is asked for, whoever rounds the weights.
// RUN: qopt %t/mlir --quantize-gptq="scheme=w3a16:g32 range=clip inputs=statistics statistics=%t/stats directory=%t overlay=%t/clip.safetensors" -o %t/clip.mlir
// RUN: qopt %t/mlir --quantize-gptq="scheme=w3a16:g32 range=clip-all inputs=statistics statistics=%t/stats directory=%t overlay=%t/clip-all.safetensors" -o %t/clip-all.mlir
// RUN: qopt %t/mlir --quantize-gptq="scheme=w3a16:g32 range=minmax inputs=statistics statistics=%t/stats directory=%t overlay=%t/whole.safetensors" -o %t/whole.mlir
// RUN: qopt %t/mlir --quantize-rtn="scheme=w3a16:g32 head=keep range=clip statistics=%t/stats directory=%t overlay=%t/clip-rtn.safetensors" -o %t/clip-rtn.mlir
// RUN: %python %S/Inputs/compare_tensor.py model.layers.0.self_attn.q_proj.weight.scales %t/clip.safetensors same %t/whole.safetensors same %t/clip-rtn.safetensors other %t/clip-all.safetensors
// RUN: %python %S/Inputs/compare_tensor.py model.layers.0.self_attn.k_proj.weight.scales %t/clip.safetensors same %t/whole.safetensors same %t/clip-rtn.safetensors other %t/clip-all.safetensors
// RUN: %python %S/Inputs/compare_tensor.py model.layers.0.self_attn.v_proj.weight.scales %t/clip.safetensors other %t/whole.safetensors same %t/clip-all.safetensors

// Inputs that no token has touched are left out, and named: a norm gives nothing on one channel.
// RUN: cp -r %qopt_src/tests/fixtures/llama-tied %t/silent && %python %qopt_src/tests/tools/Inputs/put_value.py %t/silent/model.safetensors model.layers.1.input_layernorm.weight 5 0
// RUN: qopt import %t/silent -o %t/silent.mlir
// RUN: qopt calibrate %t/silent.mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/silent.stats
// RUN: qopt %t/silent.mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/silent.stats directory=%t overlay=%t/silent.safetensors" 2>&1 | FileCheck %s --check-prefix=SILENT
// RUN: qopt inspect %t/silent.safetensors --ledger --json | %python -c "import json, sys; print(sorted((r['name'], r['silent_inputs']) for r in json.load(sys.stdin)['ledger']['rows'] if r['silent_inputs']))" | FileCheck %s --check-prefix=LEDGER

// Hessians of statistics do not know that inputs are rounded to 8 bits, and the pass says so; those of the model as it is quantized do.
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a8:g32 inputs=statistics statistics=%t/stats directory=%t overlay=%t/a8.safetensors" 2>&1 | FileCheck %s --check-prefix=UNROUNDED
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a8:g32 statistics=%t/stats directory=%t overlay=%t/a8.safetensors" 2>&1 | FileCheck %s --check-prefix=ROUNDED
// UNROUNDED: warning: Hessians of statistics are those of inputs before they are rounded to 8 bits
// ROUNDED-NOT: warning

// SILENT: remark: {{.*}}no token has touched 1 inputs of @model.layers.1.self_attn.q_proj.weight, which are rounded to nearest: 5
// LEDGER: [('model.layers.1.self_attn.k_proj.weight', 1), ('model.layers.1.self_attn.q_proj.weight', 1), ('model.layers.1.self_attn.v_proj.weight', 1)]
// REPORT: 8 sites, 1024 tokens each; 5 parts of the model, code for 4 of them
// COUNTS: 14 weights-quantized, 8 hessians-factored, 0 weights-fallen-back, 14 ops-rewritten, 14 parameters-erased

// CHECK: transformer.archive @overlay "gptq.safetensors"
// CHECK: transformer.parameter @model.embed_tokens.weight : tensor<288x64xf32>
// CHECK: transformer.parameter @model.layers.0.self_attn.q_proj.weight.codes : tensor<64x64xi4> from <@overlay, "model.layers.0.self_attn.q_proj.weight.codes", packed_u4>
// CHECK: transformer.parameter @model.layers.0.self_attn.q_proj.weight.scales : tensor<64x2xf16> from <@overlay
// CHECK: func.func @forward
// CHECK: transformer.embedding
// CHECK: %[[C:.*]] = transformer.get @model.layers.0.self_attn.q_proj.weight.codes
// CHECK: %[[S:.*]] = transformer.get @model.layers.0.self_attn.q_proj.weight.scales
// CHECK: lowbit.linear %{{.*}}, %[[C]], %[[S]] <weights = <bits = 4, symmetric = true, group = 32, scale = f16>, activations = <kind = bf16>

// HEAD: lowbit.embedding
// HEAD: lowbit.linear {{.*}}<bits = 8
