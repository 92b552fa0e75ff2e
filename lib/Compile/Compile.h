#ifndef QOPT_LIB_COMPILE_COMPILE_H
#define QOPT_LIB_COMPILE_COMPILE_H

#include "lib/Codegen/Target.h"
#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qopt {

/// A stage that `qopt compile --emit` shows.
enum class Emit { Mlir, Llvm, Assembly, Object, Shared, Artifact };

struct CompileOptions {
  std::vector<Target> targets;   ///< at least one, of one architecture, best first
  std::string tokenizer = "{}";  ///< JSON for the artifact's tokenizer tensor
  std::string generation = "{}"; ///< JSON defaults: end-of-sequence ids, sampling
  std::string ledger = "{}";     ///< JSON, carried into the artifact as it is
  /// Digests, versions, schemes: into the manifest as it is. With the three above, filled by Sources.h.
  nlohmann::ordered_json provenance = nlohmann::ordered_json::object();
  /// Applied to every pass manager before it runs: printing, timing, verification.
  std::function<mlir::LogicalResult(mlir::PassManager &)> configure;
  /// Called while weights are packed, with bytes done and in all.
  std::function<void(int64_t, int64_t)> progress;
};

/// Compiles a model and writes it to `output`. `module` is consumed: it ends as the kernel graph. Archives are found
/// relative to `directory`. Bad input (with MLIR's diagnostics on the context's handler), resource error, our bug.
Status compileModel(mlir::ModuleOp module, const std::string &directory, const CompileOptions &options,
                    const std::string &output);

/// One stage of the compilation for the first target, as text or bytes; Artifact is not one of them.
Result<std::string> compileToStage(mlir::ModuleOp module, const CompileOptions &options, Emit stage);

} // namespace qopt

#endif // QOPT_LIB_COMPILE_COMPILE_H
