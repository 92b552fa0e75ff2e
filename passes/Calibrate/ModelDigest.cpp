// See ModelDigest.h.
#include "passes/Calibrate/ModelDigest.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/ContentDigest.h"
#include "lib/Archive/Sha256.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/ModelLedger.h"
#include "passes/Fold/ScaleFolding.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// Replaces every scale of a pair within `owner` by what it scales, noting the factors.
static void takeOutScales(Operation *owner, llvm::SetVector<StringAttr> &factors) {
  owner->walk([&](lowbit::ScaleOp scale) {
    if (scale.getAlone())
      return;
    if (GetOp source = factorSource(scale.getFactor()))
      factors.insert(source.getParameterAttr().getAttr());
    scale.getResult().replaceAllUsesWith(scale.getInput());
    scale.erase();
  });
  owner->walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isa<GetOp, lowbit::RepeatHeadsOp>(op) && op->use_empty())
      op->erase();
  });
}

/// Gives a parameter that has become another under its own name what that one has: @w = @w.unscaled.
static void adoptSource(ModuleOp module, ParameterOp parameter) {
  Block &block = parameter.getInitializer().front();
  auto get = dyn_cast<GetOp>(block.front());
  if (!get || block.getOperations().size() != 2 ||
      !get.getParameter().starts_with((parameter.getSymName() + ".unscaled").str()))
    return;
  auto unscaled = module.lookupSymbol<ParameterOp>(get.getParameter());
  block.erase();
  if (auto source = unscaled.getSource())
    parameter.setSourceAttr(*source);
  unscaled.erase();
}

/// The model before scales were taken into its weights: pairs of them change nothing that it computes.
static void undoScales(ModuleOp module) {
  llvm::SetVector<StringAttr> factors;
  llvm::DenseMap<StringAttr, Type> types; // of the parameters that were scaled
  for (ParameterOp parameter : module.getOps<ParameterOp>()) {
    if (parameter.getInitializer().empty())
      continue;
    takeOutScales(parameter, factors);
    Type type = cast<YieldOp>(parameter.getInitializer().front().getTerminator()).getValue().getType();
    parameter.setType(cast<RankedTensorType>(type));
    types[parameter.getSymNameAttr()] = type;
  }
  for (ParameterOp parameter : llvm::to_vector(module.getOps<ParameterOp>()))
    if (!parameter.getInitializer().empty())
      adoptSource(module, parameter);
  for (auto function : module.getOps<func::FuncOp>()) {
    takeOutScales(function, factors);
    function.walk([&](GetOp get) {
      if (Type type = types.lookup(get.getParameterAttr().getAttr()))
        get.getValue().setType(cast<RankedTensorType>(type));
    });
  }
  llvm::SetVector<StringAttr> archives;
  for (StringAttr factor : factors)
    if (auto parameter = module.lookupSymbol<ParameterOp>(factor)) {
      if (auto source = parameter.getSource())
        archives.insert(source->getArchive().getAttr());
      parameter.erase();
    }
  for (StringAttr archive : archives)
    if (SymbolTable::symbolKnownUseEmpty(archive, module))
      module.lookupSymbol(archive)->erase();
}

Result<std::string> qopt::moduleDigest(ModuleOp module, const std::string &directory) {
  OwningOpRef<ModuleOp> copy = module.clone();
  std::string weights;
  for (auto archive : copy->getOps<ArchiveOp>()) {
    Result<std::string> digest = contentDigest(resolvePath(archive.getPath(), directory));
    if (!digest)
      return digest.takeError();
    weights += archive.getSymName().str() + " " + *digest + "\n";
    archive.setPath("");
  }
  for (auto tokenizer : copy->getOps<TokenizerOp>())
    tokenizer.setPath("");
  std::string text;
  llvm::raw_string_ostream stream(text);
  copy->print(stream);
  stream << weights;
  return toString(sha256(std::as_bytes(std::span(text))));
}

Result<std::string> qopt::modelDigest(ModuleOp module, const std::string &directory) {
  OwningOpRef<ModuleOp> plain = module.clone();
  undoScales(*plain);
  plain->walk([](lowbit::ObserveOp observe) { observe.erase(); });
  plain->walk([](Operation *op) { op->removeDiscardableAttr(lowbit::kQuantizeAttribute); });
  plain->setSymName("model");
  plain->getOperation()->removeAttr(cancelledScalesAttribute);
  return moduleDigest(*plain, directory);
}

Status qopt::checkUnscaled(ModuleOp module) {
  auto found = module.walk(
      [](lowbit::ScaleOp scale) { return scale.getAlone() ? WalkResult::advance() : WalkResult::interrupt(); });
  if (found.wasInterrupted()) {
    bool hasCodes = module.walk([](lowbit::LinearOp) { return WalkResult::interrupt(); }).wasInterrupted();
    return badInput(
               "expected a model without scales, but its weights, or what they are multiplied by, have been scaled")
        .withNext(hasCodes ? "quantize the model as it was imported in one run: rules give each weight its scheme"
                           : "calibrate the model as it was before: its statistics serve this one too");
  }
  return {};
}
