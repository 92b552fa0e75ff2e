// A language server for IR files with our dialects: an editor shows errors, definitions and documentation as one types.
// Point the editor's MLIR extension at it (VS Code: "mlir.server_path").
#include "passes/Pipelines/Registration.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qopt::registerDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry)) ? 1 : 0;
}
