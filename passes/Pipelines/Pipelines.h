#ifndef QOPT_PASSES_PIPELINES_PIPELINES_H
#define QOPT_PASSES_PIPELINES_PIPELINES_H

#include "passes/Target/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace qopt {

/// What differs between targets once kernels are loops over vectors. The machine itself (triple, CPU) is lib/Codegen's.
struct KernelsPipelineOptions : mlir::PassPipelineOptions<KernelsPipelineOptions> {
  PassOptions::Option<int64_t> mostTokens{
      *this, "most-tokens", llvm::cl::desc("tokens whose accumulators the target's registers hold, at most"),
      llvm::cl::init(12)};
  PassOptions::Option<bool> bf16Tiles{
      *this, "bf16-tiles", llvm::cl::desc("multiply f32 as three products of bf16 tiles (AMX)"), llvm::cl::init(false)};
};

struct TargetPipelineOptions : mlir::PassPipelineOptions<TargetPipelineOptions> {
  PassOptions::Option<VectorTarget> vectors{
      *this, "vectors", llvm::cl::desc("whose instructions to use"), llvm::cl::init(VectorTarget::Generic),
      llvm::cl::values(clEnumValN(VectorTarget::Generic, "generic", "plain vector arithmetic"),
                       clEnumValN(VectorTarget::X86, "x86-64", "SSE2"),
                       clEnumValN(VectorTarget::X86V4, "x86-64-v4", "AVX-512 with VNNI"),
                       clEnumValN(VectorTarget::X86V4Bf16, "x86-64-v4+bf16", "AVX-512 with VNNI and BF16"))};
  PassOptions::Option<bool> expandHalf{
      *this, "expand-half", llvm::cl::desc("convert f16 and bf16 with integer arithmetic"), llvm::cl::init(false)};
  PassOptions::Option<bool> expandFma{*this, "expand-fma", llvm::cl::desc("multiply and add with two roundings"),
                                      llvm::cl::init(false)};
};

/// From the (quantized) graph to the kernel graph, planned and placed: `qopt-kernel-graph`.
void buildKernelGraphPipeline(mlir::OpPassManager &manager);

/// From the kernel graph to loops over vectors: `qopt-kernels`.
void buildKernelsPipeline(mlir::OpPassManager &manager, const KernelsPipelineOptions &options);

/// From loops over vectors to the LLVM dialect: `qopt-machine`.
void buildMachinePipeline(mlir::OpPassManager &manager, const TargetPipelineOptions &options);

/// Makes the pipelines known by name. Once per process.
void registerPipelines();

} // namespace qopt

#endif // QOPT_PASSES_PIPELINES_PIPELINES_H
