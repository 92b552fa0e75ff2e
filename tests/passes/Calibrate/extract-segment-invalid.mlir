// A part of a model that there is not.
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: not qopt %t.mlir --extract-segment=index=5 2>&1 | FileCheck %s --check-prefix=NONE

// NONE: expected the number of a segment below 5, but got 5
