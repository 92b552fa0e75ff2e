// The typed key-value pairs of a GGUF file, as views into the mapped file.
//
// A vocabulary of 50,000 tokens costs one vector of views; no text is copied. Everything here is valid for as long as
// the Archive (or the bytes) it came from.
#ifndef QOPT_LIB_ARCHIVE_GGUFMETADATA_H
#define QOPT_LIB_ARCHIVE_GGUFMETADATA_H

#include "lib/Support/Error.h"

#include <cstddef>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace qopt {

/// Types of metadata values, numbered as in the file.
enum class GgufType : uint32_t {
  Uint8 = 0,
  Int8 = 1,
  Uint16 = 2,
  Int16 = 3,
  Uint32 = 4,
  Int32 = 5,
  Float32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  Uint64 = 10,
  Int64 = 11,
  Float64 = 12
};

/// "uint32", "string", …
std::string_view toString(GgufType type);

/// An array of strings, numbers or booleans (an array of arrays is refused when the file is opened).
class GgufArray {
public:
  GgufArray(GgufType elementType, std::vector<std::string_view> strings)
      : type(elementType), count(strings.size()), texts(std::move(strings)) {}
  GgufArray(GgufType elementType, uint64_t count, std::span<const std::byte> raw)
      : type(elementType), count(count), raw(raw) {}

  GgufType elementType() const { return type; }
  uint64_t size() const { return count; }
  /// The elements of an array of strings, else nothing. Not checked to be UTF-8: a token may be any bytes.
  std::span<const std::string_view> strings() const { return texts; }
  /// The elements of an array of integers or booleans; nothing if it is another array or one does not fit.
  std::optional<std::vector<int64_t>> integers() const;
  /// The elements of an array of numbers; nothing if it is an array of strings or booleans.
  std::optional<std::vector<double>> numbers() const;

private:
  GgufType type;
  uint64_t count;
  std::vector<std::string_view> texts;
  std::span<const std::byte> raw; ///< numbers, little-endian, unaligned
};

/// One value. The accessors give nothing where the value is of another kind or does not fit.
class GgufValue {
public:
  using Storage = std::variant<uint64_t, int64_t, double, bool, std::string_view, GgufArray>;
  GgufValue(GgufType type, Storage value) : storedType(type), value(std::move(value)) {}

  GgufType type() const { return storedType; }
  std::optional<int64_t> integer() const; ///< any integer type
  std::optional<double> number() const;   ///< any integer or float type
  std::optional<bool> boolean() const;
  std::optional<std::string_view> string() const; ///< not checked to be UTF-8
  const GgufArray *array() const { return std::get_if<GgufArray>(&value); }

private:
  GgufType storedType;
  Storage value;
};

/// All pairs of a file, in its order. Keys are unique and UTF-8.
class GgufMetadata {
public:
  struct Pair {
    std::string_view key;
    GgufValue value;
  };

  GgufMetadata() = default;
  /// Errors: a key given twice.
  static Result<GgufMetadata> create(std::vector<Pair> pairs);

  std::span<const Pair> pairs() const { return all; }
  /// The value of `key`, or null.
  const GgufValue *find(std::string_view key) const;

  /// What an importer wants: the value, or an error that names the key and what was found instead.
  Result<int64_t> integer(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> string(std::string_view key) const;
  Result<std::span<const std::string_view>> strings(std::string_view key) const;
  Result<std::vector<int64_t>> integers(std::string_view key) const;
  Result<std::vector<double>> numbers(std::string_view key) const;

private:
  std::vector<Pair> all;
  std::vector<uint32_t> byKey; ///< indices into `all`, sorted by key
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_GGUFMETADATA_H
