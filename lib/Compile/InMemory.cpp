// See InMemory.h.
#include "lib/Compile/InMemory.h"

#include "lib/Archive/Sha256.h"
#include "lib/Compile/Stages.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

#include <cstring>

using namespace mlir;
using namespace qopt;

/// What code is generated from, as text: parameters under their numbers, without what they hold.
static std::string describeCode(ModuleOp graph) {
  OwningOpRef<ModuleOp> masked = graph.clone();
  int64_t number = 0;
  for (transformer::ParameterOp parameter : placedParameters(*masked)) {
    parameter.removeSourceAttr();
    if (!parameter.getInitializer().empty())
      parameter.getInitializer().front().erase();
    std::string name = "p" + std::to_string(number++);
    // Verification is off between here and the end: nobody but this text sees the module.
    (void)SymbolTable::replaceAllSymbolUses(parameter, StringAttr::get(graph.getContext(), name), *masked);
    parameter.setSymName(name);
  }
  for (Operation &op : llvm::make_early_inc_range(*masked->getBody()))
    if (isa<transformer::ArchiveOp, transformer::TokenizerOp>(op) ||
        (isa<transformer::ParameterOp>(op) && !op.hasAttr("kernel.offset")))
      op.erase();
  masked->setSymName("");
  masked->getOperation()->removeAttr("transformer.model");
  // Names of streams are for people.
  for (auto function : masked->getOps<func::FuncOp>())
    if (function->hasAttr("transformer.part"))
      function->setAttr("transformer.part", UnitAttr::get(graph.getContext()));
  std::string text;
  llvm::raw_string_ostream stream(text);
  masked->print(stream);
  return text;
}

/// The data section: every parameter at its offset.
static Result<Pages> placeWeights(ModuleOp graph, const ParameterEvaluator &parameters) {
  std::unique_ptr<ParameterEvaluator> evaluator = parameters.forModule(graph);
  int64_t bytes = graph->getAttrOfType<IntegerAttr>("kernel.weights_bytes").getInt();
  Result<Pages> pages = Pages::allocate(std::max<int64_t>(bytes, 1), /*huge=*/true, "weights");
  if (!pages)
    return pages;
  for (transformer::ParameterOp parameter : placedParameters(graph)) {
    Result<HostTensor> value = evaluator->evaluate(parameter);
    if (!value)
      return value.takeError();
    if (static_cast<int64_t>(value->bytes.size()) != bytesOf(parameter))
      return Error{
          ErrorClass::Bug, "a parameter's value has another size than its type", parameter.getSymName().str(), {}, {}};
    std::memcpy(pages->data() + parameter->getAttrOfType<IntegerAttr>("kernel.offset").getInt(), value->bytes.data(),
                value->bytes.size());
  }
  return pages;
}

Result<std::shared_ptr<const Model>> qopt::compileInMemory(ModuleOp module, const ParameterEvaluator &parameters,
                                                           const CompileOptions &options, CodeCache &cache) {
  if (Status status = lowerToKernelGraph(module, options); !status)
    return status.takeError();
  std::string text = describeCode(module);
  CodeCache::Entry &entry = cache.entries[toString(sha256(std::as_bytes(std::span(text))))];
  if (entry.code) {
    ++cache.hits;
  } else {
    Result<CompiledCode> compiled = generateShared(module, options, options.targets.front());
    if (!compiled)
      return compiled.takeError();
    Result<CodeObject> code = CodeObject::load(compiled->shared);
    if (!code)
      return code.takeError();
    entry = {std::make_shared<CodeObject>(std::move(*code)), compiled->counters};
  }
  Result<Manifest> manifest = describeModel(module, entry.counters, options);
  if (!manifest)
    return manifest.takeError();
  Result<Pages> weights = placeWeights(module, parameters);
  if (!weights)
    return weights.takeError();
  return Model::assemble(std::move(*manifest), entry.code, std::move(*weights));
}
