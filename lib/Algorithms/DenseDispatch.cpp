// Chooses the copy of Dense's functions for the processor at hand.
#include "lib/Algorithms/Dense.h"

#include "lib/Support/MatrixTiles.h"

const qopt::Dense &qopt::dense() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16") && mayUseMatrixTiles())
    return detail::denseTiles;
  if (__builtin_cpu_supports("x86-64-v4"))
    return detail::denseV4;
  if (__builtin_cpu_supports("x86-64-v3"))
    return detail::denseV3;
#endif
  return detail::denseBaseline;
}
