// Everything that a tool or a plugin's host knows by name.
#include "passes/Pipelines/Registration.h"

#include "dialects/Kernel/Dialect.h"
#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "passes/Calibrate/Passes.h"
#include "passes/Fold/Passes.h"
#include "passes/Fuse/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Pipelines/Pipelines.h"
#include "passes/Quantize/Passes.h"
#include "passes/Target/Passes.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

void qopt::registerDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registerOwnDialects(registry);
}

void qopt::registerOwnDialects(mlir::DialectRegistry &registry) {
  registry.insert<transformer::TransformerDialect, lowbit::LowBitDialect, kernel::KernelDialect>();
}

void qopt::registerPasses() {
  mlir::registerAllPasses();
  registerOwnPasses();
}

void qopt::registerOwnPasses() {
  registerCalibratePasses();
  registerFoldPasses();
  registerFusePasses();
  registerLowerPasses();
  registerTargetPasses();
  registerQuantizePasses();
  registerPipelines();
}
