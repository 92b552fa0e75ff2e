#ifndef QOPT_LIB_RUNTIME_CPUFEATURES_H
#define QOPT_LIB_RUNTIME_CPUFEATURES_H

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// A processor as code generation sees it: an architecture and named features that both the processor and the operating
/// system support. Names: avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512vbmi avx512vnni avx512bf16 on
/// "x86-64", neon dotprod i8mm bf16 on "aarch64".
struct CpuFeatures {
  std::string architecture;          ///< "x86-64", "aarch64", or "unknown"
  std::vector<std::string> features; ///< in the order above

  bool has(std::string_view feature) const;
  /// Those of `wanted` that this processor lacks, in `wanted`'s order. A name that nobody knows counts as lacking.
  std::vector<std::string> missing(std::span<const std::string> wanted) const;
};

/// The processor that this process runs on: CPUID and XGETBV on x86-64 (a feature whose registers the operating system
/// does not save is absent), the auxiliary vector on aarch64.
CpuFeatures hostCpu();

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_CPUFEATURES_H
