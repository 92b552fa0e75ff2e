// The kernel dialect: registration and layout attributes. Ops are in Ops.cpp.
#include "dialects/Kernel/Dialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt::kernel;

#include "dialects/Kernel/Dialect.cpp.inc"
#include "dialects/Kernel/Enums.cpp.inc"
#include "dialects/Kernel/Interfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/Attributes.cpp.inc"

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Kernel/Attributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Kernel/Ops.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Panels
//===----------------------------------------------------------------------===//

static unsigned codeBits(PanelCode code) {
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
  case PanelCode::F32:
    return 32;
  case PanelCode::F16:
  case PanelCode::BF16:
    return 16;
  }
  llvm_unreachable("a panel code without bits");
}

static bool isCode(PanelCode code) {
  return code != PanelCode::F32 && code != PanelCode::F16 && code != PanelCode::BF16;
}

static int64_t highBits(PanelCode code) {
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

/// Inputs of a block: as many as a word of 32 bits has codes, or high bits of codes.
static int64_t blockDepth(PanelCode code, int64_t dot) {
  int64_t bits = codeBits(code), high = highBits(code);
  return bits >= 8 ? dot : 32 / (high != 0 ? high : bits);
}

LogicalResult PanelAttr::verify(function_ref<InFlightDiagnostic()> emitError, PanelCode code, int64_t dot,
                                int64_t group, Type scale, bool zeroPoints) {
  bool quantized = isCode(code);
  bool dotFits = quantized ? dot == 1 || dot == 2 || dot == 4 : code == PanelCode::BF16 ? dot == 2 : dot == 1;
  if (!dotFits) // panel_c1
    return emitError() << "expected a dot of 1, 2 or 4 for codes, 2 for bf16 and 1 for f32 and f16, but got " << dot;
  if (quantized != (scale != nullptr)) // panel_c2
    return emitError() << "expected scales for codes, and for nothing else";
  if (scale && !scale.isF16() && !scale.isBF16() && !scale.isF32()) // panel_c3
    return emitError() << "expected scales of f16, bf16 or f32, but got " << scale;
  if (!quantized && (group != 0 || zeroPoints)) // panel_c4
    return emitError() << "expected a group and zero points for codes only";
  if (group < 0) // panel_c5
    return emitError() << "expected a group of at least 1, or 0 for all inputs, but got " << group;
  int64_t depth = blockDepth(code, dot);
  if (group % depth != 0) // panel_c6
    return emitError() << "expected a group that blocks of " << depth << " inputs divide, but got " << group;
  return success();
}

int64_t PanelAttr::getHighBits() const { return highBits(getCode()); }
int64_t PanelAttr::getBlockDepth() const { return blockDepth(getCode(), getDot()); }
int64_t PanelAttr::getBlockBytes() const { return kOutputs * getBlockDepth() * codeBits(getCode()) / 8; }

int64_t PanelAttr::getGroupCodeBytes(int64_t inputs) const {
  return getGroupSize(inputs) / getBlockDepth() * getBlockBytes();
}

int64_t PanelAttr::getGroupBytes(int64_t inputs) const {
  int64_t bytes = getGroupCodeBytes(inputs);
  if (isQuantized())
    bytes += kOutputs * (getScale().getIntOrFloatBitWidth() + (getZeroPoints() ? getZeroBits() : 0)) / 8;
  return bytes;
}

int64_t PanelAttr::getGroupSize(int64_t inputs) const { return getGroup() ? getGroup() : inputs; }

Type PanelAttr::getScaleType() const { return getScale(); }

bool PanelAttr::hasZeroPoints() const { return getZeroPoints(); }

int64_t PanelAttr::getTileOutputs() const { return kOutputs; }

int64_t PanelAttr::getTileBytes(int64_t inputs) const { return inputs / getGroupSize(inputs) * getGroupBytes(inputs); }

unsigned PanelAttr::getCodeBits() const { return codeBits(getCode()); }

int64_t PanelAttr::getBitOffset(int64_t inputs, int64_t outputInTile, int64_t input, unsigned bit) const {
  int64_t group = input / getGroupSize(inputs), inGroup = input % getGroupSize(inputs);
  int64_t block = inGroup / getBlockDepth(), inBlock = inGroup % getBlockDepth();
  int64_t bits = codeBits(getCode());
  int64_t start = 8 * (group * getGroupBytes(inputs) + block * getBlockBytes());
  // Within a word of 32 bits, a shift by bits·step leaves the step's `dot` codes at equal distances.
  auto inWord = [&](int64_t word, int64_t bits, int64_t input) {
    int64_t steps = 32 / bits / getDot(), step = input / getDot(), element = input % getDot();
    return start + 32 * word + bits * (element * steps + step);
  };
  if (bits >= 8)
    return start + (outputInTile * getBlockDepth() + inBlock) * bits + bit;
  int64_t high = getHighBits(), low = bits - high;
  if (bit >= low)
    return inWord(low / high * kOutputs + outputInTile, high, inBlock) + bit - low;
  int64_t depth = 32 / low;
  return inWord(inBlock / depth * kOutputs + outputInTile, low, inBlock % depth) + bit;
}

LogicalResult PanelAttr::verifyShape(function_ref<InFlightDiagnostic()> emitError, int64_t outputs,
                                     int64_t inputs) const {
  if (outputs <= 0 || inputs <= 0) // panel_c7
    return emitError() << "expected a matrix, but got " << outputs << "x" << inputs;
  if (inputs % getGroupSize(inputs) != 0) // panel_c8
    return emitError() << "expected a group that divides " << inputs << " inputs, but got " << getGroup();
  if (getGroupSize(inputs) % getBlockDepth() != 0) // panel_c9
    return emitError() << "expected inputs that blocks of " << getBlockDepth() << " divide, but got " << inputs;
  // No element takes more than 4 bytes of code, 4 of scale and 1 of zero point; the last tile has 15 rows to spare.
  int64_t elements = 0;
  if (outputs > kMaxElements || inputs > kMaxElements || llvm::MulOverflow(outputs + kOutputs, inputs, elements) ||
      elements > kMaxElements) // panel_c10
    return emitError() << "expected at most " << kMaxElements << " elements, but got " << outputs << "x" << inputs;
  return success();
}
