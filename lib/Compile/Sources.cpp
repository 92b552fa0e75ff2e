#include "lib/Compile/Sources.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/Archive.h"
#include "lib/Archive/Json.h"
#include "lib/Artifact/Manifest.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/ImportedTokenizer.h"
#include "lib/Parameters/Ledger.h"
#include "lib/Parameters/OverlayWriter.h"

#include "llvm/Config/llvm-config.h"

#include <filesystem>
#include <set>

using namespace mlir;
using namespace qopt;
using Json = nlohmann::ordered_json;

static Status describeTokenizer(ModuleOp module, const std::string &directory, CompileOptions &options) {
  for (auto op : module.getOps<transformer::TokenizerOp>()) {
    Result<LoadedTokenizer> loaded = loadImportedTokenizer(op, directory);
    if (!loaded)
      return loaded.takeError();
    options.tokenizer = loaded->spec.toJson();
    options.generation = loaded->generation.toJson();
    options.provenance["tokenizer"] = op.getDigest().str();
    // What a run would refuse is refused now, while its source is at hand.
    if (auto readBack = tokenizerFromArtifact(options.tokenizer, options.generation); !readBack)
      return readBack.takeError()
          .in(escapeForMessage(resolvePath(op.getPath(), directory), 1000))
          .withNext("put right what the tokenizer's files say, and import the model again");
  }
  return {};
}

/// How an overlay was made, which must fit into a manifest.
static Result<Json> parseProvenance(std::string_view text, const std::string &path) {
  JsonLimits limits = kManifestLimits;
  limits.maxDepth -= kLevelsAroundOverlays;
  Result<Json> how = parseJson(text, limits);
  if (how)
    return how;
  return how.takeError()
      .in(escapeForMessage(path, 1000) + ": " + std::string(provenanceKey))
      .withNext("quantize the model again: no overlay of ours says this");
}

/// The schemes that a ledger's rows were quantized by, each once.
static Json schemesOf(const Ledger &ledger) {
  std::set<std::string> schemes;
  for (const LedgerRow &row : ledger.rows)
    if (row.status == LedgerStatus::Quantized)
      schemes.insert(row.scheme);
  return Json(schemes);
}

Status qopt::describeSources(ModuleOp module, const std::string &directory, CompileOptions &options) {
  Json archives = Json::array();
  options.provenance = Json::object();
  options.provenance["qopt"] = QOPT_VERSION;
  options.provenance["llvm"] = LLVM_VERSION_STRING;
  options.provenance["schemes"] = Json::array();
  for (auto op : module.getOps<transformer::ArchiveOp>()) {
    std::string path = resolvePath(op.getPath(), directory);
    Result<std::shared_ptr<const Archive>> archive = Archive::open(path);
    if (!archive)
      return archive.takeError();
    std::optional<std::string_view> ledger = (*archive)->metadata(ledgerKey);
    // An overlay's name is an accident of how it was made; `qopt build` gives it a random one.
    archives.push_back({{"name", ledger ? "overlay" : std::filesystem::path(path).filename().string()},
                        {"bytes", (*archive)->fileSize()},
                        {"header", op.getHeaderDigest().str()}});
    if (!ledger)
      continue;
    Result<Ledger> parsed = Ledger::parse(*ledger);
    if (!parsed)
      return parsed.takeError().in(escapeForMessage(path, 1000));
    options.ledger = std::string(*ledger);
    options.provenance["schemes"] = schemesOf(*parsed);
    if (std::optional<std::string_view> made = (*archive)->metadata(provenanceKey)) {
      Result<Json> how = parseProvenance(*made, path);
      if (!how)
        return how.takeError();
      options.provenance["quantization"].push_back(std::move(*how));
    }
  }
  options.provenance["archives"] = std::move(archives);
  return describeTokenizer(module, directory, options);
}
