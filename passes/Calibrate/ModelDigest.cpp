// See ModelDigest.h.
#include "passes/Calibrate/ModelDigest.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/Sha256.h"

#include "mlir/IR/OwningOpRef.h"

using namespace mlir;
using namespace qopt;

std::string qopt::modelDigest(ModuleOp module) {
  OwningOpRef<ModuleOp> plain = module.clone();
  plain->walk([](lowbit::ObserveOp observe) { observe.erase(); });
  for (auto archive : plain->getOps<transformer::ArchiveOp>())
    archive.setPath("");
  for (auto tokenizer : plain->getOps<transformer::TokenizerOp>())
    tokenizer.setPath("");
  plain->setSymName("model");
  std::string text;
  llvm::raw_string_ostream stream(text);
  plain->print(stream);
  return toString(sha256(std::as_bytes(std::span(text))));
}
