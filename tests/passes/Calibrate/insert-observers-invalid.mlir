// Observers that would see nothing, and observers on observers.
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: qopt %t.mlir --insert-observers=gram -o %t.observed.mlir
// RUN: not qopt %t.mlir --insert-observers=match=none 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt %t.observed.mlir --insert-observers 2>&1 | FileCheck %s --check-prefix=TWICE

// NONE: expected linears whose weight matches "none", but found none
// TWICE: expected a function without observers
