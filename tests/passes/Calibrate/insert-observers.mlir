// The inputs of linears become sites, one for each value.
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: qopt %t.mlir --insert-observers=gram --pass-counts -o %t.observed.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS
// RUN: FileCheck %s --input-file=%t.observed.mlir
// RUN: qopt %t.mlir --insert-observers="match=*.mlp.* histogram=true" | FileCheck %s --check-prefix=MLP
// Of some weights alone: what q, k and v read is one site, by whichever of them is named.
// RUN: qopt %t.mlir --insert-observers="weights=model.layers.1.self_attn.k_proj.weight,model.layers.0.mlp.down_proj.weight gram" --pass-counts 2>&1 | FileCheck %s --check-prefix=SOME
// RUN: not qopt %t.mlir --insert-observers="weights=nowhere" 2>&1 | FileCheck %s --check-prefix=NOWHERE
// RUN: not qopt %t.mlir --insert-observers="match=[" 2>&1 | FileCheck %s --check-prefix=GLOB
// Segments are cut as before.
// RUN: qopt %t.observed.mlir --extract-segment=index=4 | FileCheck %s --check-prefix=SEGMENT
// A model with observers left in it is not compiled.
// RUN: not qopt %t.observed.mlir --qopt-kernel-graph 2>&1 | FileCheck %s --check-prefix=LEFT

// CHECK:      func.func @forward
// CHECK-NOT:  lowbit.observe
// CHECK:      %[[N:.*]] = transformer.rms_norm
// CHECK-NEXT: lowbit.observe %[[N]] "model.layers.0.self_attn.q_proj.weight" gram : tensor<?x64xf32>
// CHECK-NOT:  lowbit.observe
// CHECK:      %[[A:.*]] = transformer.attention
// CHECK-NEXT: lowbit.observe %[[A]] "model.layers.0.self_attn.o_proj.weight" gram
// CHECK:      %[[M:.*]] = transformer.rms_norm
// CHECK-NEXT: lowbit.observe %[[M]] "model.layers.0.mlp.gate_proj.weight" gram
// CHECK:      %[[P:.*]] = transformer.gated_product
// CHECK-NEXT: lowbit.observe %[[P]] "model.layers.0.mlp.down_proj.weight" gram
// CHECK:      lowbit.observe %{{.*}} "model.layers.1.mlp.down_proj.weight" gram
// CHECK-NOT:  lowbit.observe

// MLP-NOT: self_attn{{.*}} histogram
// MLP:     lowbit.observe %{{.*}} "model.layers.0.mlp.gate_proj.weight" histogram

// SEGMENT:     transformer.gated_product
// SEGMENT-NOT: lowbit.observe

// LEFT: error: {{.*}}lowbit.observe
// COUNTS: 8 sites, 14 linears-observed
// SOME-DAG: 2 sites, 2 linears-observed
// SOME-DAG: lowbit.observe %{{.*}} "model.layers.0.mlp.down_proj.weight" gram
// SOME-DAG: lowbit.observe %{{.*}} "model.layers.1.self_attn.k_proj.weight" gram
// NOWHERE: error: {{.*}}expected linears whose weight matches "*" and is one of those that are named, but found none
// GLOB: error: {{.*}}expected a glob, but got "["
// GLOB-NOT: see current operation
