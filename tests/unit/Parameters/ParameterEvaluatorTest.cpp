// Entries of each encoding, each op of an initializer, and what is refused. Archives are written by the test, so that
// every number is known.
#include "lib/Parameters/ParameterEvaluator.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Numerics/Float.h"
#include "lib/Numerics/Panel.h"
#include "lib/Numerics/RoundToNearest.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <filesystem>
#include <gtest/gtest.h>

using namespace qopt;

namespace {
/// A folder with an archive of small tensors, and modules over it.
class Evaluator : public testing::Test {
protected:
  Evaluator() {
    context.loadDialect<transformer::TransformerDialect, lowbit::LowBitDialect, kernel::KernelDialect,
                        mlir::func::FuncDialect>();
    context.getDiagEngine().registerHandler([](mlir::Diagnostic &) { return mlir::success(); });
    folder = testing::TempDir() + "/qopt-evaluator-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder);
    for (int i = 0; i < 64; ++i) {
      rows.push_back(static_cast<float>(i) - 20.5f);
      halves.push_back(floatToHalf(rows.back()));
      codes.push_back(static_cast<uint8_t>(i * 37));
    }
    write("f32", rows), write("f16", halves), write("u8", codes), write("threes", codes, 48);
    auto plan = planSafetensors({{"f32", ElementFormat::F32, {8, 8}},
                                 {"f16", ElementFormat::F16, {8, 8}},
                                 {"u8", ElementFormat::U8, {8, 8}},
                                 {"threes", ElementFormat::U8, {8, 6}}});
    auto writer = SafetensorsWriter::create(folder + "/a.safetensors", *plan, {});
    for (const auto &[name, bytes] : data)
      EXPECT_TRUE(writer->append(name, bytes));
    EXPECT_TRUE(writer->commit());
    archive = *Archive::open(folder + "/a.safetensors");
  }
  ~Evaluator() override { std::filesystem::remove_all(folder); }

  template <typename T> void write(const char *name, const std::vector<T> &all, size_t count = 64) {
    std::span<const T> values = std::span(all).first(count);
    auto bytes = std::as_bytes(values);
    data.push_back({name, std::vector<std::byte>(bytes.begin(), bytes.end())});
  }

  /// A module whose archive @a is the test's, and `text`.
  void parse(const std::string &text, std::string digest = {}) {
    if (digest.empty())
      digest = archive->headerDigest();
    module = mlir::parseSourceString<mlir::ModuleOp>("transformer.archive @a \"a.safetensors\" size " +
                                                         std::to_string(archive->fileSize()) + " header \"" + digest +
                                                         "\"\n" + text,
                                                     &context);
    ASSERT_TRUE(module);
  }
  Result<HostTensor> evaluate(const char *name) {
    auto opened = ParameterEvaluator::open(*module, folder);
    if (!opened)
      return opened.takeError();
    evaluator = std::move(*opened);
    return evaluator->evaluate(module->lookupSymbol<transformer::ParameterOp>(name));
  }
  std::vector<float> floats(const char *name) {
    Result<HostTensor> tensor = evaluate(name);
    EXPECT_TRUE(tensor) << (tensor ? "" : tensor.error().format());
    if (!tensor)
      return {};
    FloatView view = viewAsF32(*tensor);
    return {view.values.begin(), view.values.end()};
  }
  std::string message(const char *name) {
    Result<HostTensor> tensor = evaluate(name);
    EXPECT_FALSE(tensor);
    return tensor ? "" : tensor.error().format();
  }

  mlir::MLIRContext context;
  std::string folder;
  std::vector<float> rows;
  std::vector<uint16_t> halves;
  std::vector<uint8_t> codes;
  std::vector<std::pair<std::string, std::vector<std::byte>>> data;
  std::shared_ptr<const Archive> archive;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<ParameterEvaluator> evaluator;
};
} // namespace

static constexpr const char *entries = R"(
  transformer.parameter @f32 : tensor<8x8xf32> from <@a, "f32", f32>
  transformer.parameter @f16 : tensor<8x8xf16> from <@a, "f16", f16>
  transformer.parameter @widened : tensor<8x8xf32> from <@a, "f16", f16>
  transformer.parameter @bytes : tensor<8x8xi8> from <@a, "u8", u8>
  transformer.parameter @nibbles : tensor<8x16xi4> from <@a, "u8", packed_u4>
  transformer.parameter @pairs : tensor<8x32xi2> from <@a, "u8", packed_u2>
  transformer.parameter @threes : tensor<8x16xi3> from <@a, "threes", packed_u3>
)";

