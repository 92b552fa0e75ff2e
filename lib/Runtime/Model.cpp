//===-- Model.cpp - From a file to a function
//------------------------------------------------------------------------===//
//
// The order matters: lengths and hashes first (ArtifactReader), then whether this processor can run any of the code,
// then the weights, and the code last, because loading a shared object may already run some of it.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/Model.h"

#include "lib/Runtime/ThreadPool.h"
#include "lib/Runtime/UsableCpus.h"

namespace qopt {

static std::string joined(std::span<const std::string> names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + escapeForMessage(name, 40);
  return text;
}

/// Why `cpu` cannot run `target`; empty where it can.
static std::string obstacle(const ArtifactTarget &target, const CpuFeatures &cpu) {
  if (target.architecture != cpu.architecture)
    return "is for " + escapeForMessage(target.architecture, 40);
  std::vector<std::string> missing = cpu.missing(target.features);
  return missing.empty() ? "" : "needs " + joined(missing);
}

Result<size_t> chooseTarget(std::span<const ArtifactTarget> targets, const CpuFeatures &cpu, std::string_view name) {
  std::string obstacles, names;
  bool known = false;
  for (size_t i = 0; i < targets.size(); ++i) {
    names += (i ? ", " : "") + escapeForMessage(targets[i].name, 60);
    if (!name.empty() && targets[i].name != name)
      continue;
    known = true;
    std::string why = obstacle(targets[i], cpu);
    if (why.empty())
      return i;
    obstacles += (obstacles.empty() ? "" : "; ") + escapeForMessage(targets[i].name, 60) + " " + why;
  }
  if (!known)
    return usageError("expected one of the targets " + names + ", but got \"" + escapeForMessage(name, 60) + "\"");
  Error error =
      resourceError("this processor (" + cpu.architecture + ") lacks what the model's code needs: " + obstacles);
  error.outcome = "no code of the model was run";
  error.next = "compile the model for this processor, or with --target generic";
  return error;
}

Result<std::shared_ptr<const Model>> Model::open(const std::string &path, const ModelOptions &options) {
  Result<std::shared_ptr<const ArtifactReader>> artifact = ArtifactReader::open(path);
  if (!artifact)
    return artifact.takeError();
  const ArtifactReader &file = **artifact;
  Result<size_t> target = chooseTarget(file.manifest().targets, hostCpu(), options.target);
  if (!target)
    return target.takeError().in(escapeForMessage(path, 1000));
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(options.threads == 0 ? usableCpus() : options.threads);
  if (!pool)
    return pool.takeError();
  Result<Weights> weights = Weights::place(*artifact, options.weights, options.verify, **pool);
  if (!weights)
    return weights.takeError();
  const ArtifactTarget &chosen = file.manifest().targets[*target];
  Result<CodeObject> code = CodeObject::load(file.code(*target));
  if (!code)
    return code.takeError().in(escapeForMessage(path, 1000) + ": " + chosen.tensor);
  void *entry = code->find(file.manifest().entry);
  if (!entry)
    return badInput("expected the code to define " + file.manifest().entry,
                    escapeForMessage(path, 1000) + ": " + chosen.tensor);
  std::shared_ptr<Model> model(new Model);
  model->artifact = std::move(*artifact);
  model->targetIndex = *target;
  model->weightMemory = std::move(*weights);
  model->code = std::make_shared<CodeObject>(std::move(*code));
  model->forward = reinterpret_cast<QoptForwardFn>(entry);
  return std::shared_ptr<const Model>(std::move(model));
}

Result<std::shared_ptr<const Model>> Model::assemble(Manifest manifest, std::shared_ptr<const CodeObject> code,
                                                     Pages weights) {
  void *entry = code->find(manifest.entry);
  if (!entry)
    return badInput("expected the code to define " + manifest.entry);
  std::shared_ptr<Model> model(new Model);
  model->contents = std::move(manifest);
  model->ownWeights = std::move(weights);
  model->code = std::move(code);
  model->forward = reinterpret_cast<QoptForwardFn>(entry);
  return std::shared_ptr<const Model>(std::move(model));
}

} // namespace qopt
