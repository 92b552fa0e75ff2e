// libqopt.so as a plugin of stock mlir-opt: --load-dialect-plugin=libqopt.so --load-pass-plugin=libqopt.so.
//
// A plugin's host brings the dialects and passes of MLIR itself, so only ours are registered here.
#include "passes/Pipelines/Registration.h"

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

extern "C" ::mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "qopt", QOPT_VERSION,
          [](mlir::DialectRegistry *registry) { qopt::registerOwnDialects(*registry); }};
}

extern "C" ::mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "qopt", QOPT_VERSION, [] { qopt::registerOwnPasses(); }};
}
