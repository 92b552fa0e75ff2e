// An op says itself how its weight shall be quantized, before scheme, head and rules of the recipe.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/stats
// RUN: sed -e '/linear .*loc("model.layers.0.self_attn.q_proj.weight")/s/ : / {lowbit.quantize = {scheme = "w8:g32"}} : /' -e '/linear .*loc("model.layers.0.self_attn.k_proj.weight")/s/ : / {lowbit.quantize = {keep}} : /' -e '/linear .*loc("model.layers.1.mlp.up_proj.weight")/s/ : / {lowbit.quantize = {scheme = "w3:g32:asym", method = "rtn"}} : /' -e '/linear .*loc("model.layers.1.mlp.down_proj.weight")/s/ : / {lowbit.quantize = {method = "gptq"}} : /' %t/mlir > %t/said.mlir
// RUN: grep -c lowbit.quantize %t/said.mlir | FileCheck %s --check-prefix=FOUR
// Statistics of the model serve it: what is asked changes nothing that it computes.
// RUN: qopt quantize %t/said.mlir --recipe %S/Inputs/attribute.yaml --statistics %t/stats -o %t/q.mlir
// RUN: qopt inspect %t/q.safetensors --ledger --json | %python -c "import json, sys; rows = {r['name']: r for r in json.load(sys.stdin)['ledger']['rows']}; seen = [(rows[n]['status'], rows[n]['scheme'], rows[n]['algorithm'], rows[n]['rule']) for n in ('model.layers.0.self_attn.q_proj.weight', 'model.layers.0.self_attn.k_proj.weight', 'model.layers.1.mlp.up_proj.weight', 'model.layers.1.mlp.down_proj.weight', 'model.layers.1.mlp.gate_proj.weight')]; print(*seen, sep='\n')" | FileCheck %s --check-prefix=LEDGER
// RUN: qopt compile %t/q.mlir -o %t/q.qopt
// RUN: qopt plan %t/said.mlir --recipe %S/Inputs/attribute.yaml --statistics %t/stats | FileCheck %s --check-prefix=PLAN
// The search leaves it alone.
// RUN: qopt search %t/said.mlir --recipe %S/Inputs/attribute.yaml --sensitivity hessian --bits 5 --statistics %t/stats -o %t/mixed.yaml
// RUN: not grep layers.0.self_attn.q_proj %t/mixed.yaml

// RUN: not qopt %t/said.mlir --quantize-rtn="scheme=w4a16:g32 directory=%t overlay=%t/no" 2>&1 | FileCheck %s --check-prefix=METHOD
// RUN: sed '/linear .*loc("model.layers.0.self_attn.q_proj.weight")/s/ : / {lowbit.quantize = {scheme = "w9"}} : /' %t/mlir | not qopt - --quantize-rtn="scheme=w4a16:g32 directory=%t overlay=%t/no" 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: sed '/transformer.embedding/s/ : / {lowbit.quantize = {keep}} : /' %t/mlir | not qopt - --quantize-rtn="scheme=w4a16:g32 directory=%t overlay=%t/no" 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: not ls %t/no

// FOUR: 4
// LEDGER: ('quantized', 'w8a16:g32:sym:f16', 'gptq', 'lowbit.quantize')
// LEDGER: ('waived', '{{[a-z0-9]+}}', '', 'lowbit.quantize')
// LEDGER: ('quantized', 'w3a16:g32:asym:f16', 'round to nearest', 'lowbit.quantize')
// LEDGER: ('quantized', 'w4a16:g32:sym:f16', 'gptq', 'lowbit.quantize')
// LEDGER: ('quantized', 'w4a16:g32:sym:f16', 'gptq', 'scheme')
// PLAN: w3a16:g32:asym:f16            1
// PLAN: w8a16:g32:sym:f16             1
// METHOD: error: {{.*}}expected a recipe that uses gptq, because an op asks for it
// SCHEME: error: {{.*}}expected
// SCHEME: w9
// SHARED: error: {{.*}}expected ops that share a weight to have the same lowbit.quantize, but they differ
