// A part of a model that there is not.
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: not qopt %t.mlir --extract-segment=index=5 2>&1 | FileCheck %s --check-prefix=NONE
// A function that is no model's.
// RUN: sed 's/@forward/@backward/' %t.mlir | not qopt --extract-segment=index=0 2>&1 | FileCheck %s --check-prefix=FUNCTION
// RUN: not qopt %S/../Quantize/quantize-rtn-invalid.mlir --extract-segment=index=0 2>&1 | FileCheck %s --check-prefix=FUNCTION

// FUNCTION: error: expected a function @forward with the arguments of a model
// NONE: expected the number of a segment below 5, but got 5
