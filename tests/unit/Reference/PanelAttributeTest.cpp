// #kernel.panel and lib/Numerics/Panel.h describe the same bytes: sizes, and where each element's code lies.
#include "dialects/Kernel/Dialect.h"
#include "lib/Numerics/Panel.h"

#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <vector>

using namespace qopt;

namespace {

struct Case {
  kernel::PanelCode code;
  int dot;
  int64_t group;
  const char *scale; ///< "f16", "bf16", "f32", or null
  bool zeroPoints;
};

mlir::Type scaleType(mlir::MLIRContext &context, const char *name) {
  if (!name)
    return {};
  std::string_view text = name;
  if (text == "f16")
    return mlir::Float16Type::get(&context);
  if (text == "bf16")
    return mlir::BFloat16Type::get(&context);
  return mlir::Float32Type::get(&context);
}

std::vector<Case> allCases() {
  std::vector<Case> cases{{kernel::PanelCode::F32, 1, 0, nullptr, false},
                          {kernel::PanelCode::F16, 1, 0, nullptr, false},
                          {kernel::PanelCode::BF16, 2, 0, nullptr, false}};
  using kernel::PanelCode;
  for (auto [code, group] : {std::pair<PanelCode, int64_t>{PanelCode::U2, 16},
                             {PanelCode::U2, 32},
                             {PanelCode::U2, 0},
                             {PanelCode::U3, 32},
                             {PanelCode::U3, 0},
                             {PanelCode::U4, 8},
                             {PanelCode::U4, 16},
                             {PanelCode::U4, 0},
                             {PanelCode::U5, 32},
                             {PanelCode::U5, 0},
                             {PanelCode::U6, 16},
                             {PanelCode::U6, 32},
                             {PanelCode::U6, 0},
                             {PanelCode::U8, 8},
                             {PanelCode::U8, 16},
                             {PanelCode::U8, 0}})
    for (int dot : {1, 2, 4})
      for (const char *scale : {"f16", "bf16", "f32"})
        for (bool zeroPoints : {false, true})
          cases.push_back({code, dot, group, scale, zeroPoints});
  return cases;
}

TEST(PanelAttribute, agreesWithNumerics) {
  mlir::MLIRContext context;
  context.loadDialect<kernel::KernelDialect>();
  constexpr int64_t rows = 19, inputs = 64; // a last panel that is not full
  for (const Case &c : allCases()) {
    SCOPED_TRACE(testing::Message() << "code " << static_cast<int>(c.code) << " dot " << c.dot << " group " << c.group
                                    << " scale " << (c.scale ? c.scale : "none") << " zero points " << c.zeroPoints);
    auto attribute =
        kernel::PanelAttr::get(&context, c.code, c.dot, c.group, scaleType(context, c.scale), c.zeroPoints);
    PanelLayout layout;
    layout.dot = c.dot;
    layout.code = static_cast<PanelCode>(c.code);
    layout.group = c.group ? c.group : inputs;
    layout.scale = c.scale ? parseElementFormat(c.scale).value() : ElementFormat::F16;
    layout.zeroPoints = c.zeroPoints;
    ASSERT_TRUE(static_cast<bool>(layout.validate(rows, inputs)));

    EXPECT_EQ(attribute.getTileOutputs(), layout.rows);
    EXPECT_EQ(attribute.getBlockDepth(), layout.blockDepth());
    EXPECT_EQ(attribute.getBlockBytes(), layout.blockBytes());
    EXPECT_EQ(attribute.getGroupBytes(inputs), layout.groupBytes());
    EXPECT_EQ(attribute.getTileBytes(inputs), layout.panelBytes(inputs));
    EXPECT_EQ(static_cast<int>(attribute.getCodeBits()), layout.codeBits());
    EXPECT_EQ(attribute.getGroupSize(inputs), layout.group);

    // Set each bit of each code alone: lib/Numerics must find it there, and nowhere else.
    std::vector<std::byte> panels(static_cast<size_t>(layout.totalBytes(rows, inputs)));
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t input = 0; input < inputs; ++input) {
        int64_t start = 8 * (row / layout.rows) * layout.panelBytes(inputs);
        for (unsigned bit = 0; bit < attribute.getCodeBits(); ++bit) {
          int64_t at = start + attribute.getBitOffset(inputs, row % layout.rows, input, bit);
          std::byte &byte = panels[static_cast<size_t>(at / 8)];
          byte |= std::byte{1} << (at % 8);
          EXPECT_EQ(unpackElement(layout, inputs, panels, row, input).code, 1u << bit) << row << ", " << input;
          EXPECT_EQ(unpackElement(layout, inputs, panels, row, (input + 1) % inputs).code, 0u) << row << ", " << input;
          byte = std::byte{0};
        }
      }
  }
}

} // namespace
