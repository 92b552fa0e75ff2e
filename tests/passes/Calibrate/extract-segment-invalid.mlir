// A part of a model that there is not.
// RUN: rm -f %t.no
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: not qopt %t.mlir --extract-segment=index=5 2>&1 | FileCheck %s --check-prefix=NONE
// A function that is no model's.
// RUN: sed 's/@forward/@backward/' %t.mlir | not qopt --extract-segment=index=0 2>&1 | FileCheck %s --check-prefix=FUNCTION
// RUN: not qopt %S/../Quantize/quantize-rtn-invalid.mlir --extract-segment=index=0 2>&1 | FileCheck %s --check-prefix=NONE-THERE
// One without a cache, and one whose layers are computed.
// RUN: not qopt %S/Inputs/no-cache.mlir --extract-segment=index=0 2>&1 | FileCheck %s --check-prefix=ARGUMENTS
// RUN: sed -e 's/loc("cache"))/loc("cache"), %layer: index)/; s/%arg5\[%c0\]/%arg5[%layer]/' %t.mlir > %t.layer.mlir
// RUN: not qopt %t.layer.mlir --extract-segment=index=1 2>&1 | FileCheck %s --check-prefix=LAYER
// RUN: %python %dev/exit_code.py 2 qopt calibrate %t.layer.mlir --text %qopt_src/LICENSE --samples 4 --length 32 -o %t.no 2>&1 | FileCheck %s --check-prefix=LAYER
// RUN: not ls %t.no

// FUNCTION: error: {{.*}}expected a function @forward with a body
// NONE-THERE: error: {{.*}}expected a function @forward with the arguments of a model
// ARGUMENTS: error: {{.*}}expected a function @forward with the arguments of a model {{.*}}, but got (tensor<?xi32>
// LAYER: error: {{.*}}constants for the cache's layers, but got a layer that is computed
// NONE: expected the number of a segment below 5, but got 5
