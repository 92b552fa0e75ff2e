// What AWQ refuses.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/docs/CommandLine.md --samples 4 --length 64 -o %t/stats
// RUN: not qopt %t/mlir --awq="scheme=w4a16:g32 shrink=1 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=SHRINK
// RUN: not qopt %t/mlir --awq="statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: not qopt %t/mlir --awq="scheme=w4a16:g32 directory=%t" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %t/mlir --awq="recipe=%S/Inputs/keep.yaml statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=SECTION
// RUN: qopt calibrate %t/mlir --text %qopt_src/docs/CommandLine.md --samples 4 --length 64 --no-gram -o %t/tokens
// RUN: not qopt %t/mlir --awq="scheme=w4a16:g32 statistics=%t/tokens directory=%t overlay=%t/out" 2>&1 | FileCheck %s --check-prefix=GRAM
// RUN: not ls %t/out
// RUN: not qopt %t/mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%qopt_src/tests/fixtures/llama-tied/model.safetensors" 2>&1 | FileCheck %s --check-prefix=OVERLAY
// Scaling twice, before and after folding.
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/awq.safetensors" -o %t/awq.mlir
// RUN: not qopt %t/awq.mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/out" 2>&1 | FileCheck %s --check-prefix=UNFOLDED
// RUN: not qopt %t/awq.mlir --fold-scales=directory=%t --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/out" 2>&1 | FileCheck %s --check-prefix=TWICE

// SHRINK: expected a shrinkage in [0, 1), but got 1
// SCHEME: expected a scheme or a recipe, but got neither
// NONE: expected statistics
// SECTION: expected a recipe with a section awq
// GRAM: expected statistics with a Gram matrix for every linear to quantize, but found none
// OVERLAY: expected an overlay that is not an archive of the model itself
// UNFOLDED: each once; but awq got one that is scaled already
// TWICE: each once; but awq got one that is scaled already
