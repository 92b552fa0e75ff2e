// See ReadParameters.h.
#include "lib/Parameters/ReadParameters.h"

#include "dialects/Transformer/Dialect.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;

llvm::SetVector<Operation *> qopt::parametersReadBy(ModuleOp module, ArrayRef<Operation *> readers,
                                                    llvm::function_ref<bool(Operation *)> passOver) {
  SymbolTable symbols(module);
  llvm::SetVector<Operation *> found;
  auto note = [&](transformer::GetOp get) {
    Operation *parameter = symbols.lookup(get.getParameter());
    if (parameter && !(passOver && passOver(parameter)))
      found.insert(parameter);
  };
  for (Operation *reader : readers)
    reader->walk(note);
  for (size_t i = 0; i < found.size(); ++i) // grows meanwhile
    found[i]->walk(note);
  return found;
}
