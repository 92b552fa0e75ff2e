// The reference against numpy: norms, rotary embeddings, attention (multi-head, grouped, multi-query, window, f16 cache,
// several sequences in one batch over shuffled pages, chunks). Both compute in f64 and round once to f32, so that they
// differ by at most one rounding, 2^-24 of the value.
// RUN: qopt-reference %S/Inputs/oracle_cases.mlir --against %S/Inputs/oracle_expected.mlir --tolerance 1.2e-7 | FileCheck %s

// CHECK-DAG: @rms_norm: greatest difference
// CHECK-DAG: @layer_norm: greatest difference
// CHECK-DAG: @rotary: greatest difference
// CHECK-DAG: @rotary_llama3: greatest difference
// CHECK-DAG: @attention_multi_head: greatest difference
// CHECK-DAG: @attention_grouped: greatest difference
// CHECK-DAG: @attention_multi_query: greatest difference
// CHECK-DAG: @attention_window: greatest difference
// CHECK-DAG: @attention_f16_cache: greatest difference
// CHECK-DAG: @attention_sequences: greatest difference
// CHECK-DAG: @attention_chunks: greatest difference
