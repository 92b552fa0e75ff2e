// From the bytes of an archive to f32: the float formats and GGUF's block formats.
//
// The layouts of the blocks are those of ggml (GGUF version 3); each is a struct in Decode.cpp. Values are computed in
// f32 in the order that ggml's Python package computes them, so that they agree to the bit.
#ifndef QOPT_LIB_NUMERICS_DECODE_H
#define QOPT_LIB_NUMERICS_DECODE_H

#include "lib/Numerics/ElementFormat.h"

#include <cstddef>
#include <span>

namespace qopt {

/// Whether decodeToF32 reads `format`: F32, F16, BF16, F64 and the GGUF blocks; not the integers.
bool isDecodable(ElementFormat format);

/// Writes the numbers that `source` holds in `format` to `out` : [elements].
///
/// `format` must be decodable, and source.size() must be storageBytes(format, out.size()): the caller has checked the
/// shape (anything else writes nothing). `source` needs no alignment. F64 is rounded to nearest even; all else is exact
/// or, for block formats, the f32 product d·q (plus the f32 minimum m for the _1 formats).
void decodeToF32(ElementFormat format, std::span<const std::byte> source, std::span<float> out);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_DECODE_H
