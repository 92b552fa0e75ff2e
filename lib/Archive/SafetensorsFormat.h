// What the safetensors reader and writer both know of the format. Internal to lib/Archive.
//
// A file is: u64 little-endian length N, N bytes of JSON that start with '{' and may end in spaces, then the data,
// which the tensors cover without holes. The JSON maps each name to dtype, shape and data_offsets [begin, end), and
// "__metadata__" to an object of strings.
#ifndef QOPT_LIB_ARCHIVE_SAFETENSORSFORMAT_H
#define QOPT_LIB_ARCHIVE_SAFETENSORSFORMAT_H

#include "lib/Numerics/ElementFormat.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qopt {

inline constexpr uint64_t safetensorsLengthBytes = 8;
/// The longest header that the safetensors library reads; it makes a sensible limit.
inline constexpr uint64_t safetensorsMaxHeader = 100'000'000;
inline constexpr std::string_view safetensorsMetadataKey = "__metadata__";

/// "F32" for F32; nothing for a format that safetensors has no name for.
std::optional<std::string_view> safetensorsName(ElementFormat format);
std::optional<ElementFormat> safetensorsFormat(std::string_view dtype);
/// "F32, F16, …", for messages.
std::string safetensorsNames();

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_SAFETENSORSFORMAT_H
