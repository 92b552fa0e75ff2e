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

/// An artifact, opened, verified, its code loaded; or the same as compiled in this process. Immutable; any number of
/// contexts and threads share it.
class Model {
public:
  /// Opens and checks the file, chooses a target, places and checks the weights, and only then loads the code: nothing
  /// of the file runs before everything was checked. Bad input, resource or usage error.
  static Result<std::shared_ptr<const Model>> open(const std::string &path, const ModelOptions &options = {});

  /// A model that was compiled in this process for this processor and has no file: `weights` is its data section.
  /// Bad input: the code does not define the manifest's entry.
  static Result<std::shared_ptr<const Model>> assemble(Manifest manifest, std::shared_ptr<const CodeObject> code,
                                                       Pages weights);

  const Manifest &manifest() const { return artifact ? artifact->manifest() : contents; }
  const ArtifactTarget &target() const { return manifest().targets[targetIndex]; }
  /// For a model that open() made.
  const ArtifactReader &file() const { return *artifact; }
  std::string_view tokenizer() const { return artifact->tokenizer(); }

  /// The data section: parameter offsets count from here; 64-byte aligned.
  const std::byte *weights() const { return artifact ? weightMemory.data() : ownWeights.data(); }
  /// Where Auto ended: Mapped or HugePages.
  WeightPlacement weightPlacement() const { return weightMemory.placement(); }
  QoptForwardFn entry() const { return forward; }

private:
  Model() = default;

  std::shared_ptr<const ArtifactReader> artifact; ///< null: assembled
  size_t targetIndex = 0;
  Weights weightMemory; ///< of an artifact
  Manifest contents;    ///< of an assembled model, as its weights
  Pages ownWeights;
  std::shared_ptr<const CodeObject> code;
  QoptForwardFn forward = nullptr;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_MODEL_H
