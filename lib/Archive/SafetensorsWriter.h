// Writes safetensors files of any size in constant memory, crash-safely (see OutputFile.h).
//
//   auto plan = planSafetensors({{"a", ElementFormat::F32, {2, 3}}, {"b", ElementFormat::U8, {5}}});
//   auto writer = SafetensorsWriter::create("out.safetensors", *plan, {{"made_by", "qopt"}});
//   writer->append("a", …);   // in one piece or many, in any order
//   writer->append("b", …);
//   writer->commit();
//
// Everything that the header holds is known before the first byte of data, so it is written once. The same plan,
// metadata and data give the same bytes.
#ifndef QOPT_LIB_ARCHIVE_SAFETENSORSWRITER_H
#define QOPT_LIB_ARCHIVE_SAFETENSORSWRITER_H

#include "lib/Archive/Archive.h"
#include "lib/Archive/OutputFile.h"

namespace qopt {

struct TensorDeclaration {
  std::string name;
  ElementFormat format; ///< one that safetensors has a name for: no GGUF blocks
  std::vector<int64_t> shape;
};

/// Both are powers of two, and `data` is a multiple of `tensor`.
struct SafetensorsAlignment {
  uint64_t data = 8;   ///< of the data section, from the start of the file: the header ends in spaces
  uint64_t tensor = 1; ///< of each tensor: where needed, a U8 tensor "padding.N" of zeros comes before it
};

/// Where everything goes. Offsets count from the start of the data section.
struct SafetensorsPlan {
  std::vector<TensorEntry> tensors; ///< as declared, in that order, with the padding between them
  uint64_t dataBytes = 0;
  SafetensorsAlignment alignment;

  /// The tensor of that name, or null. Linear.
  const TensorEntry *find(std::string_view name) const;
};

/// Lays the tensors out in the order given. Errors (BadInput): a name that is empty, not UTF-8, given twice, reserved
/// ("__metadata__", and "padding.…" where there is padding); a format that safetensors lacks; a size that overflows.
Result<SafetensorsPlan> planSafetensors(std::vector<TensorDeclaration> declarations,
                                        SafetensorsAlignment alignment = {});

/// The bytes of the file before the data section. Errors: text that is not UTF-8, a metadata key given twice, a header
/// longer than readers take.
Result<std::string> safetensorsHeader(const SafetensorsPlan &plan, const StringMetadata &metadata);

class SafetensorsWriter {
public:
  /// Starts the file: allocates its space and writes the header. Errors: as safetensorsHeader and OutputFile::create.
  static Result<SafetensorsWriter> create(const std::string &path, SafetensorsPlan plan,
                                          const StringMetadata &metadata);

  const SafetensorsPlan &plan() const { return layout; }
  /// The bytes of the file before the data section.
  std::string_view header() const { return headerBytes; }

  /// The next bytes of a tensor. Tensors may come in any order and in turns; a pipe or a device takes them only in the
  /// plan's order, each completed before the next. Not for several threads at once. Errors: Resource from the file,
  /// after which nothing is left; Bug for a name that is not planned, too many bytes or a wrong order.
  Status append(std::string_view name, std::span<const std::byte> bytes);

  /// Finishes the file under its name. Error (Bug): a tensor lacks bytes.
  Status commit();
  /// The same but for the name: the file, for a set that it belongs to. The writer is of no use afterwards.
  Result<OutputFile> finish();

private:
  SafetensorsWriter(OutputFile file, SafetensorsPlan plan, std::string header);
  Status fillPaddingBefore(size_t index);

  OutputFile file;
  SafetensorsPlan layout;
  std::string headerBytes;
  std::vector<uint64_t> written; ///< bytes so far, for each tensor of the plan
  std::vector<uint32_t> byName;  ///< indices into layout.tensors, sorted by name
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_SAFETENSORSWRITER_H
