// The order of passes, and nothing else. Every pass here runs by its own name as well.
#include "passes/Pipelines/Pipelines.h"

#include "passes/Fuse/Passes.h"
#include "passes/Lower/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void qopt::buildKernelGraphPipeline(OpPassManager &manager) {
  manager.addPass(createVerifyForward());
  // What the C ABI hands out, said in the graph's own terms.
  manager.addPass(createReturnHiddenStates());
  // On the flat graph, where every layer is seen by name: what layers have in common, and what can be one op.
  manager.addNestedPass<func::FuncOp>(createShareRotaryTables());
  manager.addPass(createFuseProjections());
  // Layouts are chosen before blocks are compared: two layers whose weights lie differently are two blocks.
  manager.addPass(createSelectLayouts());
  // Before any pass that could hoist constants across layers, and before dispatches, so that a block's first op does
  // not join the last op of what comes before it.
  manager.addPass(createOutlineBlocks());
  manager.addNestedPass<func::FuncOp>(createFormDispatches());
  // Once it is known what is written and read, and by what.
  manager.addPass(createPlanMemory());
  manager.addPass(createPlaceParameters());
}

void qopt::buildKernelsPipeline(OpPassManager &manager, const KernelsPipelineOptions &options) {
  LowerDispatchesOptions lowering;
  lowering.mostTokens = options.mostTokens;
  lowering.bf16Tiles = options.bf16Tiles;
  manager.addPass(createLowerDispatches(lowering));
  // Emitted code repeats constants and index arithmetic freely.
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void qopt::buildMachinePipeline(OpPassManager &manager, const TargetPipelineOptions &options) {
  manager.addPass(createStripParameters());
  LowerKernelVectorsOptions vectors;
  vectors.vectors = options.vectors;
  vectors.expandHalf = options.expandHalf;
  vectors.expandFma = options.expandFma;
  manager.addPass(createLowerKernelVectors(vectors));
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
}

void qopt::registerPipelines() {
  PassPipelineRegistration<>("qopt-kernel-graph", "From the graph to planned dispatches", buildKernelGraphPipeline);
  PassPipelineRegistration<KernelsPipelineOptions>("qopt-kernels", "From dispatches to loops over vectors",
                                                   buildKernelsPipeline);
  PassPipelineRegistration<TargetPipelineOptions>("qopt-machine", "From loops over vectors to the LLVM dialect",
                                                  buildMachinePipeline);
}
