// A model's tensors wherever they lie: in one archive, or in the shards that a Hugging Face index lists.
#ifndef QOPT_LIB_ARCHIVE_SHARDEDCHECKPOINT_H
#define QOPT_LIB_ARCHIVE_SHARDEDCHECKPOINT_H

#include "lib/Archive/Archive.h"

namespace qopt {

class ShardedCheckpoint {
public:
  /// A tensor and the archive that holds it; both live as long as the checkpoint.
  struct Tensor {
    const Archive *archive;
    const TensorEntry *entry;

    std::span<const std::byte> bytes() const { return archive->bytes(*entry); }
  };

  /// Opens
  ///  - a directory: its model.safetensors, or else the shards of its model.safetensors.index.json (the order in which
  ///    transformers looks);
  ///  - an index (a name that ends in .index.json): every shard beside it that it lists;
  ///  - any other file: that one archive.
  /// Errors (BadInput): an index that is no JSON of the right form or that names a path instead of a file beside it; a
  /// shard that lacks a tensor which the index places in it, or that holds one which the index does not place there;
  /// and whatever Archive::open says. `metadata.total_size` of an index is not compared: it is wrong in the wild.
  static Result<ShardedCheckpoint> open(const std::string &path);

  /// The archives, in the order of their names.
  std::span<const std::shared_ptr<const Archive>> archives() const { return files; }
  /// All tensors, archive by archive, in the order of their data.
  std::span<const Tensor> tensors() const { return all; }
  /// The tensor of that name, if there is one.
  std::optional<Tensor> find(std::string_view name) const;
  /// The same, or an error that names the checkpoint, the tensor and the nearest name there is.
  Result<Tensor> get(std::string_view name) const;

private:
  static Result<ShardedCheckpoint> openIndex(const std::string &path);
  ShardedCheckpoint(std::string path, std::vector<std::shared_ptr<const Archive>> archives);

  std::string path;
  std::vector<std::shared_ptr<const Archive>> files;
  std::vector<Tensor> all;
  std::vector<uint32_t> byName; ///< indices into `all`, sorted by name
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_SHARDEDCHECKPOINT_H
