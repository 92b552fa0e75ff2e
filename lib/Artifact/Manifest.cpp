//===-- Manifest.cpp - The artifact's description of itself
//----------------------------------------------------------===//
//
// Every number here is later used as a size or a multiplier by the runtime, so each has a range that keeps all products
// within 64 bits: what passes fromJson() cannot overflow.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Artifact/Manifest.h"

#include "lib/Runtime/CompiledAbi.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace qopt {

using nlohmann::ordered_json;

namespace {

constexpr int64_t kMaxCount = INT32_MAX;           // vocabulary, positions: 32-bit ids in the ABI
constexpr int64_t kMaxBytes = int64_t(1) << 46;    // weights, cache blocks
constexpr int64_t kMaxPerToken = int64_t(1) << 30; // times INT32_MAX tokens still fits
constexpr size_t kMaxTargets = 64;
constexpr size_t kMaxStreams = 1024;
constexpr int64_t kMaxSteps = 1 << 20; // repetitions of one group; dispatches in all

/// Reads the fields of one JSON object and remembers the first thing that is wrong with it.
class FieldReader {
public:
  FieldReader(const ordered_json &object, std::string path, std::optional<Error> &failure)
      : object(object), path(std::move(path)), failure(failure) {
    if (!object.is_object())
      fail("expected an object", this->path);
  }

  const ordered_json *get(const char *key) {
    known.emplace_back(key);
    auto found = object.is_object() ? object.find(key) : object.end();
    if (found == object.end()) {
      fail("missing key", place(key));
      return nullptr;
    }
    return &*found;
  }

  int64_t integer(const char *key, int64_t low, int64_t high) {
    const ordered_json *value = get(key);
    if (!value)
      return low;
    std::string range = "expected an integer from " + std::to_string(low) + " to " + std::to_string(high);
    bool fits = value->is_number_integer() &&
                !(value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX));
    if (!fits || value->get<int64_t>() < low || value->get<int64_t>() > high) {
      fail(range + ", but got " +
               escapeForMessage(value->dump(-1, ' ', true, ordered_json::error_handler_t::replace), 40),
           place(key));
      return low;
    }
    return value->get<int64_t>();
  }

  std::string text(const char *key, size_t limit = 256) {
    const ordered_json *value = get(key);
    if (!value)
      return {};
    if (!value->is_string() || value->get_ref<const std::string &>().size() > limit) {
      fail("expected a string of at most " + std::to_string(limit) + " bytes", place(key));
      return {};
    }
    return value->get<std::string>();
  }

  /// After all fields were asked for: any other key is an error.
  void finish() {
    if (!object.is_object())
      return;
    for (const auto &[key, value] : object.items())
      if (std::find(known.begin(), known.end(), key) == known.end())
        fail("unknown key \"" + escapeForMessage(key, 60) + "\"", path);
  }

  void fail(std::string rule, const std::string &where) {
    if (!failure)
      failure = badInput(std::move(rule), "qopt.manifest" + (where.empty() ? "" : ": " + where));
  }
  std::string place(const char *key) const { return path.empty() ? key : path + "." + key; }

private:
  const ordered_json &object;
  std::string path;
  std::optional<Error> &failure;
  std::vector<std::string> known;
};

} // namespace

