// What tells one quantization from another, so that nothing goes on from the work of a different one.
#include "lib/Algorithms/Dense.h"
#include "lib/Archive/ContentDigest.h"
#include "lib/Archive/Sha256.h"
#include "lib/Compile/Sources.h"
#include "lib/Parameters/ArchivePaths.h"
#include "tools/qopt/Steps.h"

#include "mlir/IR/OwningOpRef.h"

using namespace qopt;
using Json = nlohmann::ordered_json;

/// The module's text without the places of its files, and all bytes of its archives. Other than modelDigest it tells
/// apart what computes the same.
static Result<std::string> moduleDigest(mlir::ModuleOp module, const std::string &directory) {
  mlir::OwningOpRef<mlir::ModuleOp> copy = module.clone();
  std::string weights;
  for (auto archive : copy->getOps<transformer::ArchiveOp>()) {
    Result<std::string> digest = contentDigest(resolvePath(archive.getPath(), directory));
    if (!digest)
      return digest.takeError();
    weights += *digest + "\n";
    archive.setPath("");
  }
  for (auto tokenizer : copy->getOps<transformer::TokenizerOp>())
    tokenizer.setPath("");
  std::string text;
  llvm::raw_string_ostream stream(text);
  copy->print(stream);
  stream << weights;
  return toString(sha256(std::as_bytes(std::span(text))));
}

/// Of what a recipe does. Gates judge what was done, so that one that failed can be changed and its work be found.
static Result<std::string> recipeDigest(const QuantizeArguments &arguments) {
  Result<Recipe> recipe = recipeOf(arguments);
  if (!recipe)
    return recipe.takeError();
  recipe->gates.clear();
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
