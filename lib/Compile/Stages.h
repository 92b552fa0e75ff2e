// The stages that every compilation goes through, whatever becomes of its results. Internal to lib/Compile.
#ifndef QOPT_LIB_COMPILE_STAGES_H
#define QOPT_LIB_COMPILE_STAGES_H

#include "lib/Artifact/Manifest.h"
#include "lib/Compile/Compile.h"

#include "dialects/Transformer/Dialect.h"

namespace qopt {

/// Graph to kernel graph. All of these return an error if a pass fails; its diagnostics went to the context's handler.
Status lowerToKernelGraph(mlir::ModuleOp module, const CompileOptions &options);
/// Kernel graph to loops over vectors for a target.
Status lowerToKernels(mlir::ModuleOp module, const CompileOptions &options, const Target &target);
/// Loops over vectors to the LLVM dialect of a target.
Status lowerToMachine(mlir::ModuleOp module, const CompileOptions &options, const Target &target);

/// What came out for one target.
struct CompiledCode {
  std::vector<std::byte> shared; ///< a shared object
  int64_t counters = 0;          ///< work claims that it makes in one forward
};
/// A kernel graph, which stays as it is, to code.
Result<CompiledCode> generateShared(mlir::ModuleOp graph, const CompileOptions &options, const Target &target);

/// Parameters that code reads, in the order of their offsets.
llvm::SmallVector<transformer::ParameterOp> placedParameters(mlir::ModuleOp graph);
int64_t bytesOf(transformer::ParameterOp parameter);

/// What the runtime must know, read off the kernel graph.
Result<Manifest> describeModel(mlir::ModuleOp graph, int64_t counters, const CompileOptions &options);

} // namespace qopt

#endif // QOPT_LIB_COMPILE_STAGES_H
