// Files that are not IR, and how an inspection is printed.
#include "lib/Archive/ShardedCheckpoint.h"
#include "lib/Artifact/ArtifactReader.h"
#include "lib/Parameters/Ledger.h"
#include "lib/Runtime/App/FileKind.h"
#include "lib/Runtime/App/TokenizerFile.h"
#include "tools/qopt/Inspect.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

using namespace qopt;
using Json = nlohmann::ordered_json;

/// Longer texts and arrays are told by their length.
static constexpr size_t kShownBytes = 200, kShownElements = 8;

static Json describeTensor(const TensorEntry &tensor) {
  return {{"name", tensor.name},
          {"format", std::string(info(tensor.format).name)},
          {"shape", tensor.shape},
          {"bytes", tensor.bytes}};
}

static Json describeTensors(std::span<const TensorEntry> tensors) {
  Json list = Json::array();
  for (const TensorEntry &tensor : tensors)
    if (!tensor.name.starts_with("padding."))
      list.push_back(describeTensor(tensor));
  return list;
}

static Json shortText(std::string_view text) {
  if (text.size() <= kShownBytes)
    return std::string(text);
  return "(" + std::to_string(text.size()) + " bytes)";
}

static Json describeValue(const GgufValue &value) {
  if (auto text = value.string())
    return shortText(*text);
  if (auto flag = value.boolean())
    return *flag;
  if (auto integer = value.integer())
    return *integer;
  if (auto number = value.number())
    return *number;
  if (const GgufArray *array = value.array()) {
    if (array->size() <= kShownElements) {
      if (auto integers = array->integers())
        return *integers;
      if (auto numbers = array->numbers())
        return *numbers;
    }
    return "(" + std::to_string(array->size()) + " of " + std::string(toString(array->elementType())) + ")";
  }
  return std::string(toString(value.type()));
}

static Result<Json> describeArtifact(const std::string &path) {
  Result<std::shared_ptr<const ArtifactReader>> opened = ArtifactReader::open(path);
  if (!opened)
    return opened.takeError();
  const ArtifactReader &artifact = **opened;
  Json json{{"file", path}, {"kind", "artifact"}, {"bytes", artifact.fileBytes().size()}};
  json["manifest"] = artifact.manifest().toJson();
  auto tokenizer = tokenizerFromArtifact(artifact.tokenizer(), *artifact.text("qopt.generation"));
  if (!tokenizer)
    return tokenizer.takeError().in(escapeForMessage(path, 1000));
  json["tokenizer"] = nullptr;
  if (*tokenizer) {
    const TokenizerSpec &spec = (*tokenizer)->spec;
    json["tokenizer"] = {{"tokens", spec.tokens.size()},
                         {"merges", spec.merges.size()},
                         {"added_tokens", spec.added.size()},
                         {"stops", (*tokenizer)->generation.stops},
                         {"chat_template", !spec.chatTemplate.empty()}};
  }
  json["tensors"] = describeTensors(artifact.tensors());
  Result<Json> ledger = describeLedger(*artifact.text("qopt.ledger"));
  if (!ledger)
    return ledger.takeError().in(escapeForMessage(path, 1000));
  json["ledger"] = std::move(*ledger);
  return json;
}

static Result<Json> describeArchive(const std::string &path) {
  Result<std::shared_ptr<const Archive>> opened = Archive::open(path);
  if (!opened)
    return opened.takeError();
  const Archive &archive = **opened;
  bool gguf = archive.kind() == ArchiveKind::Gguf;
  Json json{{"file", path}, {"kind", gguf ? "gguf" : "safetensors"}, {"bytes", archive.fileSize()}};
  json["header"] = archive.headerDigest();
  Json metadata = Json::object();
  // Whose [] looks through all of them; a reader has seen to it that keys differ.
  auto &pairs = metadata.get_ref<Json::object_t &>();
  for (const GgufMetadata::Pair &pair : archive.ggufMetadata().pairs())
    pairs.emplace_back(std::string(pair.key), describeValue(pair.value));
  for (const auto &[key, value] : archive.metadata())
    pairs.emplace_back(key, shortText(value));
  json["metadata"] = std::move(metadata);
  json["tensors"] = describeTensors(archive.tensors());
  Result<Json> ledger = describeLedger(archive.metadata(ledgerKey).value_or(""));
  if (!ledger)
    return ledger.takeError().in(escapeForMessage(path, 1000));
  json["ledger"] = std::move(*ledger);
  return json;
}

static Result<Json> describeDirectory(const std::string &path) {
  Result<ShardedCheckpoint> checkpoint = ShardedCheckpoint::open(path);
  if (!checkpoint)
    return checkpoint.takeError();
  uint64_t bytes = 0;
  Json files = Json::array(), tensors = Json::array();
  for (const auto &archive : checkpoint->archives()) {
    bytes += archive->fileSize();
    files.push_back({{"path", archive->path()}, {"bytes", archive->fileSize()}, {"header", archive->headerDigest()}});
  }
  for (const ShardedCheckpoint::Tensor &tensor : checkpoint->tensors())
    tensors.push_back(describeTensor(*tensor.entry));
  return Json{{"file", path},      {"kind", "directory"}, {"bytes", bytes},
              {"archives", files}, {"tensors", tensors},  {"ledger", nullptr}};
}

Result<Json> qopt::inspectFile(const std::string &path) {
  Result<FileKind> kind = classifyFile(path);
  if (!kind)
    return kind.takeError();
  if (*kind == FileKind::Artifact)
    return describeArtifact(path);
  if (*kind == FileKind::Directory)
    return describeDirectory(path);
  return describeArchive(path);
}

