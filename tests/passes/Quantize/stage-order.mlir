// A model is rotated, then scaled, then quantized, each once: every other order is refused by what the model shows.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/stats
// RUN: qopt %t/mlir --rotate -o %t/rotated.mlir
// RUN: qopt calibrate %t/rotated.mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/rotated.stats
// RUN: qopt %t/mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/awq.safetensors" -o %t/pairs.mlir
// RUN: qopt %t/pairs.mlir --fold-scales=directory=%t -o %t/scaled.mlir
// RUN: qopt quantize %t/mlir --scheme w4a16:g32 --head keep --keep "*.mlp.*" -o %t/half.mlir
// RUN: qopt quantize %t/half.mlir --scheme w4a16:g32 --head keep -o %t/whole.mlir

// What is in order: scales on the rotated model; codes in two runs.
// RUN: qopt %t/rotated.mlir --smooth-quant="statistics=%t/rotated.stats directory=%t overlay=%t/smooth.safetensors" --fold-scales=directory=%t -o %t/smooth.mlir

// RUN: not qopt %t/rotated.mlir --rotate=seed=1 2>&1 | FileCheck %s --check-prefixes=ROTATE,ROTATED
// RUN: not qopt %t/scaled.mlir --rotate 2>&1 | FileCheck %s --check-prefixes=ROTATE,SCALED
// RUN: not qopt %t/half.mlir --rotate 2>&1 | FileCheck %s --check-prefixes=ROTATE,QUANTIZED
// RUN: not qopt %t/whole.mlir --rotate 2>&1 | FileCheck %s --check-prefixes=ROTATE,QUANTIZED
// RUN: not qopt %t/pairs.mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/no.safetensors" 2>&1 | FileCheck %s --check-prefixes=AWQ,SCALED
// RUN: not qopt %t/scaled.mlir --smooth-quant="statistics=%t/stats directory=%t overlay=%t/no.safetensors" 2>&1 | FileCheck %s --check-prefixes=SMOOTH,SCALED
// RUN: not qopt %t/half.mlir --awq="scheme=w4a16:g32 statistics=%t/stats directory=%t overlay=%t/no.safetensors" 2>&1 | FileCheck %s --check-prefixes=AWQ,QUANTIZED
// RUN: not ls %t/no.safetensors
// A recipe on such a model, and its plan.
// RUN: not qopt quantize %t/scaled.mlir --recipe %S/Inputs/rotate.yaml -o %t/no.mlir 2>&1 | FileCheck %s --check-prefixes=ROTATE,SCALED
// RUN: not qopt plan %t/scaled.mlir --scheme w4a16:g32 --scales awq --statistics %t/stats 2>&1 | FileCheck %s --check-prefixes=AWQ,SCALED
// RUN: not ls %t/no.mlir

// ROTATE: expected a model that is rotated first, then scaled by awq or smooth-quant, then quantized, each once; but rotate got one that is
// AWQ: each once; but awq got one that is
// SMOOTH: each once; but smooth-quant got one that is
// ROTATED-SAME: rotated already
// SCALED-SAME: scaled already
// QUANTIZED-SAME: quantized already
