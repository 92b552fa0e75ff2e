// Sums that have overflowed: calibration refuses to write them, and every search by them to read them. None takes all of a
// range in silence, because no error compares as less than what is not a number.
// RUN: rm -rf %t && mkdir -p %t
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t/mlir
// RUN: qopt calibrate %t/mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/stats
// RUN: cp %t/stats %t/damaged && %python %qopt_src/tests/tools/Inputs/put_value.py %t/damaged model.layers.1.self_attn.o_proj.weight.gram 0 3 inf
// RUN: not qopt %t/mlir --quantize-rtn="scheme=w4a16:g32 head=keep range=hessian statistics=%t/damaged directory=%t overlay=%t/no" 2>&1 | FileCheck %s
// RUN: not qopt %t/mlir --quantize-rtn="scheme=w4a16:g32 head=keep range=diagonal statistics=%t/damaged directory=%t overlay=%t/no" 2>&1 | FileCheck %s
// RUN: not qopt %t/mlir --quantize-rtn="scheme=w4a16:g32 head=keep range=clip statistics=%t/damaged directory=%t overlay=%t/no" 2>&1 | FileCheck %s
// RUN: not qopt %t/mlir --quantize-gptq="scheme=w4a16:g32 inputs=statistics statistics=%t/damaged directory=%t overlay=%t/no" 2>&1 | FileCheck %s
// RUN: not ls %t/no
// RUN: printf 'version: 1\nscheme: w4a16:g32\nhead: keep\nrtn: {range: hessian}\n' > %t/hessian.yaml
// RUN: %python %dev/exit_code.py 4 qopt quantize %t/mlir --recipe %t/hessian.yaml --statistics %t/damaged -o %t/no.mlir 2>&1 | FileCheck %s

// RUN: cp -r %qopt_src/tests/fixtures/llama-tied %t/great && %python %qopt_src/tests/tools/Inputs/put_value.py %t/great/model.safetensors model.layers.1.self_attn.v_proj.weight 0 5 1e21
// RUN: qopt import %t/great -o %t/great.mlir
// RUN: %python %dev/exit_code.py 4 qopt calibrate %t/great.mlir --text %qopt_src/LICENSE --samples 16 --length 64 -o %t/no 2>&1 | FileCheck %s --check-prefix=CALIBRATE
// RUN: not ls %t/no

// CHECK: error: {{.*}}expected a Hessian of finite numbers with a diagonal that is not negative, but row 0 breaks that
// CHECK: inputs of @model.layers.1.self_attn.o_proj.weight
// CALIBRATE: error: expected activations whose products f32 can sum, but those of channel {{[0-9]+}} reach
// CALIBRATE: in: {{.*}}model.layers.1.self_attn.o_proj.weight
