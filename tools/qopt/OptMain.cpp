// qopt as mlir-opt: all dialects and passes by name, and what passes counted.
#include "passes/Pipelines/Registration.h"
#include "passes/Support/PassCounts.h"
#include "tools/qopt/Subcommands.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

static llvm::cl::opt<bool> passCounts("pass-counts", llvm::cl::desc("Print what each pass of qopt did, in numbers"),
                                      llvm::cl::init(false));

/// The driver with a printer of counts in every pass manager.
static LogicalResult runCounting(StringRef input, StringRef output, DialectRegistry &registry) {
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  MlirOptMainConfig plain = config;
  config.setPassPipelineSetupFn([plain](PassManager &manager) {
    manager.addInstrumentation(qopt::createPassCountsPrinter(llvm::errs()));
    return plain.setupPassPipeline(manager);
  });
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(input, &message);
  std::unique_ptr<llvm::ToolOutputFile> file = buffer ? openOutputFile(output, &message) : nullptr;
  if (!file) {
    llvm::errs() << message << "\n";
    return failure();
  }
  if (failed(MlirOptMain(file->os(), std::move(buffer), registry, config)))
    return failure();
  file->keep();
  return success();
}

int qopt::optMain(int argc, char **argv) {
  DialectRegistry registry;
  registerDialects(registry);
  registerPasses();
  auto [input, output] =
      registerAndParseCLIOptions(argc, argv, "qopt: a quantizing compiler for transformers\n", registry);
  return asMainReturnCode(passCounts ? runCounting(input, output, registry)
                                     : MlirOptMain(argc, argv, input, output, registry));
}
