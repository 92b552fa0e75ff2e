// Lays out, writes the header once, then puts each piece of data at its place; padding is what nobody wrote.
#include "lib/Archive/SafetensorsWriter.h"

#include "lib/Archive/Json.h"
#include "lib/Archive/SafetensorsFormat.h"
#include "lib/Archive/TensorRanges.h"
#include "lib/Archive/Utf8.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace qopt {

static constexpr std::string_view paddingPrefix = "padding.";

static bool isPadding(const TensorEntry &entry, const SafetensorsAlignment &alignment) {
  return alignment.tensor > 1 && entry.name.starts_with(paddingPrefix);
}

const TensorEntry *SafetensorsPlan::find(std::string_view name) const {
  auto at = std::ranges::find(tensors, name, &TensorEntry::name);
  return at != tensors.end() ? &*at : nullptr;
}

static Status checkName(std::string_view name, const SafetensorsAlignment &alignment) {
  if (name.empty() || name == safetensorsMetadataKey || !isUtf8(name) ||
      (alignment.tensor > 1 && name.starts_with(paddingPrefix)))
    return badInput("a tensor of a safetensors file cannot have the name '" + escapeForMessage(name) + "'");
  return {};
}

Result<SafetensorsPlan> planSafetensors(std::vector<TensorDeclaration> declarations, SafetensorsAlignment alignment) {
  if (!std::has_single_bit(alignment.data) || !std::has_single_bit(alignment.tensor) ||
      alignment.data < alignment.tensor)
    return Error{
        ErrorClass::Bug, "alignments that are no powers of two, or tensors aligned more than the data", {}, {}, {}};
  SafetensorsPlan plan;
  plan.alignment = alignment;
  plan.tensors.reserve(declarations.size());
  uint64_t end = 0, paddings = 0;
  for (TensorDeclaration &declared : declarations) {
    if (Status status = checkName(declared.name, alignment); !status)
      return status.takeError();
    auto fail = [&](Error error) { return std::move(error).in(tensorPlace(declared.name)); };
    if (!safetensorsName(declared.format))
      return fail(badInput("safetensors has no type for " + std::string(info(declared.format).name) +
                           " elements; it has " + safetensorsNames()));
    if (std::ranges::any_of(declared.shape, [](int64_t length) { return length < 0; }))
      return fail(badInput("a shape with a negative length"));
    Result<uint64_t> bytes = tensorBytes(declared.format, declared.shape);
    if (!bytes)
      return fail(bytes.takeError());
    if (uint64_t gap = -end & (alignment.tensor - 1)) {
      plan.tensors.push_back({std::string(paddingPrefix) + std::to_string(paddings++),
                              ElementFormat::U8,
                              {static_cast<int64_t>(gap)},
                              end,
                              gap});
      end += gap; // cannot wrap: `end` is below 2^62
    }
    plan.tensors.push_back({std::move(declared.name), declared.format, std::move(declared.shape), end, *bytes});
    constexpr uint64_t mostBytes = uint64_t{1} << 62;
    if (*bytes > mostBytes || (end += *bytes) > mostBytes)
      return badInput("the tensors have more than 2^62 bytes", tensorPlace(plan.tensors.back().name));
  }
  plan.dataBytes = end;
  std::vector<TensorEntry> placed = plan.tensors; // reports names given twice
  if (Status status = placeTensors(placed, 0, end, 1); !status)
    return status.takeError();
  return plan;
}

/// `text` as a JSON string. It must be UTF-8.
static std::string quote(std::string_view text) { return nlohmann::json(text).dump(); }

Result<std::string> safetensorsHeader(const SafetensorsPlan &plan, const StringMetadata &metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += quote(safetensorsMetadataKey) + ":{";
    for (size_t i = 0; i < metadata.size(); ++i) {
      const auto &[key, value] = metadata[i];
      if (!isUtf8(key) || !isUtf8(value))
        return badInput("the metadata of a safetensors file must be UTF-8", "key '" + escapeForMessage(key) + "'");
      auto before = std::span(metadata).first(i);
      if (std::ranges::find(before, key, &StringMetadata::value_type::first) != before.end())
        return badInput("the metadata key '" + escapeForMessage(key) + "' is given twice");
      json += (i == 0 ? "" : ",") + quote(key) + ":" + quote(value);
    }
    json += plan.tensors.empty() ? "}" : "},";
  }
  for (const TensorEntry &entry : plan.tensors) {
    json += (&entry == plan.tensors.data() ? "" : ",") + quote(entry.name) + ":{\"dtype\":\"";
    json += *safetensorsName(entry.format);
    json += "\",\"shape\":[";
    for (size_t i = 0; i < entry.shape.size(); ++i)
      json += (i == 0 ? "" : ",") + std::to_string(entry.shape[i]);
    json +=
        "],\"data_offsets\":[" + std::to_string(entry.offset) + "," + std::to_string(entry.offset + entry.bytes) + "]}";
  }
  json += "}";
  json.append(-(safetensorsLengthBytes + json.size()) & (plan.alignment.data - 1), ' ');
  if (json.size() > safetensorsMaxHeader)
    return badInput("the header of a safetensors file has " + std::to_string(json.size()) +
                    " bytes, where readers take at most " + std::to_string(safetensorsMaxHeader));
  std::string header;
  for (uint64_t i = 0; i < safetensorsLengthBytes; ++i)
    header += static_cast<char>(json.size() >> (8 * i) & 0xFF);
  return header + json;
}

