// A model is cut where one value alone carries it.
// RUN: qopt import %qopt_src/tests/fixtures/llama-tied -o %t.mlir
// RUN: qopt %t.mlir --extract-segment=index=0 | FileCheck %s --check-prefix=FIRST
// RUN: qopt %t.mlir --extract-segment=index=3 | FileCheck %s --check-prefix=ATTENTION
// RUN: qopt %t.mlir --extract-segment=index=4 | FileCheck %s --check-prefix=MLP
// What comes out goes through the ordinary lowering.
// RUN: qopt %t.mlir --extract-segment=index=3 --qopt-kernel-graph --qopt-kernels -o %t.low.mlir
// It counts.
// RUN: qopt %t.mlir --extract-segment=index=4 --pass-counts -o %t.part.mlir 2>&1 | FileCheck %s --check-prefix=COUNTS

// FIRST:     transformer.archive @checkpoint
// FIRST:     transformer.parameter @model.embed_tokens.weight
// FIRST-NOT: transformer.parameter
// FIRST:     func.func @forward(%[[TOKENS:[a-z0-9]+]]: tensor<?xi32>, {{.*}}: !transformer.cache<layers = 1, heads = 2, dim = 16, f32>) -> (tensor<?x64xf32>, !transformer.cache<layers = 1, heads = 2, dim = 16, f32>)
// FIRST-SAME: transformer.part = {inputs = [], outputs = ["model.embed_tokens.weight"]}
// FIRST:     %[[X:.*]] = transformer.embedding %[[TOKENS]]
// FIRST:     return %[[X]]

// The second layer's attention is layer 0 of the only layer that is left.
// ATTENTION-NOT: model.layers.0
// ATTENTION:     transformer.parameter @model.layers.1.input_layernorm.weight
// ATTENTION:     transformer.parameter @model.layers.1.self_attn.o_proj.weight
// ATTENTION-NOT: transformer.parameter
// ATTENTION:     func.func @forward({{.*}}%[[CACHE:[a-z0-9]+]]: !transformer.cache<layers = 1, heads = 2, dim = 16, f32>, %[[X:[a-z0-9]+]]: tensor<?x64xf32>)
// ATTENTION:     %[[LAYER:.*]] = arith.constant 0 : index
// ATTENTION-NOT: arith.constant
// ATTENTION:     transformer.rms_norm %[[X]]
// ATTENTION:     %[[WRITTEN:.*]] = transformer.cache_update %[[CACHE]][%[[LAYER]]]
// ATTENTION-SAME: <layers = 1,
// ATTENTION:     transformer.attention %{{.*}}, %[[WRITTEN]][%[[LAYER]]]
// ATTENTION:     %[[R:.*]] = transformer.residual %[[X]]
// ATTENTION:     return %[[R]], %[[WRITTEN]]

// MLP:     func.func @forward({{.*}}%[[X:[a-z0-9]+]]: tensor<?x64xf32>)
// MLP:     transformer.rms_norm %[[X]]
// MLP:     transformer.gated_product
// MLP:     %[[R:.*]] = transformer.residual %[[X]]
// MLP:     return %[[R]]


// COUNTS: 6 ops-kept
