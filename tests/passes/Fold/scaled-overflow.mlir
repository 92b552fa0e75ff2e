// A weight that its scale takes beyond f32 is refused where it is read, and the reference calls what is infinite different.
// RUN: rm -rf %t && mkdir -p %t && cp -r %qopt_src/tests/fixtures/llama-tied %t/model
// RUN: qopt import %t/model -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/LICENSE --samples 4 --length 64 -o %t/stats
// RUN: qopt %t/mlir --smooth-quant="sites=attention-input statistics=%t/stats directory=%t overlay=%t/factors.safetensors" -o %t/pairs.mlir
// RUN: %python %qopt_src/tests/tools/Inputs/put_value.py %t/factors.safetensors model.layers.0.self_attn.q_proj.weight.smooth_quant 3 1e30
// RUN: %python %qopt_src/tests/tools/Inputs/put_value.py %t/model/model.safetensors model.layers.0.self_attn.q_proj.weight 2 3 1e20
// RUN: qopt %t/pairs.mlir --fold-scales=directory=%t -o %t/folded.mlir
// RUN: not qopt %t/folded.mlir --quantize-rtn="scheme=w4a16:g32 directory=%t overlay=%t/no" 2>&1 | FileCheck %s
// RUN: not qopt compile %t/folded.mlir -o %t/no 2>&1 | FileCheck %s
// RUN: not ls %t/no

// RUN: cp -r %qopt_src/tests/fixtures/llama-tied %t/infinite && %python %qopt_src/tests/tools/Inputs/put_value.py %t/infinite/model.safetensors model.norm.weight 0 inf
// RUN: qopt import %t/infinite -o %t/infinite.mlir
// RUN: not qopt-reference %t/infinite.mlir --inputs %qopt_src/tests/fixtures/expected-llama-tied.safetensors --against %qopt_src/tests/fixtures/expected-llama-tied.safetensors --tolerance 1e-4

// CHECK: error: {{.*}}expected scaled values that f32 can hold, but got inf
// CHECK: row 2, column 3
