// Reads the header of a safetensors file and holds it to every rule of the format.
#include "lib/Archive/Archive.h"
#include "lib/Archive/Json.h"
#include "lib/Archive/SafetensorsFormat.h"
#include "lib/Archive/TensorRanges.h"

#include <bit>
#include <cstring>

namespace qopt {

using Json = nlohmann::ordered_json;

struct NamedFormat {
  std::string_view name;
  ElementFormat format;
};
static constexpr NamedFormat namedFormats[] = {{"F32", ElementFormat::F32},   {"F16", ElementFormat::F16},
                                               {"BF16", ElementFormat::BF16}, {"F64", ElementFormat::F64},
                                               {"I8", ElementFormat::I8},     {"U8", ElementFormat::U8},
                                               {"I16", ElementFormat::I16},   {"I32", ElementFormat::I32},
                                               {"I64", ElementFormat::I64},   {"BOOL", ElementFormat::Bool}};

std::optional<std::string_view> safetensorsName(ElementFormat format) {
  for (const NamedFormat &known : namedFormats)
    if (known.format == format)
      return known.name;
  return std::nullopt;
}

std::optional<ElementFormat> safetensorsFormat(std::string_view dtype) {
  for (const NamedFormat &known : namedFormats)
    if (known.name == dtype)
      return known.format;
  return std::nullopt;
}

std::string safetensorsNames() {
  std::string text;
  for (const NamedFormat &known : namedFormats)
    text += (text.empty() ? "" : ", ") + std::string(known.name);
  return text;
}

/// The axis length or offset in `value`: an integer in [0, 2^63).
static std::optional<int64_t> naturalNumber(const Json &value) {
  if (!value.is_number_unsigned() || !std::in_range<int64_t>(value.get<uint64_t>()))
    return std::nullopt;
  return value.get<int64_t>();
}

/// The three members of a tensor's description, each present exactly once (the parser refuses duplicates).
struct Description {
  const Json *dtype = nullptr;
  const Json *shape = nullptr;
  const Json *offsets = nullptr;
};

static Result<Description> describeTensor(const Json &value) {
  if (!value.is_object())
    return badInput(std::string("expected an object with dtype, shape and data_offsets, but got ") + value.type_name());
  Description description;
  for (const auto &[key, member] : value.items()) {
    const Json **slot = key == "dtype"          ? &description.dtype
                        : key == "shape"        ? &description.shape
                        : key == "data_offsets" ? &description.offsets
                                                : nullptr;
    if (!slot)
      return badInput("expected dtype, shape and data_offsets, but got the key '" + escapeForMessage(key) + "'");
    *slot = &member;
  }
  if (!description.dtype || !description.shape || !description.offsets)
    return badInput(std::string("the description has no ") + (!description.dtype   ? "dtype"
                                                              : !description.shape ? "shape"
                                                                                   : "data_offsets"));
  return description;
}

static Result<TensorEntry> readTensor(const std::string &name, const Json &value) {
  Result<Description> description = describeTensor(value);
  if (!description)
    return description.takeError();
  TensorEntry entry{name, ElementFormat::F32, {}, 0, 0};

  if (!description->dtype->is_string())
    return badInput(std::string("expected dtype to be a string, but got ") + description->dtype->type_name());
  const auto &dtype = description->dtype->get_ref<const std::string &>();
  std::optional<ElementFormat> format = safetensorsFormat(dtype);
  if (!format)
    return badInput("elements of type '" + escapeForMessage(dtype, 40) + "' are not read; " + safetensorsNames() +
                    " are")
        .withNext("convert the tensor to one of these types");
  entry.format = *format;

  if (!description->shape->is_array())
    return badInput(std::string("expected shape to be an array, but got ") + description->shape->type_name());
  for (const Json &length : *description->shape) {
    std::optional<int64_t> axis = naturalNumber(length);
    if (!axis)
      return badInput("expected the lengths in shape to be integers from 0 to 2^63 - 1, but got " +
                      escapeForMessage(length.dump(-1, ' ', false, Json::error_handler_t::replace), 40));
    entry.shape.push_back(*axis);
  }

  const Json &offsets = *description->offsets;
  std::optional<int64_t> begin, end;
  if (offsets.is_array() && offsets.size() == 2) {
    begin = naturalNumber(offsets[0]);
    end = naturalNumber(offsets[1]);
  }
  if (!begin || !end || *begin > *end)
    return badInput("expected data_offsets to be [begin, end] with 0 <= begin <= end, but got " +
                    escapeForMessage(offsets.dump(-1, ' ', false, Json::error_handler_t::replace), 60));
  entry.offset = static_cast<uint64_t>(*begin);
  entry.bytes = static_cast<uint64_t>(*end - *begin);

  Result<uint64_t> bytes = tensorBytes(entry.format, entry.shape);
  if (!bytes)
    return bytes.takeError();
  if (*bytes != entry.bytes)
    return badInput("dtype and shape (" + describe(entry) + ") take " + std::to_string(*bytes) +
                    " bytes, but data_offsets span " + std::to_string(entry.bytes));
  return entry;
}

static Status readMetadata(const Json &value, StringMetadata &metadata) {
  if (!value.is_object())
    return badInput(std::string("expected __metadata__ to be an object, but got ") + value.type_name());
  for (const auto &[key, text] : value.items()) {
    if (!text.is_string())
      return badInput("expected the values of __metadata__ to be strings, but got " + std::string(text.type_name()) +
                      " for '" + escapeForMessage(key) + "'");
    metadata.emplace_back(key, text.get<std::string>());
  }
  return {};
}

Result<ArchiveHeader> readSafetensors(std::span<const std::byte> file) {
  if (file.size() < safetensorsLengthBytes)
    return badInput("the file is too short for a safetensors or GGUF file: " + std::to_string(file.size()) + " bytes",
                    "byte 0");
  uint64_t length;
  std::memcpy(&length, file.data(), sizeof length);
  if constexpr (std::endian::native == std::endian::big)
    length = __builtin_bswap64(length);
  uint64_t left = file.size() - safetensorsLengthBytes;
  std::string_view text(reinterpret_cast<const char *>(file.data()) + safetensorsLengthBytes,
                        static_cast<size_t>(std::min(left, length)));
  if (length > 0 && left > 0 && text.front() != '{')
    return badInput("neither a safetensors nor a GGUF file: expected \"GGUF\" at byte 0 or '{' at byte 8, but got \"" +
                        escapeForMessage({reinterpret_cast<const char *>(file.data()), 4}) + "\" and \"" +
                        escapeForMessage(text.substr(0, 1)) + "\"",
                    "byte 0")
        .withNext("name a .safetensors or .gguf file");
  if (length > safetensorsMaxHeader)
    return badInput("a header of " + std::to_string(length) + " bytes, where at most " +
                        std::to_string(safetensorsMaxHeader) + " are read",
                    "byte 0");
  if (length > left)
    return badInput("the file ends inside the header, which should have " + std::to_string(length) +
                        " bytes, but has " + std::to_string(left),
                    "byte " + std::to_string(file.size()));

  JsonLimits limits;
  limits.maxDepth = 4; // the deepest that the format has is 3
  Result<Json> json = parseJson(text, limits);
  if (!json)
    return json.takeError().in("header (from byte 8)");
  ArchiveHeader header;
  header.kind = ArchiveKind::Safetensors;
  header.bytes = safetensorsLengthBytes + length;
  header.tensors.reserve(json->size());
  for (const auto &[name, value] : json->items()) {
    if (name == safetensorsMetadataKey) {
      if (Status status = readMetadata(value, header.metadata); !status)
        return status.takeError().in("header");
      continue;
    }
    Result<TensorEntry> entry = readTensor(name, value);
    if (!entry)
      return entry.takeError().in("header: " + tensorPlace(name));
    header.tensors.push_back(std::move(*entry));
  }
  if (Status status = placeTensors(header.tensors, header.bytes, left - length, 1); !status)
    return status.takeError();
  return header;
}

} // namespace qopt
