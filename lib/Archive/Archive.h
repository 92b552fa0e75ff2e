// A checkpoint file: named tensors and metadata, mapped and never copied. Reads safetensors and GGUF version 3.
//
//   auto archive = Archive::open("model.gguf");
//   if (!archive)
//     return archive.takeError();
//   const TensorEntry *norm = (*archive)->find("output_norm.weight");
//   std::span<const std::byte> data = (*archive)->bytes(*norm);
//
// Opening checks everything that reading relies on: an entry's format, shape and range agree, ranges lie inside the
// file, do not overlap and leave no holes. What a tensor holds is not looked at.
#ifndef QOPT_LIB_ARCHIVE_ARCHIVE_H
#define QOPT_LIB_ARCHIVE_ARCHIVE_H

#include "lib/Archive/GgufMetadata.h"
#include "lib/Archive/MappedFile.h"
#include "lib/Numerics/ElementFormat.h"
#include "lib/Support/Error.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt {

enum class ArchiveKind { Safetensors, Gguf };

/// "safetensors" or "GGUF".
std::string_view toString(ArchiveKind kind);

struct TensorEntry {
  std::string name; ///< UTF-8
  ElementFormat format;
  std::vector<int64_t> shape; ///< outermost axis first; empty for a scalar
  uint64_t offset;            ///< of the first byte, from the start of the file
  uint64_t bytes;

  /// The product of `shape`, which is known to fit.
  int64_t elements() const;
};

/// "f32 [4, 2]", for messages.
std::string describe(const TensorEntry &entry);

/// String pairs in the file's order.
using StringMetadata = std::vector<std::pair<std::string, std::string>>;

/// What a file's header says. Made by readSafetensors and readGguf, which see only bytes.
struct ArchiveHeader {
  ArchiveKind kind;
  uint64_t bytes = 0;               ///< of the file that come before its tensor data
  std::vector<TensorEntry> tensors; ///< in the order of their data
  StringMetadata metadata;          ///< safetensors
  GgufMetadata gguf;                ///< GGUF: views into the bytes that were read
};

/// Read the header of a whole file held in `file`. Errors (BadInput) name the byte, tensor or key.
Result<ArchiveHeader> readSafetensors(std::span<const std::byte> file);
Result<ArchiveHeader> readGguf(std::span<const std::byte> file);
/// The one of the two that the first bytes ask for.
Result<ArchiveHeader> readArchiveHeader(std::span<const std::byte> file);

class Archive {
public:
  /// Maps `path` and reads its header: GGUF if it starts with that magic, else safetensors.
  /// Errors: the file cannot be read (as MappedFile::open), breaks a rule of its format or uses what is not read
  /// (BadInput).
  static Result<std::shared_ptr<const Archive>> open(const std::string &path);

  const std::string &path() const { return file.path(); }
  uint64_t fileSize() const { return file.size(); }
  ArchiveKind kind() const { return header.kind; }
  /// Bytes of the file before its tensor data.
  uint64_t headerSize() const { return header.bytes; }
  /// "sha256:…" of those bytes, computed at each call (1 ms per MB or two).
  std::string headerDigest() const;

  /// All tensors, in the order of their data.
  std::span<const TensorEntry> tensors() const { return header.tensors; }
  /// The tensor of that name, or null.
  const TensorEntry *find(std::string_view name) const;
  /// The same, or an error that names the file, the tensor and the nearest name there is.
  Result<const TensorEntry *> get(std::string_view name) const;

  /// The data of one of this archive's tensors: [entry.bytes], valid as long as the archive. No alignment is promised.
  std::span<const std::byte> bytes(const TensorEntry &entry) const {
    return file.bytes().subspan(entry.offset, entry.bytes);
  }
  /// "sha256:…" of those bytes.
  std::string tensorDigest(const TensorEntry &entry) const;
  /// Says that a pass is done with this tensor, so that streaming a model keeps only a few tensors in memory.
  void drop(const TensorEntry &entry) const { file.drop(bytes(entry)); }

  /// Safetensors: `__metadata__`. Empty for GGUF.
  const StringMetadata &metadata() const { return header.metadata; }
  /// The value of a key in metadata().
  std::optional<std::string_view> metadata(std::string_view key) const;
  /// GGUF: the typed pairs. Empty for safetensors.
  const GgufMetadata &ggufMetadata() const { return header.gguf; }

  Archive(MappedFile file, ArchiveHeader header);
  Archive(const Archive &) = delete;
  Archive &operator=(const Archive &) = delete;

private:
  MappedFile file;
  ArchiveHeader header;
  std::vector<uint32_t> byName; ///< indices into header.tensors, sorted by name
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_ARCHIVE_H
