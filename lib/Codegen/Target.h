#ifndef QOPT_LIB_CODEGEN_TARGET_H
#define QOPT_LIB_CODEGEN_TARGET_H

#include "lib/Support/Error.h"
#include "passes/Pipelines/Pipelines.h"

#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// A machine that code is generated for: what LLVM is told, what our passes are told, and what the runtime must find.
struct Target {
  std::string name;                  ///< as in the artifact: "x86-64-v4+vnni+bf16"
  std::string architecture;          ///< "x86-64" or "aarch64"
  std::string triple;                ///< LLVM's
  std::string cpu;                   ///< LLVM's
  std::string llvmFeatures;          ///< LLVM's, "+avx512vnni,…"
  std::vector<std::string> features; ///< names of lib/Runtime/CpuFeatures.h that code needs
  VectorTarget vectors = VectorTarget::Generic;
  bool expandHalf = false; ///< no instructions for f16 and bf16
  bool expandFma = false;  ///< no fused multiply-add
  int64_t mostTokens = 12; ///< vectors of 16 accumulators that its registers hold; see lower-dispatches
  bool bf16Tiles = false;  ///< f32 is multiplied in tiles of bf16; see lower-dispatches
};

/// The targets that exist, best first within an architecture.
const std::vector<Target> &knownTargets();

/// A target by name; "native" is the best one that this machine can run, and "generic" that of this machine's
/// architecture. Usage error with the names that exist.
Result<Target> findTarget(std::string_view name);

/// A target with AVX-512 BF16 with AMX beside it, in whose tiles f32 is multiplied (passes/Lower/Emit/MatmulTiles.cpp).
/// It has no row in the table: what an artifact may lose is not chosen by the processor that compiled it.
Target withMatrixTiles(Target target);

/// What this process computes statistics with, for itself alone: "native", with matrix tiles where this processor has
/// them and the operating system lets us. Resource error.
Result<Target> statisticsTarget();

/// Targets from a list "native,generic"; they must share an architecture, and none may repeat.
Result<std::vector<Target>> findTargets(std::string_view list);

} // namespace qopt

#endif // QOPT_LIB_CODEGEN_TARGET_H
