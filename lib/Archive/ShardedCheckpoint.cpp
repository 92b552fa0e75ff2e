// Opens what a user may name as a model, and holds an index and its shards to each other.
#include "lib/Archive/ShardedCheckpoint.h"

#include "lib/Archive/Json.h"
#include "lib/Archive/NearestName.h"
#include "lib/Archive/TensorRanges.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <sys/stat.h>

namespace qopt {

using Json = nlohmann::ordered_json;

static bool isDirectory(const std::string &path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

static bool exists(const std::string &path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0;
}

/// The tensor names of each shard, by the shard's file name.
using WeightMap = std::map<std::string, std::vector<std::string>, std::less<>>;

static Result<WeightMap> readIndex(std::string_view text) {
  Result<Json> json = parseJson(text, {.maxBytes = 100'000'000, .maxDepth = 8});
  if (!json)
    return json.takeError();
  if (!json->is_object() || !json->contains("weight_map") || !(*json)["weight_map"].is_object())
    return badInput("expected an object with an object 'weight_map'");
  WeightMap shards;
  for (const auto &[tensor, file] : (*json)["weight_map"].items()) {
    if (!file.is_string())
      return badInput("expected the name of a shard, but got " + std::string(file.type_name()), tensorPlace(tensor));
    const auto &name = file.get_ref<const std::string &>();
    // A path could reach any file of the machine.
    if (name.empty() || name == "." || name == ".." || name.find_first_of(std::string_view("/\0", 2)) != name.npos)
      return badInput("expected the name of a file beside the index, but got '" + escapeForMessage(name) + "'",
                      tensorPlace(tensor));
    shards[name].push_back(tensor);
  }
  if (shards.empty())
    return badInput("the weight_map is empty");
  return shards;
}

/// Checks that a shard holds exactly the tensors that the index places in it.
static Status compare(const Archive &shard, const std::vector<std::string> &expected) {
  std::string place = escapeForMessage(shard.path(), 1000);
  for (const std::string &name : expected)
    if (!shard.find(name))
      return badInput("the shard lacks a tensor that the index places in it", place + ": " + tensorPlace(name));
  if (shard.tensors().size() == expected.size())
    return {};
  std::vector<std::string_view> sorted(expected.begin(), expected.end());
  std::ranges::sort(sorted);
  for (const TensorEntry &entry : shard.tensors())
    if (!std::ranges::binary_search(sorted, std::string_view(entry.name)))
      return badInput("the shard holds a tensor that the index does not place in it",
                      place + ": " + tensorPlace(entry.name));
  return {};
}

Result<ShardedCheckpoint> ShardedCheckpoint::openIndex(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  auto explain = [](Error error) {
    error.outcome = "nothing was read from the checkpoint";
    return std::move(error).withNext("download the index and its shards again, all of one revision");
  };
  Result<WeightMap> shards =
      readIndex({reinterpret_cast<const char *>(file->bytes().data()), static_cast<size_t>(file->size())});
  if (!shards)
    return explain(shards.takeError().in(escapeForMessage(path, 1000)));
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  std::vector<std::shared_ptr<const Archive>> archives;
  for (const auto &[name, tensors] : *shards) {
    Result<std::shared_ptr<const Archive>> shard = Archive::open(folder + name);
    if (!shard)
      return shard.takeError();
    if ((*shard)->kind() != ArchiveKind::Safetensors)
      return explain(badInput("expected the shards of an index to be safetensors files, but got GGUF",
                              escapeForMessage(folder + name, 1000)));
    if (Status status = compare(**shard, tensors); !status)
      return explain(status.takeError());
    archives.push_back(std::move(*shard));
  }
  return ShardedCheckpoint(path, std::move(archives));
}

Result<ShardedCheckpoint> ShardedCheckpoint::open(const std::string &path) {
  if (isDirectory(path)) {
    std::string single = path + "/model.safetensors", index = path + "/model.safetensors.index.json";
    if (!exists(single) && exists(index))
      return openIndex(index);
    if (exists(single))
      return open(single);
    Error error = badInput("the directory holds neither model.safetensors nor model.safetensors.index.json",
                           escapeForMessage(path, 1000));
    error.outcome = "nothing was read";
    error.next = "name the directory of a Hugging Face checkpoint, or a .gguf file";
    return error;
  }
  if (path.ends_with(".index.json"))
    return openIndex(path);
  Result<std::shared_ptr<const Archive>> archive = Archive::open(path);
  if (!archive)
    return archive.takeError();
  return ShardedCheckpoint(path, {std::move(*archive)});
}

ShardedCheckpoint::ShardedCheckpoint(std::string path, std::vector<std::shared_ptr<const Archive>> archives)
    : path(std::move(path)), files(std::move(archives)) {
  for (const auto &archive : files)
    for (const TensorEntry &entry : archive->tensors())
      all.push_back({archive.get(), &entry});
  byName.resize(all.size());
  std::iota(byName.begin(), byName.end(), 0u);
  std::ranges::sort(byName, {}, [&](uint32_t i) -> std::string_view { return all[i].entry->name; });
}

std::optional<ShardedCheckpoint::Tensor> ShardedCheckpoint::find(std::string_view name) const {
  auto nameOf = [&](uint32_t i) -> std::string_view { return all[i].entry->name; };
  auto at = std::ranges::lower_bound(byName, name, {}, nameOf);
  return at != byName.end() && nameOf(*at) == name ? std::optional(all[*at]) : std::nullopt;
}

Result<ShardedCheckpoint::Tensor> ShardedCheckpoint::get(std::string_view name) const {
  if (std::optional<Tensor> tensor = find(name))
    return *tensor;
  Error error = badInput("the checkpoint has no tensor '" + escapeForMessage(name) + "'", escapeForMessage(path, 1000));
  NearestName nearest(name);
  for (const Tensor &tensor : all)
    nearest.consider(tensor.entry->name);
  error.next = nearest.found() ? "the nearest name in it is '" + escapeForMessage(*nearest.found()) + "'"
                               : "'qopt inspect' lists its tensors";
  return error;
}

} // namespace qopt
