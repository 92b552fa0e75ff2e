// Small archives made in memory, and a directory to put them in.
#ifndef QOPT_TESTS_UNIT_ARCHIVE_ARCHIVEFIXTURES_H
#define QOPT_TESTS_UNIT_ARCHIVE_ARCHIVEFIXTURES_H

#include "lib/Archive/GgufMetadata.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <span>
#include <string>
#include <unistd.h>

namespace qopt::test {

inline std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A number as a little-endian file has it.
template <typename T> std::string raw(T value) {
  std::string text(sizeof value, '\0');
  std::memcpy(text.data(), &value, sizeof value);
  return text;
}

/// A safetensors file: its length, its header, its data.
inline std::string safetensors(const std::string &header, const std::string &data = {}) {
  return raw(uint64_t{header.size()}) + header + data;
}

/// "name":{...} of a safetensors header.
inline std::string described(const std::string &name, const std::string &dtype, const std::string &shape,
                             const std::string &offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

/// Makes a GGUF file piece by piece. Every count and type can be made to lie.
struct GgufBuilder {
  uint32_t version = 3;
  std::optional<uint64_t> claimedPairs, claimedTensors;
  uint64_t alignment = 32; ///< of what bytes() builds; the metadata key is the caller's
  std::string pairs, tensors, data;
  uint64_t pairCount = 0, tensorCount = 0;

  static std::string string(std::string_view text) { return raw(uint64_t{text.size()}) + std::string(text); }

  GgufBuilder &pair(std::string_view key, GgufType type, const std::string &value) {
    return pair(key, static_cast<uint32_t>(type), value);
  }
  GgufBuilder &pair(std::string_view key, uint32_t type, const std::string &value) {
    pairs += string(key) + raw(type) + value;
    ++pairCount;
    return *this;
  }
  /// `innermostFirst` is the shape as the file has it.
  GgufBuilder &tensor(std::string_view name, const std::vector<uint64_t> &innermostFirst, uint32_t type,
                      uint64_t offset) {
    tensors += string(name) + raw(static_cast<uint32_t>(innermostFirst.size()));
    for (uint64_t length : innermostFirst)
      tensors += raw(length);
    tensors += raw(type) + raw(offset);
    ++tensorCount;
    return *this;
  }
  std::string header() const {
    return "GGUF" + raw(version) + raw(claimedTensors.value_or(tensorCount)) + raw(claimedPairs.value_or(pairCount)) +
           pairs + tensors;
  }
  std::string bytes() const {
    std::string file = header();
    file.append(-file.size() & (alignment - 1), '\0');
    return file + data;
  }
};

/// A directory of its own, removed with everything in it.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qopt-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    root = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(root); }

  std::string operator/(std::string_view name) const { return (root / name).string(); }
  std::string write(std::string_view name, std::string_view contents) const {
    std::ofstream(*this / name, std::ios::binary) << contents;
    return *this / name;
  }
  static std::string read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t count() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(root), {})); }

private:
  std::filesystem::path root;
};

} // namespace qopt::test

#endif // QOPT_TESTS_UNIT_ARCHIVE_ARCHIVEFIXTURES_H
