// From a model's graph to an artifact: code for each target, and the weights, one at a time.
#include "lib/Compile/Compile.h"

#include "lib/Artifact/ArtifactWriter.h"
#include "lib/Codegen/Codegen.h"
#include "lib/Compile/Stages.h"
#include "lib/Parameters/ParameterEvaluator.h"

using namespace mlir;
using namespace qopt;

static Status writeWeights(ModuleOp graph, ParameterEvaluator &evaluator, const CompileOptions &options,
                           ArtifactWriter &writer) {
  int64_t done = 0, total = graph->getAttrOfType<IntegerAttr>("kernel.weights_bytes").getInt();
  for (transformer::ParameterOp parameter : placedParameters(graph)) {
    Result<HostTensor> value = evaluator.evaluate(parameter);
    if (!value)
      return value.takeError();
    if (static_cast<int64_t>(value->bytes.size()) != bytesOf(parameter))
      return Error{
          ErrorClass::Bug, "a parameter's value has another size than its type", parameter.getSymName().str(), {}, {}};
    if (Status status = writer.append(value->bytes); !status)
      return status;
    evaluator.drop(parameter);
    done += value->bytes.size();
    if (options.progress)
      options.progress(done, total);
  }
  return {};
}

Status qopt::compileModel(ModuleOp module, const std::string &directory, const CompileOptions &options,
                          const std::string &output) {
  // Weights that are not the model's are found now, not after seconds of code generation.
  Result<std::unique_ptr<ParameterEvaluator>> sources = ParameterEvaluator::open(module, directory);
  if (!sources)
    return sources.takeError();
  if (Status status = lowerToKernelGraph(module, options); !status)
    return status;
  ArtifactDescription description;
  int64_t counters = 0;
  for (const Target &target : options.targets) {
    Result<CompiledCode> code = generateShared(module, options, target);
    if (!code)
      return code.takeError();
    description.code.push_back(std::move(code->shared));
    counters = code->counters;
  }

  Result<Manifest> manifest = describeModel(module, counters, options);
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
  if (Status status = writeWeights(module, *(*sources)->forModule(module), options, **writer); !status)
    return status;
  return (*writer)->finish();
}

Result<std::string> qopt::compileToStage(ModuleOp module, const CompileOptions &options, Emit stage) {
  if (Status status = lowerToKernelGraph(module, options); !status)
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
