// What tells one quantization from another, so that nothing goes on from the work of a different one.
#include "lib/Algorithms/Dense.h"
#include "lib/Archive/ContentDigest.h"
#include "lib/Archive/Sha256.h"
#include "lib/Compile/Sources.h"
#include "passes/Calibrate/ModelDigest.h"
#include "tools/qopt/Steps.h"

using namespace qopt;
using Json = nlohmann::ordered_json;

/// Of what a recipe does. Gates judge what was done, so that one that failed can be changed and its work be found.
static Result<std::string> recipeDigest(const QuantizeArguments &arguments) {
  Result<Recipe> recipe = recipeOf(arguments);
  if (!recipe)
    return recipe.takeError();
  recipe->gates.clear(), recipe->saysGates = false;
  std::string text = printRecipe(*recipe);
  return toString(sha256(std::as_bytes(std::span(text))));
}

Result<std::unique_ptr<ResumeFolder>> qopt::openResumeFolder(Session &session, mlir::ModuleOp module,
                                                             const QuantizeArguments &arguments,
                                                             const std::string &directory) {
  if (arguments.resume.empty())
    return std::unique_ptr<ResumeFolder>();
  CompileOptions sources;
  if (Status status = describeSources(module, directory, sources); !status)
    return status.takeError();
  // What computes the same is told apart: what an op asks of quantization, what has been scaled.
  Result<std::string> model = moduleDigest(module, directory);
  if (!model)
    return model.takeError();
  const CalibrateArguments &calibration = arguments.calibration;
  Json identity = {{"qopt", sources.provenance["qopt"]},
                   {"llvm", sources.provenance["llvm"]},
                   {"arithmetic", dense().name},
                   {"model", *model},
                   {"tokenizer", sources.provenance.value("tokenizer", "")},
                   {"scheme", arguments.scheme},
                   {"head", arguments.head},
                   {"method", arguments.method},
                   {"scales", arguments.scales},
                   {"keep", arguments.keep},
                   {"max_fallback", arguments.maxFallback}};
  for (const std::string &plugin : session.compiler().plugins()) {
    Result<std::string> digest = contentDigest(plugin);
    if (!digest)
      return digest.takeError();
    identity["plugins"].push_back(*digest);
  }
  if (!arguments.recipe.empty()) {
    Result<std::string> digest = recipeDigest(arguments);
    if (!digest)
      return digest.takeError();
    identity["recipe"] = *digest;
  }
  if (!arguments.statistics.empty()) {
    Result<std::string> digest = contentDigest(arguments.statistics);
    if (!digest)
      return digest.takeError();
    identity["statistics"] = *digest;
  }
  Result<std::vector<TextSource>> sourcesOfText = readSources(calibration);
  if (!sourcesOfText)
    return sourcesOfText.takeError();
  Json texts = Json::array();
  for (const TextSource &source : *sourcesOfText) {
    Result<std::string> digest = contentDigest(source.path);
    if (!digest)
      return digest.takeError();
    texts.push_back({{"digest", *digest}, {"field", source.field}, {"weight", source.weight}});
  }
  if (!texts.empty()) {
    identity["texts"] = std::move(texts);
    identity["samples"] = calibration.samples.samples;
    identity["length"] = calibration.samples.length;
    identity["seed"] = calibration.samples.seed;
    identity["held_out"] = calibration.samples.heldOut;
  }
  auto folder = ResumeFolder::open(arguments.resume, identity);
  if (folder && (*folder)->found() > 0)
    std::fprintf(stderr, "resume: %lld finished pieces in %s\n", static_cast<long long>((*folder)->found()),
                 escapeForMessage(arguments.resume, 1000).c_str());
  return folder;
}
