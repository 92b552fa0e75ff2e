// Observers that would see nothing, and observers on observers.
// RUN: rm -f %t.no
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: qopt %t.mlir --insert-observers=gram -o %t.observed.mlir
// RUN: not qopt %t.mlir --insert-observers=match=none 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %t.observed.mlir --insert-observers 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not qopt %t.mlir --insert-observers=match=[ 2>&1 | FileCheck %s --check-prefix=GLOB
// RUN: sed 's/@forward/@backward/' %t.mlir | not qopt --insert-observers 2>&1 | FileCheck %s --check-prefix=FUNCTION
// One weight on two values has two statistics, and what stands behind the choice of rows is not run.
// RUN: sed 's/get @model.layers.1.self_attn.o_proj/get @model.layers.1.self_attn.q_proj/' %t.mlir > %t.shared.mlir
// RUN: %python %dev/exit_code.py 2 qopt calibrate %t.shared.mlir --text %qopt_src/LICENSE --samples 4 --length 32 -o %t.no 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: sed 's/^\( *\)%52 = transformer.select_rows.*/&\n\1%97 = transformer.residual %51, %51 : tensor<?x64xf32>\n\1%98 = transformer.get @model.embed_tokens.weight : tensor<288x64xf32>\n\1%99 = transformer.linear %97, %98 : (tensor<?x64xf32>, tensor<288x64xf32>) -> tensor<?x288xf32>/' %t.mlir > %t.late.mlir
// RUN: %python %dev/exit_code.py 2 qopt calibrate %t.late.mlir --text %qopt_src/LICENSE --samples 4 --length 32 -o %t.no 2>&1 | FileCheck %s --check-prefix=LATE
// RUN: not ls %t.no

// SHARED: error: {{.*}}expected each weight to be read by linears on one value, but @model.layers.1.self_attn.q_proj.weight is by linears on several
// SHARED: next: give each its own parameter, or leave the weight out with --match
// LATE: error: {{.*}}expected all values that are looked at to be computed before rows are chosen (transformer.select_rows), but 1 of 9 stand behind
// GLOB: error: expected a glob, but got "["
// GLOB: note: next: write a pattern such as *.down_proj.weight
// FUNCTION: error: expected a function @forward with a body
// NONE: expected linears whose weight matches "none", but found none
// TWICE: expected a function without observers
