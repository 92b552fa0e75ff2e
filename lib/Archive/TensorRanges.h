// The checks that every archive format shares. Internal to lib/Archive.
#ifndef QOPT_LIB_ARCHIVE_TENSORRANGES_H
#define QOPT_LIB_ARCHIVE_TENSORRANGES_H

#include "lib/Archive/Archive.h"

namespace qopt {

/// "tensor 'NAME'", for the `where` of a message.
std::string tensorPlace(std::string_view name);

/// Bytes of a tensor of this format and shape (axes not negative). Errors: the number of elements does not fit in 63
/// bits, the innermost axis is not a multiple of the format's block, the bytes do not fit in 64 bits.
Result<uint64_t> tensorBytes(ElementFormat format, std::span<const int64_t> shape);

/// Checks tensors whose offsets count from the start of the data section: names are unique, each begins where the last
/// one ended, rounded up to `alignment` (a power of two), and all lie within `dataBytes`. Puts them in the order of
/// their data and makes the offsets count from the start of the file, where the data section begins at `dataStart`.
Status placeTensors(std::vector<TensorEntry> &tensors, uint64_t dataStart, uint64_t dataBytes, uint64_t alignment);

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_TENSORRANGES_H