Result<Json> qopt::describeLedger(std::string_view text) {
  if (text.empty() || text == "{}")
    return Json(nullptr);
  Result<Ledger> ledger = Ledger::parse(text);
  if (!ledger)
    return ledger.takeError();
  std::sort(ledger->rows.begin(), ledger->rows.end(), [](const LedgerRow &a, const LedgerRow &b) {
    return a.relativeError != b.relativeError ? a.relativeError > b.relativeError : a.name < b.name;
  });
  struct Sum {
    int64_t parameters = 0, elements = 0, bytes = 0;
    void add(const LedgerRow &row) {
      ++parameters;
      elements += row.elements;
      bytes += row.bytes;
    }
    Json toJson() const {
      return {
          {"parameters", parameters},
          {"elements", elements},
          {"bytes", bytes},
          {"bits_per_weight", elements == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(elements)}};
    }
  } sums[3], all;
  Json rows = Json::array();
  for (const LedgerRow &row : ledger->rows) {
    sums[static_cast<int>(row.status)].add(row);
    all.add(row);
    rows.push_back({{"name", row.name},
                    {"status", std::string(toString(row.status))},
                    {"rule", row.rule},
                    {"scheme", row.scheme},
                    {"algorithm", row.algorithm},
                    {"elements", row.elements},
                    {"bytes", row.bytes},
                    {"bits_per_weight", row.bitsPerWeight},
                    {"relative_mse", row.relativeError},
                    {"worst_error", row.worstError},
                    {"output_error", row.outputError},
                    {"damping", row.damping},
                    {"tokens", row.tokens},
                    {"silent_inputs", row.silentInputs},
                    {"scaled_by", row.scaledBy}});
  }
  Json json;
  json["total"] = all.toJson();
  for (LedgerStatus status : {LedgerStatus::Quantized, LedgerStatus::Kept, LedgerStatus::Waived})
    json[std::string(toString(status))] = sums[static_cast<int>(status)].toJson();
  json["cancelled_scales"] = Json::array();
  for (const CancelledScale &scale : ledger->cancelled)
    json["cancelled_scales"].push_back({{"name", scale.name}, {"reason", scale.reason}});
  json["rows"] = std::move(rows);
  return json;
}

namespace {
/// Text with printf.
struct Page {
  std::string text;
  [[gnu::format(printf, 2, 3)]] void print(const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    text += line;
  }
};
} // namespace

/// Text of a file, safe for a terminal.
static std::string shown(const Json &value) {
  return escapeForMessage(
      value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace), 300);
}

static void printLedger(Page &page, const Json &ledger) {
  page.print("%-52s %-9s %-16s %12s %12s %6s %10s %8s %10s %s\n", "parameter", "status", "scheme", "elements", "bytes",
             "bits", "rel. MSE", "worst", "output", "algorithm");
  for (const Json &row : ledger["rows"])
    page.print("%-52s %-9s %-16s %12lld %12lld %6.2f %10.3g %8.3g %10.3g %s\n", shown(row["name"]).c_str(),
               row["status"].get<std::string>().c_str(), shown(row["scheme"]).c_str(), row["elements"].get<long long>(),
               row["bytes"].get<long long>(), row["bits_per_weight"].get<double>(), row["relative_mse"].get<double>(),
               row["worst_error"].get<double>(), row["output_error"].get<double>(), shown(row["algorithm"]).c_str());
  for (const Json &scale : ledger["cancelled_scales"])
    page.print("cancelled: scale by @%s: %s\n", shown(scale["name"]).c_str(), shown(scale["reason"]).c_str());
  for (const char *status : {"quantized", "kept", "waived", "total"}) {
    const Json &sum = ledger[status];
    char name[64];
    std::snprintf(name, sizeof name, "%s: %lld parameters", status, sum["parameters"].get<long long>());
    page.print("%-52s %-9s %-16s %12lld %12lld %6.2f\n", name, "", "", sum["elements"].get<long long>(),
               sum["bytes"].get<long long>(), sum["bits_per_weight"].get<double>());
  }
}

static void printMembers(Page &page, const Json &object, const std::string &indent) {
  for (const auto &[key, value] : object.items()) {
    if (value.is_object() && !value.empty()) {
      page.print("%s%s:\n", indent.c_str(), escapeForMessage(key, 100).c_str());
      printMembers(page, value, indent + "  ");
    } else {
      page.print("%s%s: %s\n", indent.c_str(), escapeForMessage(key, 100).c_str(), shown(value).c_str());
    }
  }
}

std::string qopt::inspectionText(const Json &json, bool ledger) {
  Page page;
  if (ledger) {
    printLedger(page, json["ledger"]);
    return page.text;
  }
  for (const auto &[key, value] : json.items()) {
    if (key == "ledger") {
      if (!value.is_null())
        page.print("ledger: %s (--ledger prints the rows)\n", shown(value["total"]).c_str());
    } else if (key == "tensors") {
      page.print("tensors: %zu\n", value.size());
      for (const Json &tensor : value)
        page.print("  %-60s %-5s %-18s %12lld bytes\n", shown(tensor["name"]).c_str(), shown(tensor["format"]).c_str(),
                   shown(tensor["shape"]).c_str(), tensor["bytes"].get<long long>());
    } else if (key == "parameters") {
      page.print("parameters: %zu\n", value.size());
      for (const Json &parameter : value)
        page.print("  %-60s %-28s %s\n", shown(parameter["name"]).c_str(), shown(parameter["type"]).c_str(),
                   shown(parameter["source"]).c_str());
    } else if (value.is_object()) {
      page.print("%s:\n", key.c_str());
      printMembers(page, value, "  ");
    } else {
      page.print("%s: %s\n", key.c_str(), shown(value).c_str());
    }
  }
  return page.text;
}