TEST_F(Evaluator, Entries) {
  parse(entries);
  Result<HostTensor> f32 = evaluate("f32");
  ASSERT_TRUE(f32);
  // A view into the mapping, not a copy.
  auto mapped = evaluator->archive("a")->bytes(*evaluator->archive("a")->find("f32"));
  EXPECT_EQ(f32->bytes.data(), mapped.data());
  EXPECT_EQ(floats("f32"), rows);
  EXPECT_EQ(floats("f16"), rows);
  EXPECT_EQ(floats("widened"), rows);
  Result<HostTensor> bytes = evaluate("bytes"), nibbles = evaluate("nibbles");
  ASSERT_TRUE(bytes && nibbles);
  ASSERT_EQ(bytes->bytes.size(), 64u);
  ASSERT_EQ(nibbles->bytes.size(), 128u);
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(static_cast<uint8_t>(bytes->bytes[i]), codes[i]);
    EXPECT_EQ(static_cast<uint8_t>(nibbles->bytes[2 * i]), codes[i] & 15);
    EXPECT_EQ(static_cast<uint8_t>(nibbles->bytes[2 * i + 1]), codes[i] >> 4);
  }
  Result<HostTensor> pairs = evaluate("pairs"), threes = evaluate("threes");
  ASSERT_TRUE(pairs && threes);
  ASSERT_EQ(pairs->bytes.size(), 256u);
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(static_cast<int>(pairs->bytes[i]), codes[i / 4] >> (i % 4 * 2) & 3);
  ASSERT_EQ(threes->bytes.size(), 128u);
  for (int i = 0; i < 128; ++i) {
    int code = 0;
    for (int bit = 0; bit < 3; ++bit)
      code |= (codes[(3 * i + bit) / 8] >> ((3 * i + bit) % 8) & 1) << bit;
    EXPECT_EQ(static_cast<int>(threes->bytes[i]), code) << i;
  }
}

TEST_F(Evaluator, RowsMove) {
  parse(std::string(entries) + R"(
  transformer.parameter @joined : tensor<16x8xf32> {
    %0 = transformer.get @f32 : tensor<8x8xf32>
    %1 = transformer.get @widened : tensor<8x8xf32>
    %2 = transformer.concat %0, %1 interleave 2 : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<16x8xf32>
    transformer.yield %2 : tensor<16x8xf32>
  }
  transformer.parameter @rotary : tensor<8x8xf32> {
    %0 = transformer.get @f32 : tensor<8x8xf32>
    %1 = transformer.unpermute_rotary %0 heads 2 : tensor<8x8xf32>
    transformer.yield %1 : tensor<8x8xf32>
  }
  transformer.parameter @codes : tensor<16x16xi4> {
    %0 = transformer.get @nibbles : tensor<8x16xi4>
    %1 = transformer.unpermute_rotary %0 heads 2 : tensor<8x16xi4>
    %2 = transformer.concat %0, %1 : (tensor<8x16xi4>, tensor<8x16xi4>) -> tensor<16x16xi4>
    transformer.yield %2 : tensor<16x16xi4>
  }
  transformer.parameter @joinedThrees : tensor<16x16xi3> {
    %0 = transformer.get @threes : tensor<8x16xi3>
    %1 = transformer.unpermute_rotary %0 heads 2 : tensor<8x16xi3>
    %2 = transformer.concat %0, %1 interleave 4 : (tensor<8x16xi3>, tensor<8x16xi3>) -> tensor<16x16xi3>
    transformer.yield %2 : tensor<16x16xi3>
  })");
  std::vector<float> joined = floats("joined");
  ASSERT_EQ(joined.size(), 128u);
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < 8; ++k)
      EXPECT_EQ(joined[row * 8 + k], rows[(row / 4 * 2 + row % 2) * 8 + k]) << row;
  // Heads of 4 rows, stored as pairs: 0 and 1 of a pair go to the halves.
  constexpr int source[8] = {0, 2, 1, 3, 4, 6, 5, 7};
  std::vector<float> rotary = floats("rotary");
  ASSERT_EQ(rotary.size(), 64u);
  Result<HostTensor> moved = evaluate("codes");
  ASSERT_TRUE(moved);
  ASSERT_EQ(moved->bytes.size(), 256u);
  for (int row = 0; row < 8; ++row)
    for (int k = 0; k < 8; ++k) {
      EXPECT_EQ(rotary[row * 8 + k], rows[source[row] * 8 + k]);
      EXPECT_EQ(static_cast<uint8_t>(moved->bytes[(8 + row) * 16 + 2 * k]), codes[source[row] * 8 + k] & 15);
    }
  Result<HostTensor> threes = evaluate("threes"), joinedThrees = evaluate("joinedThrees");
  ASSERT_TRUE(threes && joinedThrees);
  ASSERT_EQ(joinedThrees->bytes.size(), 256u);
  for (int row = 0; row < 16; ++row) {
    int from = row / 8 * 4 + row % 4;
    auto wanted = threes->bytes.subspan((row % 8 < 4 ? from : source[from]) * 16, 16);
    EXPECT_TRUE(std::ranges::equal(joinedThrees->bytes.subspan(row * 16, 16), wanted)) << row;
  }
}

