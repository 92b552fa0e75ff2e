// Opening and looking up; the formats themselves are in SafetensorsReader.cpp and GgufReader.cpp.
#include "lib/Archive/Archive.h"

#include "lib/Archive/NearestName.h"
#include "lib/Archive/Sha256.h"

#include <algorithm>
#include <numeric>

namespace qopt {

std::string_view toString(ArchiveKind kind) { return kind == ArchiveKind::Gguf ? "GGUF" : "safetensors"; }

int64_t TensorEntry::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::string describe(const TensorEntry &entry) {
  std::string text = std::string(info(entry.format).name) + " [";
  for (size_t i = 0; i < entry.shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(entry.shape[i]);
  return text + "]";
}

/// If `start` opens a file of another well-known kind, that kind and what to do about it.
static std::optional<std::pair<const char *, const char *>> recognize(std::string_view start) {
  if (start.starts_with("version https://git-lfs"))
    return {{"a Git LFS pointer that stands for the file", "fetch the file itself with 'git lfs pull'"}};
  // A safetensors header of 640 bytes begins as a pickle does: its brace tells them apart.
  bool opensPickle =
      (start.starts_with("\x80\x02") || start.starts_with("\x80\x04")) && (start.size() <= 8 || start[8] != '{');
  if (start.starts_with("PK\x03\x04") || opensPickle)
    return {{"a pickled PyTorch checkpoint", "save the model as safetensors: pickles can run code and are not read"}};
  if (start.starts_with("FUGG"))
    return {{"a byte-swapped GGUF file (big-endian)", "convert the file to little-endian GGUF"}};
  if (start.starts_with("lmgg") || start.starts_with("tjgg") || start.starts_with("fmgg"))
    return {{"a GGML file from before GGUF", "convert the model again with a current llama.cpp"}};
  if (start.starts_with("<!") || start.starts_with("<htm") || start.starts_with("<?xml"))
    return {{"a web page", "download the file again: the server sent a page instead"}};
  return std::nullopt;
}

Result<ArchiveHeader> readArchiveHeader(std::span<const std::byte> file) {
  std::string_view start(reinterpret_cast<const char *>(file.data()), std::min<size_t>(file.size(), 32));
  if (start.starts_with("GGUF"))
    return readGguf(file);
  if (auto kind = recognize(start))
    return badInput(std::string("expected a safetensors or GGUF file, but got ") + kind->first, "byte 0")
        .withNext(kind->second);
  return readSafetensors(file);
}

Result<std::shared_ptr<const Archive>> Archive::open(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  Result<ArchiveHeader> header = readArchiveHeader(file->bytes());
  if (!header) {
    Error error = header.takeError().in(escapeForMessage(path, 1000));
    error.outcome = "nothing was read from the file";
    return std::move(error).withNext("download or convert the file again, and compare its size and SHA-256 with the "
                                     "source's");
  }
  return std::make_shared<const Archive>(std::move(*file), std::move(*header));
}

Archive::Archive(MappedFile file, ArchiveHeader header)
    : file(std::move(file)), header(std::move(header)), byName(this->header.tensors.size()) {
  std::iota(byName.begin(), byName.end(), 0u);
  std::ranges::sort(byName, {}, [&](uint32_t i) -> std::string_view { return this->header.tensors[i].name; });
}

const TensorEntry *Archive::find(std::string_view name) const {
  auto nameOf = [&](uint32_t i) -> std::string_view { return header.tensors[i].name; };
  auto at = std::ranges::lower_bound(byName, name, {}, nameOf);
  return at != byName.end() && nameOf(*at) == name ? &header.tensors[*at] : nullptr;
}

Result<const TensorEntry *> Archive::get(std::string_view name) const {
  if (const TensorEntry *entry = find(name))
    return entry;
  Error error = badInput("the file has no tensor '" + escapeForMessage(name) + "'", escapeForMessage(path(), 1000));
  NearestName nearest(name);
  for (const TensorEntry &entry : tensors())
    nearest.consider(entry.name);
  error.next = nearest.found() ? "the nearest name in it is '" + escapeForMessage(*nearest.found()) + "'"
                               : "'qopt inspect' lists its tensors";
  return error;
}

std::optional<std::string_view> Archive::metadata(std::string_view key) const {
  auto at = std::ranges::find(header.metadata, key, &std::pair<std::string, std::string>::first);
  return at != header.metadata.end() ? std::optional<std::string_view>(at->second) : std::nullopt;
}

std::string Archive::headerDigest() const { return toString(sha256(file.bytes().first(header.bytes))); }

std::string Archive::tensorDigest(const TensorEntry &entry) const { return toString(sha256(bytes(entry))); }

} // namespace qopt
