// From a model's graph to an artifact: pipelines, code for each target, and the weights, one at a time.
#include "lib/Compile/Compile.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Artifact/ArtifactWriter.h"
#include "lib/Codegen/Codegen.h"
#include "lib/Parameters/ParameterEvaluator.h"
#include "passes/Lower/Emit/KernelBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;

namespace {

Error failedStage(StringRef stage) {
  return badInput("the model did not pass the stage \"" + stage.str() + "\"; the diagnostics above say why");
}

Status runPipeline(ModuleOp module, const CompileOptions &options, StringRef stage,
                   function_ref<void(OpPassManager &)> build) {
  PassManager manager(module.getContext());
  if (options.configure && failed(options.configure(manager)))
    return usageError("the pass manager's options do not fit together");
  build(manager);
  if (failed(manager.run(module)))
    return failedStage(stage);
  return {};
}

/// The kernel graph as loops over vectors for a target.
Status lowerToKernels(ModuleOp module, const CompileOptions &options, const Target &target) {
  KernelsPipelineOptions pipeline;
  pipeline.mostTokens = target.mostTokens;
  return runPipeline(module, options, "kernels",
                     [&](OpPassManager &manager) { buildKernelsPipeline(manager, pipeline); });
}

/// The loops over vectors in the LLVM dialect of a target.
Status lowerToMachine(ModuleOp module, const CompileOptions &options, const Target &target) {
  TargetPipelineOptions pipeline;
  pipeline.vectors = target.vectors;
  pipeline.expandHalf = target.expandHalf;
  pipeline.expandFma = target.expandFma;
  return runPipeline(module, options, "machine",
                     [&](OpPassManager &manager) { buildMachinePipeline(manager, pipeline); });
}

/// Parameters that code reads, in the order of their offsets.
SmallVector<transformer::ParameterOp> placedParameters(ModuleOp module) {
  SmallVector<transformer::ParameterOp> parameters;
  for (auto parameter : module.getOps<transformer::ParameterOp>())
    if (parameter->hasAttr("kernel.offset"))
      parameters.push_back(parameter);
  llvm::sort(parameters, [](transformer::ParameterOp a, transformer::ParameterOp b) {
    return a->getAttrOfType<IntegerAttr>("kernel.offset").getInt() <
           b->getAttrOfType<IntegerAttr>("kernel.offset").getInt();
  });
  return parameters;
}

int64_t bytesOf(transformer::ParameterOp parameter) {
  auto type = cast<RankedTensorType>(parameter.getType());
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

Manifest::Dispatch describeDispatch(kernel::DispatchOp dispatch) {
  Manifest::Dispatch description{dispatch.getKernel().str(), dispatch.getOverRows(), 0, 0};
  for (Operation &op : dispatch.getBody().front())
    if (auto matmul = dyn_cast<lowbit::MatmulOp>(op)) {
      auto weight = cast<RankedTensorType>(matmul.getWeight().getType());
      int64_t inputs = cast<RankedTensorType>(matmul.getPayload().getType()).getDimSize(1);
      int64_t outputs = cast<RankedTensorType>(matmul.getResult().getType()).getDimSize(1);
      description.weightBytes += weight.getNumElements() * weight.getElementTypeBitWidth() / 8;
      description.operations += 2 * inputs * outputs;
    }
  return description;
}

/// The dispatches of a forward in the order in which lower-dispatches puts barriers between them.
std::vector<Manifest::Steps> describeSchedule(ModuleOp graph, func::FuncOp forward) {
  std::vector<Manifest::Steps> schedule;
  bool open = false; // whether the last group takes further dispatches that run once
  for (Operation &op : forward.getBody().front()) {
    if (auto dispatch = dyn_cast<kernel::DispatchOp>(op)) {
      if (!open)
        schedule.push_back({1, {}});
      open = true;
      schedule.back().dispatches.push_back(describeDispatch(dispatch));
    } else if (auto repeat = dyn_cast<kernel::RepeatOp>(op)) {
      open = false;
      Manifest::Steps layers{static_cast<int64_t>(repeat.getTable().size()), {}};
      auto callee = graph.lookupSymbol<func::FuncOp>(repeat.getCalleeAttr());
      for (auto dispatch : callee.getBody().front().getOps<kernel::DispatchOp>())
        layers.dispatches.push_back(describeDispatch(dispatch));
      schedule.push_back(std::move(layers));
    }
  }
  return schedule;
}

/// What the runtime must know, read off the planned module.
Result<Manifest> describeModel(ModuleOp graph, ModuleOp kernels, const CompileOptions &options) {
  auto forward = graph.lookupSymbol<func::FuncOp>("forward");
  auto cache = dyn_cast<transformer::CacheType>(forward.getArgumentTypes().back());
  auto logits = dyn_cast<RankedTensorType>(forward.getResultTypes().front());
  if (!cache || !logits)
    return badInput("expected @forward to take a cache last and to return logits first");
  Manifest manifest;
  auto model = graph->getAttrOfType<DictionaryAttr>("transformer.model");
  auto text = [&](StringRef key) {
    auto value = model ? model.getAs<StringAttr>(key) : StringAttr();
    return value ? value.str() : std::string();
  };
  auto number = [&](StringRef key) {
    auto value = model ? model.getAs<IntegerAttr>(key) : IntegerAttr();
    return value ? value.getInt() : 0;
  };
  manifest.model.name = text("name");
  if (manifest.model.name.empty() && graph.getSymName())
    manifest.model.name = graph.getSymName()->str();
  manifest.model.architecture = text("architecture");
  manifest.model.vocabulary = logits.getDimSize(1);
  manifest.model.layers = cache.getLayers();
  manifest.model.context = number("context");
  if (forward.getNumResults() == 3)
    manifest.model.hidden = cast<RankedTensorType>(forward.getResultTypes()[2]).getDimSize(1);
  manifest.cache.blockTokens = emit::kBlockTokens;
  manifest.cache.blockBytes = cache.getLayers() * cache.getHeads() * 2 * emit::kBlockTokens * cache.getDim() *
                              cache.getElementType().getIntOrFloatBitWidth() / 8;
  manifest.cache.format = cache.getElementType().isF32() ? "f32" : "f16";
  auto arena = graph->getAttrOfType<DenseI64ArrayAttr>("kernel.arena");
  manifest.arena = {arena[0], arena[1], arena[2]};
  manifest.counters = kernels->getAttrOfType<IntegerAttr>("kernel.counters").getInt();
  manifest.schedule = describeSchedule(graph, forward);
  for (const Target &target : options.targets)
    manifest.targets.push_back({target.name, target.architecture, target.features, ""});
  manifest.provenance = options.provenance;
  return manifest;
}

Status writeWeights(ModuleOp graph, const std::string &directory, const CompileOptions &options,
                    ArtifactWriter &writer) {
  Result<std::unique_ptr<ParameterEvaluator>> evaluator = ParameterEvaluator::open(graph, directory);
  if (!evaluator)
    return evaluator.takeError();
  int64_t done = 0, total = graph->getAttrOfType<IntegerAttr>("kernel.weights_bytes").getInt();
  for (transformer::ParameterOp parameter : placedParameters(graph)) {
    Result<HostTensor> value = (*evaluator)->evaluate(parameter);
    if (!value)
      return value.takeError();
    if (static_cast<int64_t>(value->bytes.size()) != bytesOf(parameter))
      return Error{
          ErrorClass::Bug, "a parameter's value has another size than its type", parameter.getSymName().str(), {}, {}};
    if (Status status = writer.append(value->bytes); !status)
      return status;
    (*evaluator)->drop(parameter);
    done += value->bytes.size();
    if (options.progress)
      options.progress(done, total);
  }
  return {};
}

} // namespace

Status qopt::compileModel(ModuleOp module, const std::string &directory, const CompileOptions &options,
                          const std::string &output) {
  if (Status status = runPipeline(module, options, "kernel graph", buildKernelGraphPipeline); !status)
    return status;
  ArtifactDescription description;
  OwningOpRef<ModuleOp> kernels;
  for (const Target &target : options.targets) {
    kernels = module.clone();
    if (Status status = lowerToKernels(*kernels, options, target); !status)
      return status;
    OwningOpRef<ModuleOp> machine = kernels->clone();
    if (Status status = lowerToMachine(*machine, options, target); !status)
      return status;
    Result<std::string> object = generateCode(*machine, target, CodeForm::Object);
    if (!object)
      return object.takeError();
    Result<std::vector<std::byte>> shared = linkShared(*object);
    if (!shared)
      return shared.takeError();
    description.code.push_back(std::move(*shared));
  }

  Result<Manifest> manifest = describeModel(module, *kernels, options);
  if (!manifest)
    return manifest.takeError();
  description.manifest = std::move(*manifest);
  description.ledger = options.ledger;
  description.generation = options.generation;
  description.tokenizer = options.tokenizer;
  for (transformer::ParameterOp parameter : placedParameters(module))
    description.weights.push_back({parameter.getSymName().str(), static_cast<uint64_t>(bytesOf(parameter))});
  Result<std::vector<uint64_t>> offsets = artifactWeightOffsets(description.weights);
  if (!offsets)
    return offsets.takeError();
  for (auto [offset, parameter] : llvm::zip(*offsets, placedParameters(module)))
    if (static_cast<int64_t>(offset) != parameter->getAttrOfType<IntegerAttr>("kernel.offset").getInt())
      return Error{ErrorClass::Bug,
                   "the artifact places a parameter elsewhere than the code expects",
                   parameter.getSymName().str(),
                   {},
                   {}};

  Result<std::unique_ptr<ArtifactWriter>> writer = ArtifactWriter::create(output, description);
  if (!writer)
    return writer.takeError();
  if (Status status = writeWeights(module, directory, options, **writer); !status)
    return status;
  return (*writer)->finish();
}

Result<std::string> qopt::compileToStage(ModuleOp module, const CompileOptions &options, Emit stage) {
  if (Status status = runPipeline(module, options, "kernel graph", buildKernelGraphPipeline); !status)
    return status.takeError();
  const Target &target = options.targets.front();
  if (Status status = lowerToKernels(module, options, target); !status)
    return status.takeError();
  if (stage == Emit::Mlir) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream);
    return text;
  }
  if (Status status = lowerToMachine(module, options, target); !status)
    return status.takeError();
  if (stage == Emit::Llvm)
    return generateCode(module, target, CodeForm::LlvmIr);
  if (stage == Emit::Assembly)
    return generateCode(module, target, CodeForm::Assembly);
  Result<std::string> object = generateCode(module, target, CodeForm::Object);
  if (!object || stage == Emit::Object)
    return object;
  Result<std::vector<std::byte>> shared = linkShared(*object);
  if (!shared)
    return shared.takeError();
  return std::string(reinterpret_cast<const char *>(shared->data()), shared->size());
}
