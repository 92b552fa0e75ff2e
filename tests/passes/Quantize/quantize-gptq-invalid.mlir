// What GPTQ cannot do as it was asked is an error, never another method in silence.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/docs/CommandLine.md --samples 1 --length 80 -o %t/few 2>&1 | FileCheck %s --check-prefix=REPORT
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/few directory=%t overlay=%t/safetensors" 2>&1 | FileCheck %s --check-prefix=FEW
// RUN: not ls %t/safetensors
// What is allowed is named.
// RUN: qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/few directory=%t overlay=%t/fallback.safetensors max-fallback=2" --pass-counts -o %t/fallback.mlir 2>&1 | FileCheck %s --check-prefix=FALLBACK
// RUN: qopt inspect %t/fallback.safetensors --ledger --json | FileCheck %s --check-prefix=LEDGER
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 directory=%t" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/few scales=live directory=%t" 2>&1 | FileCheck %s --check-prefix=LIVE
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/few shrink=1 directory=%t" 2>&1 | FileCheck %s --check-prefix=SHRINK
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%qopt_src/tests/fixtures/llama-tied/model.safetensors directory=%t" 2>&1 | FileCheck %s --check-prefix=OTHER
// Statistics belong to one model.
// RUN: sed 's/epsilon 1.000000e-05/epsilon 2.000000e-05/' %t/mlir > %t/other.mlir
// RUN: not qopt %t/other.mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/few directory=%t" 2>&1 | FileCheck %s --check-prefix=MODEL
// RUN: qopt calibrate %t/mlir --text %qopt_src/docs/CommandLine.md --samples 2 --length 64 --match "*.q_proj.weight" -o %t/some
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 inputs=statistics statistics=%t/some directory=%t overlay=%t/safetensors" 2>&1 | FileCheck %s --check-prefix=SOME

// The embedding has no inputs.
// RUN: not qopt %t/mlir --quantize-gptq="recipe=%S/Inputs/gptq-embedding.yaml statistics=%t/few directory=%t overlay=%t/safetensors" 2>&1 | FileCheck %s --check-prefix=HEADED
// Settings beside a recipe; a bound that is no number of linears.
// RUN: not qopt %t/mlir --quantize-gptq="recipe=%S/Inputs/gptq-embedding.yaml order=stored statistics=%t/few directory=%t" 2>&1 | FileCheck %s --check-prefix=BOTH
// RUN: not qopt %t/mlir --quantize-rtn="recipe=%S/Inputs/keep.yaml range=squared directory=%t" 2>&1 | FileCheck %s --check-prefix=BOTHRTN
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/few max-fallback=-1 directory=%t" 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 statistics=%t/few damping=0,nan,1 directory=%t" 2>&1 | FileCheck %s --check-prefix=LADDER
// RUN: not qopt quantize %t/mlir --scheme w4a16:g32 --max-fallback 2 -o %t/no.mlir 2>&1 | FileCheck %s --check-prefix=UNUSED
// RUN: not qopt quantize %t/mlir --scheme w4a16:g32 --method gptq --statistics %t/few --max-fallback -3 -o %t/no.mlir 2>&1 | FileCheck %s --check-prefix=RANGE

// REPORT: model.layers.0.mlp.down_proj.weight: fewer tokens than channels
// FEW: error: {{.*}}expected statistics of at least as many tokens as there are inputs (96), but got 80
// FALLBACK: warning: {{.*}}@model.layers.0.mlp.down_proj.weight is rounded to nearest
// FALLBACK: warning: {{.*}}@model.layers.1.mlp.down_proj.weight is rounded to nearest
// FALLBACK: 2 weights-fallen-back
// LEDGER: "algorithm": "round to nearest, where gptq refused"
// NONE: expected statistics
// LIVE: expected live scales without activation order
// SHRINK: expected a shrinkage in [0, 1), but got 1
// OTHER: expected statistics, but the file has none
// MODEL: expected statistics of this model, sha256:{{[0-9a-f]+}}, but got those of sha256:
// HEADED: expected linears to be quantized by gptq, but got an embedding
// SOME: expected statistics for every linear to quantize, but found none
// BOTH: expected either a recipe or settings of quantize-gptq, but got both
// BOTHRTN: expected either a recipe or settings of quantize-rtn, but got both
// NEGATIVE: expected max-fallback to be a number of linears, but got -1
// LADDER: expected a ladder of damping factors, not negative and ascending
// UNUSED: expected no --max-fallback without gptq
// RANGE: --max-fallback
