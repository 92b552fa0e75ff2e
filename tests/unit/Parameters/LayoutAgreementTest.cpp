// The layout attribute of the IR and the layout of lib/Numerics are two statements of one thing: they must agree on
// every size and on where every element lies.
#include "dialects/Kernel/Dialect.h"
#include "lib/Parameters/SchemeAttributes.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace qopt;

namespace {
struct Kind {
  kernel::PanelCode code;
  int64_t dot;
  int64_t group;
  bool zeroPoints;
};

class LayoutAgreement : public testing::TestWithParam<Kind> {
protected:
  LayoutAgreement() { context.loadDialect<kernel::KernelDialect>(); }

  bool quantized() const {
    kernel::PanelCode code = GetParam().code;
    return code != kernel::PanelCode::F32 && code != kernel::PanelCode::F16 && code != kernel::PanelCode::BF16;
  }
  kernel::PanelAttr attribute(mlir::Type scale) {
    const Kind &kind = GetParam();
    return kernel::PanelAttr::get(&context, kind.code, kind.dot, kind.group, scale, kind.zeroPoints);
  }
  std::vector<mlir::Type> scales() {
    if (!quantized())
      return {mlir::Type()};
    return {mlir::Float16Type::get(&context), mlir::BFloat16Type::get(&context), mlir::Float32Type::get(&context)};
  }

  mlir::MLIRContext context;
};
} // namespace

TEST_P(LayoutAgreement, Sizes) {
  for (mlir::Type scale : scales()) {
    kernel::PanelAttr attr = attribute(scale);
    for (int64_t inputs : {64, 192, 576, 1536}) {
      PanelLayout layout = toPanelLayout(attr, inputs);
      ASSERT_TRUE(static_cast<bool>(layout.validate(40, inputs))) << inputs;
      EXPECT_EQ(attr.getTileOutputs(), layout.rows);
      EXPECT_EQ(attr.getCodeBits(), static_cast<unsigned>(layout.codeBits()));
      EXPECT_EQ(attr.getBlockDepth(), layout.blockDepth());
      EXPECT_EQ(attr.getBlockBytes(), layout.blockBytes());
      EXPECT_EQ(attr.getGroupBytes(inputs), layout.groupBytes());
      EXPECT_EQ(attr.getTileBytes(inputs), layout.panelBytes(inputs));
    }
  }
}

// Sets one element's code in a panel that is otherwise zero, through the attribute's bit offset, and reads it back
// through lib/Numerics; then looks for it in all the other places.
TEST_P(LayoutAgreement, BitOffsets) {
  constexpr int64_t inputs = 128;
  kernel::PanelAttr attr = attribute(scales().front());
  PanelLayout layout = toPanelLayout(attr, inputs);
  unsigned bits = attr.getCodeBits();
  std::vector<std::byte> panel(layout.panelBytes(inputs));
  for (int64_t row = 0; row < layout.rows; ++row)
    for (int64_t column = 0; column < inputs; ++column) {
      for (unsigned bit = 0; bit < bits; ++bit) {
        int64_t offset = attr.getBitOffset(inputs, row, column, bit);
        ASSERT_LT(offset, panel.size() * 8);
        panel[offset / 8] |= std::byte{1} << (offset % 8);
      }
      uint32_t code = unpackElement(layout, inputs, panel, row, column).code;
      EXPECT_EQ(code, UINT32_MAX >> (32 - bits)) << row << ", " << column;
      // One neighbour in each direction: an offset that overlaps another element's would show there.
      EXPECT_EQ(unpackElement(layout, inputs, panel, (row + 1) % layout.rows, column).code, 0u);
      EXPECT_EQ(unpackElement(layout, inputs, panel, row, (column + 1) % inputs).code, 0u);
      std::ranges::fill(panel, std::byte{0});
    }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, LayoutAgreement,
    testing::Values(Kind{kernel::PanelCode::U4, 4, 64, false}, Kind{kernel::PanelCode::U4, 4, 32, true},
                    Kind{kernel::PanelCode::U4, 2, 64, false}, Kind{kernel::PanelCode::U4, 2, 32, true},
                    Kind{kernel::PanelCode::U4, 1, 64, false}, Kind{kernel::PanelCode::U4, 4, 0, false},
                    Kind{kernel::PanelCode::U4, 2, 0, true}, Kind{kernel::PanelCode::U8, 4, 64, false},
                    Kind{kernel::PanelCode::U8, 4, 32, true}, Kind{kernel::PanelCode::U8, 2, 64, false},
                    Kind{kernel::PanelCode::U8, 1, 32, true}, Kind{kernel::PanelCode::U8, 4, 0, true},
                    Kind{kernel::PanelCode::U2, 4, 64, false}, Kind{kernel::PanelCode::U2, 2, 32, true},
                    Kind{kernel::PanelCode::U2, 1, 0, true}, Kind{kernel::PanelCode::U3, 4, 32, true},
                    Kind{kernel::PanelCode::U3, 2, 64, false}, Kind{kernel::PanelCode::U3, 1, 64, true},
                    Kind{kernel::PanelCode::U3, 4, 0, false}, Kind{kernel::PanelCode::U5, 4, 32, true},
                    Kind{kernel::PanelCode::U5, 2, 64, false}, Kind{kernel::PanelCode::U5, 1, 0, true},
                    Kind{kernel::PanelCode::U6, 4, 0, false}, Kind{kernel::PanelCode::U6, 2, 32, true},
                    Kind{kernel::PanelCode::U6, 1, 64, false}, Kind{kernel::PanelCode::F32, 1, 0, false},
                    Kind{kernel::PanelCode::F16, 1, 0, false}, Kind{kernel::PanelCode::BF16, 2, 0, false}));
