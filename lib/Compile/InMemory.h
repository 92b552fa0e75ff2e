// Compiles a model for this process to run: no file, and code that was generated before is used again.
#ifndef QOPT_LIB_COMPILE_INMEMORY_H
#define QOPT_LIB_COMPILE_INMEMORY_H

#include "lib/Compile/Compile.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "lib/Runtime/Model.h"

#include "llvm/ADT/StringMap.h"

namespace qopt {

/// Code that was compiled in this process, by the kernel graph that it came from with the names of parameters masked:
/// blocks of a model that differ by their weights alone share it. Not for several threads at once.
class CodeCache {
public:
  struct Entry {
    std::shared_ptr<const CodeObject> code;
    int64_t counters = 0;
  };

  int64_t compiled() const { return static_cast<int64_t>(entries.size()); }
  int64_t reused() const { return hits; }

private:
  friend Result<std::shared_ptr<const Model>> compileInMemory(mlir::ModuleOp, const ParameterEvaluator &,
                                                              const CompileOptions &, CodeCache &);
  llvm::StringMap<Entry> entries; ///< by digest
  int64_t hits = 0;
};

/// Compiles `module` for the first of the options' targets, which this processor must be able to run. `module` is
/// consumed: it ends as the kernel graph. Its parameters are read through the archives and provided tensors of
/// `parameters`. Bad input (with MLIR's diagnostics on the context's handler), resource error, our bug.
Result<std::shared_ptr<const Model>> compileInMemory(mlir::ModuleOp module, const ParameterEvaluator &parameters,
                                                     const CompileOptions &options, CodeCache &cache);

} // namespace qopt

#endif // QOPT_LIB_COMPILE_INMEMORY_H
