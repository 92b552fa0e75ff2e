// What SmoothQuant refuses.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/docs/CommandLine.md --samples 4 --length 64 -o %t/stats
// RUN: not qopt %t/mlir --smooth-quant="alpha=1.5 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=ALPHA
// RUN: not qopt %t/mlir --smooth-quant="sites=mlp-input alphas=0.1,0.2 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: not qopt %t/mlir --smooth-quant="directory=%t" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %t/mlir --smooth-quant="recipe=%S/Inputs/keep.yaml statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=SECTION
// RUN: sed 's/epsilon 1.000000e-05/epsilon 2.000000e-05/' %t/mlir > %t/other.mlir
// RUN: not qopt %t/other.mlir --smooth-quant="statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=MODEL

// RUN: not qopt %t/mlir --smooth-quant="alpha=0.3 sites=mlp-input alphas=0.1 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=EITHER
// RUN: not qopt %t/mlir --smooth-quant="sites=mlp-input,mlp-input alphas=0.1,0.9 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not qopt %t/mlir --smooth-quant="keep=model.layers.0 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=KEEP
// RUN: not qopt %t/mlir --smooth-quant="scheme=keep head=w8a16:g32 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=ALL
// RUN: not qopt %t/mlir --smooth-quant="recipe=%S/Inputs/smooth-quant.yaml alpha=0.7 statistics=%t/stats directory=%t" 2>&1 | FileCheck %s --check-prefix=BOTH
// No site of these kinds, no kind of that name; a weight that is scaled in the function, which takes no statistics to see.
// RUN: not qopt %S/quantize-rtn-invalid.mlir --smooth-quant="statistics=%t/stats directory=%qopt_src/tests/fixtures overlay=%t/scales.safetensors" 2>&1 | FileCheck %s --check-prefix=SITES
// RUN: not qopt %t/mlir --smooth-quant="sites=mlp-middle statistics=%t/stats directory=%t overlay=%t/scales.safetensors" 2>&1 | FileCheck %s --check-prefix=KIND
// RUN: sed 's/%25 = transformer.linear %23, %24/%alone = lowbit.scale %24 by %17 axis 0 alone : tensor<64x96xf32>, tensor<64xf32> -> tensor<64x96xf32>\n%25 = transformer.linear %23, %alone/' %t/mlir > %t/alone.mlir
// RUN: qopt calibrate %t/alone.mlir --text %qopt_src/docs/CommandLine.md --samples 4 --length 64 --samples-alone -o %t/alone.stats
// RUN: not qopt %t/alone.mlir --smooth-quant="sites=mlp-output statistics=%t/alone.stats directory=%t overlay=%t/scales.safetensors" 2>&1 | FileCheck %s --check-prefix=ALONE
// RUN: not ls %t/scales.safetensors

// ALPHA: expected an alpha from 0 to 1
// EITHER: expected either alpha, of all sites that are scaled, or alphas, of each, but got both
// COUNT: expected an alpha for each of 1 sites, but got 2
// NONE: expected statistics
// SECTION: expected a recipe with a section smooth_quant
// MODEL: expected statistics of this model, sha256:{{[0-9a-f]+}}, but got those of sha256:
// TWICE: expected each kind of site once, but got one twice
// KEEP: expected a scheme beside head and keep
// ALL: expected values to scale whose linears are quantized, but all of those linears are kept
// BOTH: expected either a recipe or settings of smooth-quant, but got both
// SITES: error: expected values that linears alone read, at the sites to scale, but found none
// SITES: note: next: name other sites, or start from a module that 'qopt import' wrote
// KIND: expected attention-input, attention-output, mlp-input or mlp-output, but got "mlp-middle"
// ALONE: error: expected a weight that transformer.get reads
// ALONE: note: in: site model.layers.0.mlp.down_proj.weight
// ALONE: note: next: fold the scales of an earlier step first (--fold-scales)
