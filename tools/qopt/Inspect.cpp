// qopt inspect: what is in a file, whatever of ours it is.
#include "tools/qopt/Inspect.h"

#include "dialects/Transformer/Dialect.h"
#include "lib/Archive/Archive.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/Ledger.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/FileKind.h"
#include "tools/qopt/Steps.h"
#include "tools/qopt/Subcommands.h"

using namespace qopt;
using Json = nlohmann::ordered_json;

template <typename T> static std::string printed(const T &value) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  value.print(stream);
  return text;
}

/// The attributes of a dictionary as JSON: numbers and strings as such, all else as MLIR writes it.
static Json attributes(mlir::DictionaryAttr dictionary) {
  Json json = Json::object();
  if (!dictionary)
    return json;
  for (mlir::NamedAttribute attribute : dictionary) {
    std::string key = attribute.getName().str();
    if (auto text = mlir::dyn_cast<mlir::StringAttr>(attribute.getValue()))
      json[key] = text.str();
    else if (auto number = mlir::dyn_cast<mlir::IntegerAttr>(attribute.getValue()))
      json[key] = number.getInt();
    else
      json[key] = printed(attribute.getValue());
  }
  return json;
}

static Json describeParameter(transformer::ParameterOp parameter) {
  Json json{{"name", parameter.getSymName().str()}, {"type", printed(mlir::Type(parameter.getType()))}};
  if (std::optional<transformer::EntryAttr> entry = parameter.getSource())
    json["source"] = entry->getKey().str();
  else
    json["source"] = parameter.getInitializer().empty() ? "none" : "computed";
  return json;
}

/// An archive that cannot be opened is no error here: the IR is what is looked at.
static std::string ledgerOf(mlir::ModuleOp module, const std::string &directory) {
  std::string ledger;
  for (auto op : module.getOps<transformer::ArchiveOp>())
    if (Result<std::shared_ptr<const Archive>> archive = Archive::open(resolvePath(op.getPath(), directory)))
      if (auto text = (*archive)->metadata(ledgerKey))
        ledger = std::string(*text);
  return ledger;
}

static Result<Json> inspectModule(const CompilerArguments &compiler, const std::string &path) {
  Session session(compiler);
  auto module = readModule(session, path);
  if (!module)
    return module.takeError();
  Json json{{"file", path}, {"kind", "ir"}};
  json["name"] = module->get().getSymName().value_or("").str();
  json["model"] = attributes(module->get()->getAttrOfType<mlir::DictionaryAttr>("transformer.model"));
  json["tokenizer"] = nullptr;
  for (auto op : module->get().getOps<transformer::TokenizerOp>())
    json["tokenizer"] = {{"path", op.getPath().str()}, {"digest", op.getDigest().str()}};
  Json archives = Json::array(), parameters = Json::array(), operations = Json::object();
  for (auto op : module->get().getOps<transformer::ArchiveOp>())
    archives.push_back({{"symbol", op.getSymName().str()},
                        {"path", op.getPath().str()},
                        {"bytes", op.getSize()},
                        {"header", op.getHeaderDigest().str()}});
  for (auto op : module->get().getOps<transformer::ParameterOp>())
    parameters.push_back(describeParameter(op));
  std::map<std::string, int64_t> counts;
  module->get().walk([&](mlir::Operation *op) { ++counts[op->getName().getStringRef().str()]; });
  for (const auto &[name, count] : counts)
    operations[name] = count;
  json["archives"] = std::move(archives);
  json["operations"] = std::move(operations);
  json["parameters"] = std::move(parameters);
  Result<Json> ledger = describeLedger(ledgerOf(**module, directoryOf(path)));
  if (!ledger)
    return ledger.takeError();
  json["ledger"] = std::move(*ledger);
  return json;
}

static Status inspect(const CompilerArguments &compiler, const std::string &path, bool ledger, bool asJson) {
  Result<FileKind> kind = classifyFile(path);
  if (!kind)
    return kind.takeError();
  if (*kind == FileKind::Json || *kind == FileKind::Unknown)
    return badInput("expected an IR file, an archive, a GGUF file, a Hugging Face directory or an artifact, but got " +
                        std::string(describe(*kind)),
                    escapeForMessage(path, 1000))
        .withNext(*kind == FileKind::Json ? "name the directory that it lies in"
                                          : "copy or make the file again, if it was one of these");
  Result<Json> json = *kind == FileKind::Ir ? inspectModule(compiler, path) : inspectFile(path);
  if (!json)
    return json.takeError();
  if (ledger && (*json)["ledger"].is_null())
    return badInput("expected a ledger, but there is none: nothing in it was quantized by qopt",
                    escapeForMessage(path, 1000))
        .withNext("quantize the model: qopt quantize model.mlir --scheme w4a8:g64 -o q.mlir");
  if (!asJson)
    return writeStandardOutput(inspectionText(*json, ledger));
  if (!ledger && (*json)["ledger"].is_object())
    (*json)["ledger"].erase("rows");
  Json shown =
      ledger ? Json{{"file", path}, {"kind", (*json)["kind"]}, {"ledger", (*json)["ledger"]}} : std::move(*json);
  return writeStandardOutput(shown.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

int qopt::inspectMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app("Tells what is in an IR file, an archive, a GGUF file, a Hugging Face directory or an artifact.\n"
               "The file is opened with all the checks that using it would make, except for the weights' checksums.",
               "qopt inspect");
  app.footer("Example:\n  qopt inspect model.qopt --ledger");
  std::string path;
  bool ledger = false, json = false;
  app.add_option("FILE", path, "the file; - is IR on the standard input")->required();
  app.add_flag("--ledger", ledger, "what became of every parameter: worst first, summed at the end");
  app.add_flag("--json", json, "print JSON (docs/schemas/inspect.json)");
  return runCommand(app, compiler, argc, argv, "qopt inspect", "nothing was printed",
                    [&] { return inspect(compiler, path, ledger, json); });
}
