// The qopt tool: a first argument that names a subcommand goes to that subcommand, all else to the mlir-opt driver.
#include "passes/Pipelines/Registration.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qopt::registerDialects(registry);
  qopt::registerPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "qopt: a quantizing compiler for transformers\n", registry));
}
