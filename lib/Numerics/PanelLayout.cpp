// Sizes and checks of panel layouts; Panel.cpp moves the data.
#include "lib/Numerics/Panel.h"

namespace qopt {

static constexpr int panelRows = 16;

std::string_view panelCodeName(PanelCode code) {
  switch (code) {
  case PanelCode::U4:
    return "u4";
  case PanelCode::U8:
    return "u8";
  case PanelCode::F32:
    return "f32";
  case PanelCode::F16:
    return "f16";
  case PanelCode::BF16:
    return "bf16";
  case PanelCode::U2:
    return "u2";
  case PanelCode::U3:
    return "u3";
  case PanelCode::U5:
    return "u5";
  case PanelCode::U6:
    return "u6";
  }
  return {};
}

static PanelCode codeOfBits(int bits) {
  switch (bits) {
  case 2:
    return PanelCode::U2;
  case 3:
    return PanelCode::U3;
  case 4:
    return PanelCode::U4;
  case 5:
    return PanelCode::U5;
  case 6:
    return PanelCode::U6;
  default:
    return PanelCode::U8;
  }
}

PanelLayout PanelLayout::quantized(const WeightScheme &scheme, int dot, int64_t k) {
  PanelLayout layout;
  layout.dot = dot;
  layout.code = codeOfBits(scheme.bits);
  layout.group = scheme.groupSize(k);
  layout.scale = scheme.scale;
  layout.zeroPoints = !scheme.symmetric;
  return layout;
}

PanelLayout PanelLayout::unquantized(PanelCode code, int64_t k) {
  PanelLayout layout;
  layout.dot = code == PanelCode::BF16 ? 2 : 1;
  layout.code = code;
  layout.group = k;
  return layout;
}

int PanelLayout::codeBits() const {
  switch (code) {
  case PanelCode::U2:
    return 2;
  case PanelCode::U3:
    return 3;
  case PanelCode::U4:
    return 4;
  case PanelCode::U5:
    return 5;
  case PanelCode::U6:
    return 6;
  case PanelCode::U8:
    return 8;
  case PanelCode::F16:
  case PanelCode::BF16:
    return 16;
  case PanelCode::F32:
    return 32;
  }
  return 0;
}

int PanelLayout::impliedZero() const { return isQuantized() ? 1 << (codeBits() - 1) : 0; }

int PanelLayout::highBits() const {
  switch (code) {
  case PanelCode::U3:
  case PanelCode::U5:
    return 1;
  case PanelCode::U6:
    return 2;
  default:
    return 0;
  }
}

int64_t PanelLayout::blockDepth() const {
  // As many as one word of each row has codes, or high bits of codes.
  return codeBits() >= 8 ? dot : 32 / (highBits() != 0 ? highBits() : codeBits());
}

int64_t PanelLayout::blockBytes() const { return panelRows * blockDepth() * codeBits() / 8; }

int64_t PanelLayout::groupBytes() const {
  int64_t bytes = group / blockDepth() * blockBytes();
  if (isQuantized())
    bytes += panelRows *
             (8 * static_cast<int64_t>(info(scale).blockBytes) + (zeroPoints ? zeroPointBits(codeBits()) : 0)) / 8;
  return bytes;
}

int64_t PanelLayout::panelBytes(int64_t k) const { return k / group * groupBytes(); }

int64_t PanelLayout::panelCount(int64_t n) const { return n / panelRows + (n % panelRows != 0); }

int64_t PanelLayout::totalBytes(int64_t n, int64_t k) const { return panelCount(n) * panelBytes(k); }

static bool hasDot(PanelCode code, int dot) {
  switch (code) {
  case PanelCode::U2:
  case PanelCode::U3:
  case PanelCode::U4:
  case PanelCode::U5:
  case PanelCode::U6:
  case PanelCode::U8:
    return dot == 4 || dot == 2 || dot == 1;
  case PanelCode::BF16:
    return dot == 2;
  case PanelCode::F32:
  case PanelCode::F16:
    return dot == 1;
  }
  return false;
}

Status PanelLayout::validate(int64_t n, int64_t k) const {
  const std::string name(panelCodeName(code));
  if (rows != panelRows)
    return badInput("expected panels of 16 rows, but got " + std::to_string(rows));
  if (!hasDot(code, dot))
    return badInput("expected a dot width that panels of " + name + " have, but got " + std::to_string(dot));
  if (isQuantized() && scale != ElementFormat::F16 && scale != ElementFormat::BF16 && scale != ElementFormat::F32)
    return badInput("expected scales in f16, bf16 or f32, but got " + std::string(info(scale).name));
  if (n < 1 || k < 1)
    return badInput("expected weights of at least one row and column, but got " + std::to_string(n) + " by " +
                    std::to_string(k));
  if (group < 1 || k % group != 0)
    return badInput("expected a group that divides the row, but " + std::to_string(group) + " does not divide " +
                    std::to_string(k));
  if (group % blockDepth() != 0)
    return badInput("expected a group that is a multiple of " + std::to_string(blockDepth()) +
                    ", the depth of a block of " + name + ", but got " + std::to_string(group));
  if (!isQuantized() && (group != k || zeroPoints))
    return badInput("expected unquantized panels to have one group and no zero points, but got a group of " +
                    std::to_string(group) + " in rows of " + std::to_string(k) +
                    (zeroPoints ? " with zero points" : ""));
  // No element takes more than 4 bytes of code, 4 of scale and 1 of zero point.
  constexpr int64_t limit = int64_t{1} << 62;
  if (panelCount(n) > limit / (panelRows * 9) / k)
    return badInput("expected less than 2^62 bytes, but got weights of " + std::to_string(n) + " by " +
                    std::to_string(k));
  return {};
}

} // namespace qopt