/// A C identifier: it is handed to dlsym.
static bool isSymbol(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

static ordered_json toJson(const std::vector<Manifest::Steps> &schedule) {
  ordered_json list = ordered_json::array();
  for (const Manifest::Steps &steps : schedule) {
    ordered_json dispatches = ordered_json::array();
    for (const Manifest::Dispatch &dispatch : steps.dispatches)
      dispatches.push_back({{"kernel", dispatch.kernel},
                            {"over", dispatch.overRows ? "rows" : "tokens"},
                            {"weight_bytes", dispatch.weightBytes},
                            {"operations", dispatch.operations}});
    list.push_back({{"times", steps.times}, {"dispatches", std::move(dispatches)}});
  }
  return list;
}

ordered_json Manifest::toJson() const {
  ordered_json list = ordered_json::array();
  for (const ArtifactTarget &target : targets)
    list.push_back({{"name", target.name},
                    {"architecture", target.architecture},
                    {"features", target.features},
                    {"tensor", target.tensor}});
  ordered_json json;
  json["format_version"] = kArtifactFormatVersion;
  json["abi_version"] = QOPT_COMPILED_ABI;
  json["model"] = {{"name", model.name},
                   {"architecture", model.architecture},
                   {"vocabulary", model.vocabulary},
                   {"hidden", model.hidden},
                   {"layers", model.layers},
                   {"context", model.context}};
  json["cache"] = {{"block_tokens", cache.blockTokens}, {"block_bytes", cache.blockBytes}, {"format", cache.format}};
  json["arena"] = {{"constant", arena.constant}, {"per_token", arena.perToken}, {"per_row", arena.perRow}};
  auto streamsToJson = [](const std::vector<Stream> &streams) {
    ordered_json array = ordered_json::array();
    for (const Stream &stream : streams)
      array.push_back({{"name", stream.name}, {"channels", stream.channels}});
    return array;
  };
  json["inputs"] = streamsToJson(inputs);
  json["outputs"] = streamsToJson(outputs);
  json["counters"] = counters;
  json["schedule"] = ::qopt::toJson(schedule);
  json["entry"] = entry;
  json["weights"] = {{"bytes", weightBytes}};
  json["targets"] = std::move(list);
  json["provenance"] = provenance;
  return json;
}

static std::vector<Manifest::Stream> readStreams(FieldReader &top, const char *key, std::optional<Error> &failure) {
  std::vector<Manifest::Stream> streams;
  const ordered_json *list = top.get(key);
  if (!list)
    return streams;
  if (!list->is_array() || list->size() > kMaxStreams) {
    top.fail("expected a list of at most " + std::to_string(kMaxStreams) + " tensors", key);
    return streams;
  }
  for (const ordered_json &json : *list) {
    FieldReader fields(json, std::string(key) + "[" + std::to_string(streams.size()) + "]", failure);
    Manifest::Stream stream;
    stream.name = fields.text("name", 4096);
    stream.channels = fields.integer("channels", 1, kMaxPerToken);
    fields.finish();
    streams.push_back(std::move(stream));
  }
  return streams;
}

static ArtifactTarget readTarget(const ordered_json &json, size_t index, std::optional<Error> &failure) {
  std::string path = "targets[" + std::to_string(index) + "]";
  FieldReader fields(json, path, failure);
  ArtifactTarget target;
  target.name = fields.text("name");
  target.architecture = fields.text("architecture");
  if (const ordered_json *features = fields.get("features")) {
    if (!features->is_array() || features->size() > 64)
      fields.fail("expected a list of at most 64 features", fields.place("features"));
    else
      for (const ordered_json &feature : *features) {
        if (!feature.is_string()) {
          fields.fail("expected a list of names", fields.place("features"));
          break;
        }
        target.features.push_back(feature.get<std::string>());
      }
  }
  target.tensor = fields.text("tensor");
  if (target.tensor != "code." + std::to_string(index))
    fields.fail("expected \"code." + std::to_string(index) + "\", but got \"" + escapeForMessage(target.tensor, 60) +
                    "\"",
                fields.place("tensor"));
  fields.finish();
  return target;
}

static Manifest::Dispatch readDispatch(const ordered_json &json, const std::string &path,
                                       std::optional<Error> &failure) {
  FieldReader fields(json, path, failure);
  Manifest::Dispatch dispatch;
  dispatch.kernel = fields.text("kernel");
  std::string over = fields.text("over");
  if (over != "tokens" && over != "rows")
    fields.fail("expected \"tokens\" or \"rows\", but got \"" + escapeForMessage(over, 60) + "\"",
                fields.place("over"));
  dispatch.overRows = over == "rows";
  dispatch.weightBytes = fields.integer("weight_bytes", 0, kMaxBytes);
  dispatch.operations = fields.integer("operations", 0, kMaxBytes);
  fields.finish();
  return dispatch;
}

static std::vector<Manifest::Steps> readSchedule(const ordered_json &list, FieldReader &top,
                                                 std::optional<Error> &failure) {
  std::vector<Manifest::Steps> schedule;
  if (!list.is_array())
    top.fail("expected a list", "schedule");
  int64_t total = 0;
  for (size_t i = 0; list.is_array() && i < list.size() && !failure; ++i) {
    std::string path = "schedule[" + std::to_string(i) + "]";
    FieldReader fields(list[i], path, failure);
    Manifest::Steps steps;
    steps.times = fields.integer("times", 1, kMaxSteps);
    const ordered_json *dispatches = fields.get("dispatches");
    if (dispatches && !dispatches->is_array())
      fields.fail("expected a list", fields.place("dispatches"));
    for (size_t j = 0; dispatches && dispatches->is_array() && j < dispatches->size() && !failure; ++j)
      steps.dispatches.push_back(
          readDispatch((*dispatches)[j], path + ".dispatches[" + std::to_string(j) + "]", failure));
    fields.finish();
    total += steps.times * static_cast<int64_t>(std::min<size_t>(steps.dispatches.size(), kMaxSteps));
    if (total > kMaxSteps)
      fields.fail("expected at most " + std::to_string(kMaxSteps) + " dispatches in all", path);
    schedule.push_back(std::move(steps));
  }
  return schedule;
}

Result<Manifest> Manifest::fromJson(const ordered_json &json) {
  std::optional<Error> failure;
  Manifest manifest;
  FieldReader top(json, "", failure);
  // The versions first: of another version nothing else can be said.
  int64_t format = top.integer("format_version", 1, INT32_MAX), abi = top.integer("abi_version", 1, INT32_MAX);
  if (failure)
    return std::move(*failure);
  if (format != kArtifactFormatVersion || abi != QOPT_COMPILED_ABI)
    return badInput("expected format version " + std::to_string(kArtifactFormatVersion) + " and ABI version " +
                        std::to_string(QOPT_COMPILED_ABI) + ", but got " + std::to_string(format) + " and " +
                        std::to_string(abi),
                    "qopt.manifest")
        .withNext("compile the model again with this version of qopt, or use the version that it was compiled with");

  static const ordered_json none;
  auto object = [&](const char *key) -> const ordered_json & {
    const ordered_json *value = top.get(key);
    return value ? *value : none;
  };
  FieldReader model(object("model"), "model", failure);
  manifest.model.name = model.text("name", 4096);
  manifest.model.architecture = model.text("architecture");
  manifest.model.vocabulary = model.integer("vocabulary", 1, kMaxCount);
  manifest.model.hidden = model.integer("hidden", 0, kMaxPerToken);
  manifest.model.layers = model.integer("layers", 0, 1 << 20);
  manifest.model.context = model.integer("context", 1, kMaxCount);
  model.finish();

  FieldReader cache(object("cache"), "cache", failure);
  manifest.cache.blockTokens = cache.integer("block_tokens", 1, 1 << 16);
  manifest.cache.blockBytes = cache.integer("block_bytes", 64, kMaxPerToken * 64);
  manifest.cache.format = cache.text("format");
  if (manifest.cache.blockBytes % 64 != 0)
    cache.fail("expected a multiple of 64, but got " + std::to_string(manifest.cache.blockBytes), "cache.block_bytes");
  cache.finish();

  FieldReader arena(object("arena"), "arena", failure);
  manifest.arena.constant = arena.integer("constant", 0, kMaxBytes);
  manifest.arena.perToken = arena.integer("per_token", 0, kMaxPerToken);
  manifest.arena.perRow = arena.integer("per_row", 0, kMaxPerToken);
  arena.finish();

  manifest.inputs = readStreams(top, "inputs", failure);
  manifest.outputs = readStreams(top, "outputs", failure);
  manifest.counters = top.integer("counters", 0, 1 << 24);
  if (const ordered_json *schedule = top.get("schedule"))
    manifest.schedule = readSchedule(*schedule, top, failure);
  manifest.entry = top.text("entry");
  if (!isSymbol(manifest.entry))
    top.fail("expected the name of a C function, but got \"" + escapeForMessage(manifest.entry, 60) + "\"", "entry");
  FieldReader weights(object("weights"), "weights", failure);
  manifest.weightBytes = weights.integer("bytes", 0, kMaxBytes);
  weights.finish();

  if (const ordered_json *targets = top.get("targets")) {
    if (!targets->is_array() || targets->empty() || targets->size() > kMaxTargets)
      top.fail("expected a list of 1 to " + std::to_string(kMaxTargets) + " targets", "targets");
    else
      for (size_t i = 0; i < targets->size(); ++i)
        manifest.targets.push_back(readTarget((*targets)[i], i, failure));
  }
  if (const ordered_json *provenance = top.get("provenance")) {
    if (!provenance->is_object())
      top.fail("expected an object", "provenance");
    manifest.provenance = *provenance;
  }
  top.finish();
  if (failure)
    return std::move(*failure);
  return manifest;
}

Result<Manifest> Manifest::parse(std::string_view text) {
  Result<ordered_json> json = parseJson(text, kManifestLimits);
  return json ? fromJson(*json) : json.takeError().in("qopt.manifest");
}

} // namespace qopt
