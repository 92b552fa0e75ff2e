// Observers that would see nothing, and observers on observers.
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: qopt %t.mlir --insert-observers=gram -o %t.observed.mlir
// RUN: not qopt %t.mlir --insert-observers=match=none 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %t.observed.mlir --insert-observers 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not qopt %t.mlir --insert-observers=match=[ 2>&1 | FileCheck %s --check-prefix=GLOB
// RUN: sed 's/@forward/@backward/' %t.mlir | not qopt --insert-observers 2>&1 | FileCheck %s --check-prefix=FUNCTION

// GLOB: error: expected a glob, but got "["
// GLOB: note: next: write a pattern such as *.down_proj.weight
// FUNCTION: error: expected a function @forward with a body
// NONE: expected linears whose weight matches "none", but found none
// TWICE: expected a function without observers
