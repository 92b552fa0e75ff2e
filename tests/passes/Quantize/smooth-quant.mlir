// SmoothQuant scales every site; folded, the model computes what it did, and its activations are easier to round.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/docs/CommandLine.md --samples 16 --length 64 -o %t/stats
// RUN: qopt %t/mlir --smooth-quant="statistics=%t/stats directory=%t overlay=%t/smooth.safetensors" --pass-counts -o %t/smooth.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: FileCheck %s --input-file=%t/smooth.mlir
// RUN: qopt %t/smooth.mlir --fold-scales=directory=%t -o %t/folded.mlir
// RUN: qopt-reference %t/folded.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-4
// Each site by its own alpha, the others not at all.
// RUN: qopt %t/mlir --smooth-quant="sites=mlp-input,mlp-output alphas=0.3,0.9 statistics=%t/stats directory=%t overlay=%t/some.safetensors" --pass-counts -o %t/some.mlir 2>&1 | FileCheck %s --check-prefix=SOME
// RUN: qopt %t/mlir --smooth-quant="recipe=%S/Inputs/smooth-quant.yaml statistics=%t/stats directory=%t overlay=%t/recipe.safetensors" -o %t/recipe.mlir
// RUN: cmp %t/some.safetensors %t/recipe.safetensors
// RUN: qopt quantize %t/mlir --scheme w8a8:channel --head keep --scales smooth-quant --statistics %t/stats -o %t/driven.mlir
// RUN: qopt compile %t/driven.mlir -o %t/driven.qopt
// RUN: qopt inspect %t/driven.qopt --ledger --json | FileCheck %s --check-prefix=LEDGER

// What is kept is not scaled: a layer by a rule; the MLPs by globs, of which half a site does not count.
// RUN: qopt quantize %t/mlir --recipe %S/Inputs/smooth-quant-keep.yaml --statistics %t/stats -o %t/kept.mlir
// RUN: qopt inspect %t/kept.safetensors --ledger --json | %python -c "import json, sys; rows = {r['name']: r for r in json.load(sys.stdin)['ledger']['rows']}; scaled = [bool(rows['model.layers.' + n + '_proj.weight']['scaled_by']) for n in ('0.mlp.down', '0.self_attn.q', '1.mlp.down', '1.self_attn.q')]; assert scaled == [False, False, True, True], rows"
// RUN: qopt %t/mlir --smooth-quant="scheme=w8a8:channel head=keep keep=*.mlp.gate_proj.weight,*.mlp.down_proj.weight statistics=%t/stats directory=%t overlay=%t/mlps.safetensors" --pass-counts -o %t/mlps.mlir 2>&1 | FileCheck %s --check-prefix=MLPS

// An alpha that is searched for: the factors of the formula at the alpha that is named, and better than none.
// RUN: qopt %t/mlir --smooth-quant="recipe=%S/Inputs/smooth-quant-search.yaml statistics=%t/stats directory=%t overlay=%t/found.safetensors" --pass-counts -o %t/found.mlir 2>&1 | FileCheck %s --check-prefix=FOUND
// RUN: qopt %t/mlir --smooth-quant="recipe=%S/Inputs/smooth-quant-search.yaml statistics=%t/stats directory=%t overlay=%t/again.safetensors" --mlir-disable-threading -o %t/again.mlir
// RUN: cmp %t/found.safetensors %t/again.safetensors
// RUN: %python %dev/oracle/scales.py smooth_quant %qopt_src/tests/fixtures/llama-tied/model.safetensors %t/stats %t/found.safetensors --head-dim 16
// RUN: %python %S/Inputs/gains.py %t/found.safetensors
// RUN: qopt quantize %t/mlir --recipe %S/Inputs/smooth-quant-search.yaml --statistics %t/stats -o %t/searched.mlir
// RUN: qopt %t/found.mlir --fold-scales=directory=%t -o %t/foundfolded.mlir
// RUN: qopt-reference %t/foundfolded.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-4

// A model that was scaled before, with an archive of factors of its own, keeps those.
// RUN: qopt quantize %t/folded.mlir --scheme w8a8:channel --head keep -o %t/twice.mlir
// RUN: FileCheck %s --input-file=%t/twice.mlir --check-prefix=TWICE
// RUN: qopt compile %t/twice.mlir -o %t/twice.qopt

// TWICE: transformer.archive @scales "smooth.safetensors"
// TWICE-NOT: transformer.archive @scales_2
// TWICE: transformer.archive @overlay "twice.safetensors"
// COUNTS: smooth-quant on {{.*}}: 8 sites-scaled
// SOME: 4 sites-scaled
// MLPS: 6 sites-scaled
// FOUND: smooth-quant on {{.*}}: {{[1-8]}} sites-scaled, {{[0-7]}} sites-left
// CHECK: transformer.parameter @model.layers.0.self_attn.q_proj.weight.smooth_quant : tensor<64xf32> from <@scales
// CHECK: lowbit.scale %{{.*}} by %{{.*}} axis 1 inverse
// LEDGER: "model.layers.{{[01]}}.{{.*}}.smooth_quant"