Result<SafetensorsWriter> SafetensorsWriter::create(const std::string &path, SafetensorsPlan plan,
                                                    const StringMetadata &metadata) {
  Result<std::string> header = safetensorsHeader(plan, metadata);
  if (!header)
    return header.takeError().in(escapeForMessage(path, 1000));
  Result<OutputFile> file = OutputFile::create(path, header->size() + plan.dataBytes);
  if (!file)
    return file.takeError();
  if (Status status = file->append(*header); !status)
    return status.takeError();
  return SafetensorsWriter(std::move(*file), std::move(plan), std::move(*header));
}

SafetensorsWriter::SafetensorsWriter(OutputFile file, SafetensorsPlan plan, std::string header)
    : file(std::move(file)), layout(std::move(plan)), headerBytes(std::move(header)), written(layout.tensors.size()),
      byName(layout.tensors.size()) {
  std::iota(byName.begin(), byName.end(), 0u);
  std::ranges::sort(byName, {}, [&](uint32_t i) -> std::string_view { return layout.tensors[i].name; });
}

/// What a caller did wrong with a tensor.
static Error misuse(std::string rule, const std::string &path, std::string_view tensor) {
  return Error{ErrorClass::Bug, std::move(rule), escapeForMessage(path, 1000) + ": " + tensorPlace(tensor), {}, {}};
}

/// On an output that takes bytes in order: writes the zeros of the padding that comes before tensor `index`.
Status SafetensorsWriter::fillPaddingBefore(size_t index) {
  if (index == 0 || !isPadding(layout.tensors[index - 1], layout.alignment))
    return {};
  const TensorEntry &padding = layout.tensors[index - 1];
  if (file.position() != headerBytes.size() + padding.offset)
    return {};
  return file.append(std::string(padding.bytes, '\0'));
}

Status SafetensorsWriter::append(std::string_view name, std::span<const std::byte> bytes) {
  auto nameOf = [&](uint32_t i) -> std::string_view { return layout.tensors[i].name; };
  auto at = std::ranges::lower_bound(byName, name, {}, nameOf);
  if (at == byName.end() || nameOf(*at) != name || isPadding(layout.tensors[*at], layout.alignment))
    return misuse("a tensor that was not declared was written", file.path(), name);
  const TensorEntry &entry = layout.tensors[*at];
  uint64_t &done = written[*at];
  if (bytes.size() > entry.bytes - done)
    return misuse("expected " + std::to_string(entry.bytes - done) + " more bytes, but got " +
                      std::to_string(bytes.size()),
                  file.path(), name);
  uint64_t offset = headerBytes.size() + entry.offset + done;
  Status status;
  if (file.isRegular()) {
    status = file.writeAt(offset, bytes);
  } else {
    if (status = fillPaddingBefore(*at); !status)
      return status;
    if (file.position() != offset && !bytes.empty())
      return misuse("a pipe or device takes tensors in their order only", file.path(), name);
    status = file.append(bytes);
  }
  if (status)
    done += bytes.size();
  return status;
}

Result<OutputFile> SafetensorsWriter::finish() {
  for (size_t i = 0; i < written.size(); ++i)
    if (const TensorEntry &entry = layout.tensors[i]; written[i] != entry.bytes && !isPadding(entry, layout.alignment))
      return misuse("expected " + std::to_string(entry.bytes) + " bytes, but " + std::to_string(written[i]) +
                        " were written",
                    file.path(), entry.name);
  // Nothing but padding in front of empty tensors can be missing from a pipe now.
  if (!file.isRegular())
    if (uint64_t missing = headerBytes.size() + layout.dataBytes - file.position())
      if (Status status = file.append(std::string(missing, '\0')); !status)
        return status.takeError();
  return std::move(file);
}

Status SafetensorsWriter::commit() {
  Result<OutputFile> finished = finish();
  if (!finished)
    return finished.takeError();
  file = std::move(*finished); // it is asked for its name and position later on
  return file.commit();
}

} // namespace qopt
