// Conversions from the types of the file to the few that an importer wants, and the messages when they do not fit.
#include "lib/Archive/GgufMetadata.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

namespace qopt {

std::string_view toString(GgufType type) {
  static constexpr std::string_view names[] = {"uint8", "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
                                               "bool",  "string", "array",  "uint64", "int64",  "float64"};
  return static_cast<size_t>(type) < std::size(names) ? names[static_cast<size_t>(type)] : "unknown";
}

/// The elements of `raw`, stored as T, each given to `convert`, which may decline by returning nothing.
template <typename T, typename To> static std::optional<std::vector<To>> convertAll(std::span<const std::byte> raw) {
  std::vector<To> out(raw.size() / sizeof(T));
  for (size_t i = 0; i < out.size(); ++i) {
    T element;
    std::memcpy(&element, raw.data() + i * sizeof(T), sizeof(T));
    if constexpr (std::is_integral_v<T> && std::is_integral_v<To>)
      if (!std::in_range<To>(element))
        return std::nullopt;
    out[i] = static_cast<To>(element);
  }
  return out;
}

std::optional<std::vector<int64_t>> GgufArray::integers() const {
  switch (type) {
  case GgufType::Uint8:
  case GgufType::Bool: // one byte, 0 or 1
    return convertAll<uint8_t, int64_t>(raw);
  case GgufType::Int8:
    return convertAll<int8_t, int64_t>(raw);
  case GgufType::Uint16:
    return convertAll<uint16_t, int64_t>(raw);
  case GgufType::Int16:
    return convertAll<int16_t, int64_t>(raw);
  case GgufType::Uint32:
    return convertAll<uint32_t, int64_t>(raw);
  case GgufType::Int32:
    return convertAll<int32_t, int64_t>(raw);
  case GgufType::Uint64:
    return convertAll<uint64_t, int64_t>(raw);
  case GgufType::Int64:
    return convertAll<int64_t, int64_t>(raw);
  default:
    return std::nullopt;
  }
}

std::optional<std::vector<double>> GgufArray::numbers() const {
  switch (type) {
  case GgufType::Float32:
    return convertAll<float, double>(raw);
  case GgufType::Float64:
    return convertAll<double, double>(raw);
  case GgufType::Uint64:
    return convertAll<uint64_t, double>(raw);
  case GgufType::Bool:
    return std::nullopt;
  default:
    if (auto values = integers())
      return std::vector<double>(values->begin(), values->end());
    return std::nullopt;
  }
}

std::optional<int64_t> GgufValue::integer() const {
  if (auto *stored = std::get_if<int64_t>(&value))
    return *stored;
  if (auto *stored = std::get_if<uint64_t>(&value); stored && std::in_range<int64_t>(*stored))
    return static_cast<int64_t>(*stored);
  return std::nullopt;
}

std::optional<double> GgufValue::number() const {
  if (auto *stored = std::get_if<double>(&value))
    return *stored;
  if (auto *stored = std::get_if<int64_t>(&value))
    return static_cast<double>(*stored);
  if (auto *stored = std::get_if<uint64_t>(&value))
    return static_cast<double>(*stored);
  return std::nullopt;
}

std::optional<bool> GgufValue::boolean() const {
  auto *stored = std::get_if<bool>(&value);
  return stored ? std::optional(*stored) : std::nullopt;
}

std::optional<std::string_view> GgufValue::string() const {
  auto *stored = std::get_if<std::string_view>(&value);
  return stored ? std::optional(*stored) : std::nullopt;
}

Result<GgufMetadata> GgufMetadata::create(std::vector<Pair> pairs) {
  GgufMetadata metadata;
  metadata.all = std::move(pairs);
  metadata.byKey.resize(metadata.all.size());
  std::iota(metadata.byKey.begin(), metadata.byKey.end(), 0u);
  std::ranges::sort(metadata.byKey, {}, [&](uint32_t i) { return metadata.all[i].key; });
  auto twice = std::ranges::adjacent_find(metadata.byKey, {}, [&](uint32_t i) { return metadata.all[i].key; });
  if (twice != metadata.byKey.end())
    return badInput("the metadata key '" + escapeForMessage(metadata.all[*twice].key) + "' is given twice");
  return metadata;
}

const GgufValue *GgufMetadata::find(std::string_view key) const {
  auto keyOf = [&](uint32_t i) { return all[i].key; };
  auto at = std::ranges::lower_bound(byKey, key, {}, keyOf);
  return at != byKey.end() && keyOf(*at) == key ? &all[*at].value : nullptr;
}

/// What a value is, for a message: "a value of type string", "an array of int32".
static std::string describe(const GgufValue &value) {
  if (const GgufArray *array = value.array())
    return "an array of " + std::string(toString(array->elementType()));
  if (auto integer = value.integer())
    return std::string(toString(value.type())) + " " + std::to_string(*integer);
  return "a value of type " + std::string(toString(value.type()));
}

/// The value of `key` as `read` sees it; `wanted` names the kind in a message.
template <typename Read>
static auto demand(const GgufMetadata &metadata, std::string_view key, const char *wanted, Read read)
    -> Result<std::remove_cvref_t<decltype(*read(*metadata.find(key)))>> {
  const GgufValue *value = metadata.find(key);
  if (!value)
    return badInput("the GGUF file has no metadata key '" + escapeForMessage(key) + "', which should be " + wanted);
  auto result = read(*value);
  if (!result)
    return badInput("expected the metadata key '" + escapeForMessage(key) + "' to be " + wanted + ", but got " +
                    describe(*value));
  return std::move(*result);
}

Result<int64_t> GgufMetadata::integer(std::string_view key) const {
  return demand(*this, key, "an integer of at most 63 bits", [](const GgufValue &value) { return value.integer(); });
}

Result<double> GgufMetadata::number(std::string_view key) const {
  return demand(*this, key, "a number", [](const GgufValue &value) { return value.number(); });
}

Result<bool> GgufMetadata::boolean(std::string_view key) const {
  return demand(*this, key, "a bool", [](const GgufValue &value) { return value.boolean(); });
}

Result<std::string_view> GgufMetadata::string(std::string_view key) const {
  return demand(*this, key, "a string", [](const GgufValue &value) { return value.string(); });
}

Result<std::span<const std::string_view>> GgufMetadata::strings(std::string_view key) const {
  return demand(*this, key, "an array of strings",
                [](const GgufValue &value) -> std::optional<std::span<const std::string_view>> {
                  if (!value.array() || value.array()->elementType() != GgufType::String)
                    return std::nullopt;
                  return value.array()->strings();
                });
}

Result<std::vector<int64_t>> GgufMetadata::integers(std::string_view key) const {
  return demand(*this, key, "an array of integers",
                [](const GgufValue &value) { return value.array() ? value.array()->integers() : std::nullopt; });
}

Result<std::vector<double>> GgufMetadata::numbers(std::string_view key) const {
  return demand(*this, key, "an array of numbers",
                [](const GgufValue &value) { return value.array() ? value.array()->numbers() : std::nullopt; });
}

} // namespace qopt
