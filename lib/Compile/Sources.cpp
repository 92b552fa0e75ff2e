#include "lib/Compile/Sources.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/Archive.h"
#include "lib/Archive/Json.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/Ledger.h"
#include "lib/Parameters/OverlayWriter.h"
#include "lib/Runtime/App/TokenizerFile.h"

#include "llvm/Config/llvm-config.h"

#include <filesystem>
#include <set>

using namespace mlir;
using namespace qopt;
using Json = nlohmann::ordered_json;

static Status describeTokenizer(ModuleOp module, const std::string &directory, CompileOptions &options) {
  for (auto op : module.getOps<transformer::TokenizerOp>()) {
    std::string path = resolvePath(op.getPath(), directory), where = escapeForMessage(path, 1000);
    Result<std::optional<LoadedTokenizer>> loaded = loadTokenizer(path);
    if (!loaded)
      return loaded.takeError();
    std::string digest = *loaded ? tokenizerDigest((*loaded)->spec) : "none";
    if (digest != op.getDigest().str())
      return badInput("expected the tokenizer that was imported, " + op.getDigest().str() + ", but got " + digest,
                      where)
          .withNext("import the model again, or put the file back that it was imported from");
    options.tokenizer = (*loaded)->spec.toJson();
    options.generation = (*loaded)->generation.toJson();
    options.provenance["tokenizer"] = digest;
  }
  return {};
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
      Result<Json> how = parseJson(*made);
      if (!how)
        return how.takeError().in(escapeForMessage(path, 1000) + ": " + std::string(provenanceKey));
      options.provenance["quantization"].push_back(std::move(*how));
    }
  }
  options.provenance["archives"] = std::move(archives);
  return describeTokenizer(module, directory, options);
}
