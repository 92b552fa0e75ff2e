// What a quantization is: how the weights of one linear are coded, and in what form its activations reach it.
//
// Codes are unsigned: u in [0, 2^bits - 1], and the weight is scale * (u - zero).
//   symmetric    zero = 2^(bits-1), implied and not stored; 2 bits span [-2, 1] steps, 4 [-8, 7], 8 [-128, 127]
//   asymmetric   zero is stored, a u8 in [0, 2^bits - 1] per group; the range always includes 0
// Scales are stored per group of `group` consecutive weights of a row, in `scale` format. Which scale and zero point a
// group gets is the algorithm's choice; RoundToNearest.h states the plain one.
//
// The text form of a scheme, as the command line and recipes take it (case matters; each part at most once, those
// after the first in any order):
//
//   scheme      ::= 'w' bits 'a' activations (':' part)*
//   bits        ::= '2' | '3' | '4' | '5' | '6' | '8'
//   activations ::= '8' | '8t' | '8g32' | '8s'           i8: per token (8 means 8t), per 32 channels, static
//                 | '16' | '32'                          bf16, f32
//   part        ::= 'g32' | 'g64' | 'g128' | 'g256' | 'channel'            default g64
//                 | 'sym' | 'asym'                                         default sym
//                 | 'f16' | 'bf16' | 'f32'                                 default f16: the format of the scales
//
// So `w4a8` is `w4a8:g64:sym:f16`.
#ifndef QOPT_LIB_NUMERICS_SCHEME_H
#define QOPT_LIB_NUMERICS_SCHEME_H

#include "lib/Numerics/ElementFormat.h"
#include "lib/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qopt {

/// How the weights [rows, cols] of one linear are coded. `rows` are output channels, groups run along `cols`.
struct WeightScheme {
  int bits = 4;                             ///< 2, 3, 4, 5, 6 or 8
  bool symmetric = true;                    ///< zero point implied, or stored per group
  int64_t group = 64;                       ///< 32, 64, 128 or 256 weights; 0: one group per row
  ElementFormat scale = ElementFormat::F16; ///< F16, BF16 or F32

  bool operator==(const WeightScheme &) const = default;

  /// The greatest code, 2^bits - 1.
  int maxCode() const { return (1 << bits) - 1; }
  /// The zero point of a symmetric scheme, 2^(bits-1).
  int impliedZero() const { return 1 << (bits - 1); }
  /// Weights of one group in a row of `cols`.
  int64_t groupSize(int64_t cols) const { return group == 0 ? cols : group; }
  /// Groups in a row of `cols`; meaningful if validate(cols) holds.
  int64_t groupsPerRow(int64_t cols) const { return group == 0 ? 1 : cols / group; }
  /// Bits that a row of `cols` weights takes as kernels read it, scales and zero points counted.
  uint64_t bitsPerRow(int64_t cols) const;

  /// Whether the scheme is one that is implemented. Errors: bits, group or scale format outside of the list above.
  Status validate() const;
  /// Also whether rows of `cols` weights can have it. Errors: cols < 1, or the group does not divide cols.
  Status validate(int64_t cols) const;
};

/// Bits of a zero point beside codes of `bits` bits, as kernels read it.
constexpr int zeroPointBits(int bits) { return bits > 4 ? 8 : 4; }

/// The form in which activations enter a linear; see Activations.h for the i8 forms.
enum class ActivationKind : uint8_t {
  F32,        ///< f32 products and sums
  BF16,       ///< rounded to bf16, products summed in f32
  I8PerToken, ///< i8 in [-127, 127], one f32 scale per token
  I8PerGroup, ///< i8 in [-127, 127], one f32 scale per token and 32 channels
  I8Static,   ///< i8 in [-127, 127], one f32 scale for all that the linear ever reads, found by calibration
};

/// A whole scheme: what `--scheme` says.
struct Scheme {
  WeightScheme weights;
  ActivationKind activations = ActivationKind::BF16;

  bool operator==(const Scheme &) const = default;
};

/// Reads the text form above. Errors (usage): what was expected, and where in the text it was not found.
Result<Scheme> parseScheme(std::string_view text);

/// The text form with every part written out, in the order of the grammar: "w4a8:g64:asym:f16". parseScheme reads it
/// back to an equal scheme.
std::string printScheme(const Scheme &scheme);

/// "a8", "a8g32", "a8s", "a16" or "a32": the part of the text form that says `kind`.
std::string_view activationName(ActivationKind kind);

/// The scale that storing `scale` in `format` (F16, BF16, F32) leaves: nearest even. Infinite if it overflows.
float roundScale(ElementFormat format, float scale);
/// Writes `scale`, rounded, to the info(format).blockBytes bytes at `to`.
void storeScale(ElementFormat format, float scale, std::byte *to);
/// The scale stored at `from`.
float loadScale(ElementFormat format, const std::byte *from);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_SCHEME_H
