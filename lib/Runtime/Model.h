#ifndef QOPT_LIB_RUNTIME_MODEL_H
#define QOPT_LIB_RUNTIME_MODEL_H

#include "lib/Artifact/ArtifactReader.h"
#include "lib/Runtime/CodeObject.h"
#include "lib/Runtime/CompiledAbi.h"
#include "lib/Runtime/CpuFeatures.h"
#include "lib/Runtime/Weights.h"
#include "lib/Support/Error.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qopt {

struct ModelOptions {
  Verify verify = Verify::Full;
  WeightPlacement weights = WeightPlacement::Auto;
  /// Name of the target whose code to run; empty: the first in the artifact that this processor can run.
  std::string target = {};
  /// Workers that read and check the weights; 0: as many as usableCpus().
  int threads = 0;
};

/// Index of the first target that `cpu` can run, or of the one named `name` where that is not empty. Usage error for an
/// unknown name; resource error that names, for each target, the features that are missing.
Result<size_t> chooseTarget(std::span<const ArtifactTarget> targets, const CpuFeatures &cpu,
                            std::string_view name = {});

/// An artifact, opened, verified, its code loaded. Immutable; any number of contexts and threads share it.
class Model {
public:
  /// Opens and checks the file, chooses a target, places and checks the weights, and only then loads the code: nothing
  /// of the file runs before everything was checked. Bad input, resource or usage error.
  static Result<std::shared_ptr<const Model>> open(const std::string &path, const ModelOptions &options = {});

  const Manifest &manifest() const { return artifact->manifest(); }
  const ArtifactTarget &target() const { return artifact->manifest().targets[targetIndex]; }
  const ArtifactReader &file() const { return *artifact; }
  std::string_view tokenizer() const { return artifact->tokenizer(); }

  /// The data section: parameter offsets count from here; 64-byte aligned.
  const std::byte *weights() const { return weightMemory.data(); }
  /// Where Auto ended: Mapped or HugePages.
  WeightPlacement weightPlacement() const { return weightMemory.placement(); }
  QoptForwardFn entry() const { return forward; }

private:
  Model(std::shared_ptr<const ArtifactReader> artifact, size_t target, Weights weights, CodeObject code,
        QoptForwardFn forward)
      : artifact(std::move(artifact)), targetIndex(target), weightMemory(std::move(weights)), code(std::move(code)),
        forward(forward) {}

  std::shared_ptr<const ArtifactReader> artifact;
  size_t targetIndex;
  Weights weightMemory;
  CodeObject code;
  QoptForwardFn forward;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_MODEL_H