TEST_F(Evaluator, QuantizePackDequantize) {
  parse(R"(
  transformer.parameter @w : tensor<8x8xf32> from <@a, "f32", f32>
  transformer.parameter @roundtrip : tensor<8x8xf32> {
    %w = transformer.get @w : tensor<8x8xf32>
    %c, %s, %z = lowbit.quantize %w <bits = 4, symmetric = false, group = 0, scale = f16>
        : tensor<8x8xf32> -> tensor<8x8xi4>, tensor<8x1xf16>, tensor<8x1xi8>
    %0 = lowbit.dequantize %c, %s zeros %z <bits = 4, symmetric = false, group = 0, scale = f16>
        : (tensor<8x8xi4>, tensor<8x1xf16>, tensor<8x1xi8>) -> tensor<8x8xf32>
    transformer.yield %0 : tensor<8x8xf32>
  }
  transformer.parameter @packed : tensor<1x104xi8> {
    %w = transformer.get @w : tensor<8x8xf32>
    %c, %s, %z = lowbit.quantize %w <bits = 4, symmetric = false, group = 0, scale = f16>
        : tensor<8x8xf32> -> tensor<8x8xi4>, tensor<8x1xf16>, tensor<8x1xi8>
    %0 = lowbit.pack %c scales %s zeros %z layout(#kernel.panel<code = u4, dot = 4, scale = f16, zeroPoints = true>)
        : (tensor<8x8xi4>, tensor<8x1xf16>, tensor<8x1xi8>) -> tensor<1x104xi8>
    transformer.yield %0 : tensor<1x104xi8>
  }
  transformer.parameter @plain : tensor<1x512xi8> {
    %w = transformer.get @w : tensor<8x8xf32>
    %0 = lowbit.pack %w layout(#kernel.panel<code = f32, dot = 1>) : (tensor<8x8xf32>) -> tensor<1x512xi8>
    transformer.yield %0 : tensor<1x512xi8>
  })");
  WeightScheme scheme{4, /*symmetric=*/false, /*group=*/0, ElementFormat::F16};
  std::vector<uint8_t> wantedCodes(64), zeros(8);
  std::vector<std::byte> scales(16);
  std::vector<float> wanted(64);
  QuantizedRows quantized{wantedCodes, scales, zeros};
  ASSERT_TRUE(quantizeRoundToNearest(scheme, 8, 8, rows, quantized));
  ASSERT_TRUE(dequantizeRows(scheme, 8, 8, quantized, wanted));
  EXPECT_EQ(floats("roundtrip"), wanted);
  Result<HostTensor> packed = evaluate("packed"), plain = evaluate("plain");
  ASSERT_TRUE(packed && plain);
  for (int row = 0; row < 8; ++row)
    for (int k = 0; k < 8; ++k) {
      EXPECT_EQ(unpackElement(PanelLayout::quantized(scheme, 4, 8), 8, packed->bytes, row, k).value,
                wanted[row * 8 + k]);
      EXPECT_EQ(unpackElement(PanelLayout::unquantized(PanelCode::F32, 8), 8, plain->bytes, row, k).value,
                rows[row * 8 + k]);
    }
}

TEST_F(Evaluator, Refuses) {
  parse(std::string(entries) + R"(
  transformer.parameter @missing : tensor<8x8xf32> from <@a, "f33", f32>
  transformer.parameter @misshapen : tensor<8x4xf32> from <@a, "f32", f32>
  transformer.parameter @otherFormat : tensor<8x8xf32> from <@a, "f16", f32>
  transformer.parameter @narrow : tensor<8x16xi3> from <@a, "u8", packed_u3>
  transformer.parameter @shape : tensor<8x8xf32>
  transformer.parameter @loop : tensor<8x8xf32> {
    %0 = transformer.get @loop2 : tensor<8x8xf32>
    transformer.yield %0 : tensor<8x8xf32>
  }
  transformer.parameter @loop2 : tensor<8x8xf32> {
    %0 = transformer.get @loop : tensor<8x8xf32>
    transformer.yield %0 : tensor<8x8xf32>
  })");
  EXPECT_NE(message("missing").find("f33"), std::string::npos);
  EXPECT_NE(message("misshapen").find("f32 x 8 x 4"), std::string::npos);
  EXPECT_NE(message("otherFormat").find("f16 [8, 8]"), std::string::npos);
  EXPECT_NE(message("narrow").find("expected elements packed_u3 x 8 x 16, but got u8 [8, 8]"), std::string::npos)
      << message("narrow");
  EXPECT_NE(message("shape").find("only a shape"), std::string::npos);
  EXPECT_NE(message("loop").find("does not need itself"), std::string::npos);
}

TEST_F(Evaluator, RefusesAnotherFile) {
  parse(entries, "sha256:00");
  EXPECT_NE(message("f32").find("expected a header with digest sha256:00"), std::string::npos);
  std::filesystem::remove(folder + "/a.safetensors");
  EXPECT_NE(message("f32").find("transformer.archive @a"), std::string::npos);
}
