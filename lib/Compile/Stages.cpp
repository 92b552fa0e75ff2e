// Pipelines, code for a target, and the manifest.
#include "lib/Compile/Stages.h"

#include "dialects/Transformer/Entry.h"
#include "lib/Codegen/Codegen.h"
#include "passes/Lower/Emit/KernelBuilder.h"
#include "passes/Pipelines/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;

static Error failedStage(StringRef stage) {
  return badInput("the model did not pass the stage \"" + stage.str() + "\"; the diagnostics above say why");
}

static Status runPipeline(ModuleOp module, const CompileOptions &options, StringRef stage,
                          function_ref<void(OpPassManager &)> build) {
  PassManager manager(module.getContext());
  if (options.configure && failed(options.configure(manager)))
    return usageError("the pass manager's options do not fit together");
  build(manager);
  if (failed(manager.run(module)))
    return failedStage(stage);
  return {};
}

Status qopt::lowerToKernelGraph(ModuleOp module, const CompileOptions &options) {
  return runPipeline(module, options, "kernel graph", buildKernelGraphPipeline);
}

Status qopt::lowerToKernels(ModuleOp module, const CompileOptions &options, const Target &target) {
  KernelsPipelineOptions pipeline;
  pipeline.mostTokens = target.mostTokens;
  pipeline.bf16Tiles = target.bf16Tiles;
  return runPipeline(module, options, "kernels",
                     [&](OpPassManager &manager) { buildKernelsPipeline(manager, pipeline); });
}

Status qopt::lowerToMachine(ModuleOp module, const CompileOptions &options, const Target &target) {
  TargetPipelineOptions pipeline;
  pipeline.vectors = target.vectors;
  pipeline.expandHalf = target.expandHalf;
  pipeline.expandFma = target.expandFma;
  return runPipeline(module, options, "machine",
                     [&](OpPassManager &manager) { buildMachinePipeline(manager, pipeline); });
}

Result<CompiledCode> qopt::generateShared(ModuleOp graph, const CompileOptions &options, const Target &target) {
  OwningOpRef<ModuleOp> module = graph.clone();
  if (Status status = lowerToKernels(*module, options, target); !status)
    return status.takeError();
  CompiledCode code;
  code.counters = (*module)->getAttrOfType<IntegerAttr>("kernel.counters").getInt();
  if (Status status = lowerToMachine(*module, options, target); !status)
    return status.takeError();
  Result<std::string> object = generateCode(*module, target, CodeForm::Object);
  if (!object)
    return object.takeError();
  Result<std::vector<std::byte>> shared = linkShared(*object);
  if (!shared)
    return shared.takeError();
  code.shared = std::move(*shared);
  return code;
}

SmallVector<transformer::ParameterOp> qopt::placedParameters(ModuleOp module) {
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

int64_t qopt::bytesOf(transformer::ParameterOp parameter) {
  auto type = cast<RankedTensorType>(parameter.getType());
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

/// Tensors of @forward that are streams of a part of a model, under the names that `transformer.part` has for them.
static std::vector<Manifest::Stream> describeStreams(func::FuncOp forward, StringRef key, ArrayRef<Type> types) {
  // Names are of who made the part; without them the attribute may stand alone.
  auto part = forward->getAttrOfType<DictionaryAttr>("transformer.part");
  auto names = part ? part.getAs<ArrayAttr>(key) : ArrayAttr();
  std::vector<Manifest::Stream> streams;
  for (auto [index, type] : llvm::enumerate(types))
    if (auto tensor = dyn_cast<RankedTensorType>(type)) {
      auto name = names && index < names.size() ? dyn_cast<StringAttr>(names[index]) : StringAttr();
      streams.push_back({name ? name.str() : key.str() + std::to_string(index), tensor.getDimSize(1)});
    }
  return streams;
}

static Manifest::Dispatch describeDispatch(kernel::DispatchOp dispatch) {
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
static std::vector<Manifest::Steps> describeSchedule(ModuleOp graph, func::FuncOp forward) {
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

Result<Manifest> qopt::describeModel(ModuleOp graph, int64_t counters, const CompileOptions &options) {
  auto forward = graph.lookupSymbol<func::FuncOp>("forward");
  // As verify-forward has found them.
  auto cache = cast<transformer::CacheType>(forward.getArgumentTypes()[transformer::Cache]);
  auto first = dyn_cast<RankedTensorType>(forward.getResultTypes().front());
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
  bool isPart = forward->hasAttr("transformer.part");
  manifest.model.vocabulary = isPart ? std::max<int64_t>(number("vocabulary"), 1) : first.getDimSize(1);
  if (isPart) {
    manifest.inputs =
        describeStreams(forward, "inputs", forward.getArgumentTypes().drop_front(transformer::kModelArguments));
    manifest.outputs = describeStreams(forward, "outputs", forward.getResultTypes());
  }
  manifest.model.layers = cache.getLayers();
  manifest.model.context = number("context");
  if (forward.getNumResults() == 3 && !isPart)
    manifest.model.hidden = cast<RankedTensorType>(forward.getResultTypes()[2]).getDimSize(1);
  manifest.cache.blockTokens = emit::kBlockTokens;
  manifest.cache.blockBytes = cache.getLayers() * cache.getHeads() * 2 * emit::kBlockTokens * cache.getDim() *
                              cache.getElementType().getIntOrFloatBitWidth() / 8;
  manifest.cache.format = cache.getElementType().isF32() ? "f32" : "f16";
  auto arena = graph->getAttrOfType<DenseI64ArrayAttr>("kernel.arena");
  manifest.arena = {arena[0], arena[1], arena[2]};
  manifest.counters = counters;
  manifest.schedule = describeSchedule(graph, forward);
  for (const Target &target : options.targets)
    manifest.targets.push_back({target.name, target.architecture, target.features, ""});
  manifest.provenance = options.provenance;
  return manifest;
}
