// Schemes: their text form, what they refuse, and the storage of scales.
#include "lib/Numerics/Scheme.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

using namespace qopt;

static Scheme scheme(int bits, ActivationKind activations, int64_t group, bool symmetric, ElementFormat scale) {
  return {WeightScheme{bits, symmetric, group, scale}, activations};
}

TEST(Scheme, defaultsAreStated) {
  Result<Scheme> parsed = parseScheme("w4a8");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, scheme(4, ActivationKind::I8PerToken, 64, true, ElementFormat::F16));
  EXPECT_EQ(printScheme(*parsed), "w4a8:g64:sym:f16");
}

TEST(Scheme, everyPartIsRead) {
  EXPECT_EQ(*parseScheme("w4a8:g64:asym:f16"), scheme(4, ActivationKind::I8PerToken, 64, false, ElementFormat::F16));
  EXPECT_EQ(*parseScheme("w8a8g32:channel:bf16"), scheme(8, ActivationKind::I8PerGroup, 0, true, ElementFormat::BF16));
  EXPECT_EQ(*parseScheme("w8a16:f32:asym:g256"), scheme(8, ActivationKind::BF16, 256, false, ElementFormat::F32));
  EXPECT_EQ(*parseScheme("w4a32:sym:g128"), scheme(4, ActivationKind::F32, 128, true, ElementFormat::F16));
  EXPECT_EQ(*parseScheme("w3a8:g32:asym"), scheme(3, ActivationKind::I8PerToken, 32, false, ElementFormat::F16));
  EXPECT_EQ(*parseScheme("w2a16"), scheme(2, ActivationKind::BF16, 64, true, ElementFormat::F16));
  EXPECT_EQ(*parseScheme("w5a16:g32"), scheme(5, ActivationKind::BF16, 32, true, ElementFormat::F16));
  EXPECT_EQ(*parseScheme("w6a32:channel:asym"), scheme(6, ActivationKind::F32, 0, false, ElementFormat::F16));
  EXPECT_EQ(*parseScheme("w4a8t"), *parseScheme("w4a8"));
  EXPECT_EQ(*parseScheme("w8a8s:channel"), scheme(8, ActivationKind::I8Static, 0, true, ElementFormat::F16));
}

RC_GTEST_PROP(Scheme, printedSchemesParseBack, ()) {
  Scheme original = scheme(*rc::gen::element(2, 3, 4, 5, 6, 8),
                           *rc::gen::element(ActivationKind::F32, ActivationKind::BF16, ActivationKind::I8PerToken,
                                             ActivationKind::I8PerGroup, ActivationKind::I8Static),
                           *rc::gen::element<int64_t>(0, 32, 64, 128, 256), *rc::gen::arbitrary<bool>(),
                           *rc::gen::element(ElementFormat::F16, ElementFormat::BF16, ElementFormat::F32));
  Result<Scheme> parsed = parseScheme(printScheme(original));
  RC_ASSERT(static_cast<bool>(parsed));
  RC_ASSERT(*parsed == original);
  RC_ASSERT(static_cast<bool>(original.weights.validate()));
}

TEST(Scheme, otherTextIsRefused) {
  for (const char *text : {"",
                           "w",
                           "w4",
                           "w4a",
                           "w4a4",
                           "w1a8",
                           "w7a8",
                           "w34a8",
                           "w16a16",
                           "4a8",
                           "W4A8",
                           "w4a8g64",
                           "w4a16s",
                           "w4a8st",
                           "w4a8:",
                           "w4a8::sym",
                           "w4a8:g16",
                           "w4a8:g064",
                           "w4a8:g64x",
                           "w4a8:f64",
                           "w4a8:q4_0",
                           "w4a8:symm",
                           "w4a8:g32:g64",
                           "w4a8:sym:asym",
                           "w4a8:sym:sym",
                           "w4a8:f16:bf16",
                           "w4a8:g64:channel",
                           " w4a8",
                           "w4a8:g64 "}) {
    Result<Scheme> parsed = parseScheme(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().errorClass, ErrorClass::Usage);
    EXPECT_EQ(parsed.error().where, "scheme '" + std::string(text) + "'");
    EXPECT_NE(parsed.error().next.find("w4a8:g64:asym:f16"), std::string::npos);
  }
  EXPECT_EQ(parseScheme("w4a8:g48").error().rule,
            "expected a group (g32, g64, g128, g256, channel), sym, asym, f16, bf16 or f32, but got 'g48'");
  EXPECT_EQ(parseScheme("w4a8:\x1B").error().where, "scheme 'w4a8:\\x1B'");
}

TEST(Scheme, validateRefusesWhatIsNotImplemented) {
  EXPECT_EQ((WeightScheme{7, true, 64, ElementFormat::F16}).validate().error().rule,
            "expected weights of 2, 3, 4, 5, 6 or 8 bits, but got 7");
  EXPECT_EQ((WeightScheme{4, true, 48, ElementFormat::F16}).validate().error().rule,
            "expected a group of 32, 64, 128 or 256 weights, or one per row, but got 48");
  EXPECT_FALSE((WeightScheme{4, true, -64, ElementFormat::F16}).validate());
  EXPECT_EQ((WeightScheme{4, true, 64, ElementFormat::Q8_0}).validate().error().rule,
            "expected scales in f16, bf16 or f32, but got q8_0");
}

TEST(Scheme, groupMustDivideTheRow) {
  EXPECT_TRUE((WeightScheme{4, true, 64, ElementFormat::F16}).validate(576));
  EXPECT_EQ((WeightScheme{4, true, 128, ElementFormat::F16}).validate(576).error().rule,
            "expected a group that divides the row, but 128 does not divide 576");
  EXPECT_TRUE((WeightScheme{4, true, 0, ElementFormat::F16}).validate(577));
  EXPECT_FALSE((WeightScheme{4, true, 0, ElementFormat::F16}).validate(0));
}

TEST(Scheme, countsItsBits) {
  EXPECT_EQ((WeightScheme{4, true, 64, ElementFormat::F16}).bitsPerRow(576), 576u * 4 + 9 * 16);
  EXPECT_EQ((WeightScheme{4, false, 64, ElementFormat::F16}).bitsPerRow(576), 576u * 4 + 9 * 20);
  EXPECT_EQ((WeightScheme{3, false, 64, ElementFormat::F16}).bitsPerRow(576), 576u * 3 + 9 * 20);
  EXPECT_EQ((WeightScheme{8, false, 0, ElementFormat::F32}).bitsPerRow(576), 576u * 8 + 40);
  EXPECT_EQ((WeightScheme{4, true, 64, ElementFormat::F16}).groupsPerRow(576), 9);
  EXPECT_EQ((WeightScheme{4, true, 0, ElementFormat::F16}).groupSize(576), 576);
}

TEST(Scheme, scalesAreStoredRounded) {
  for (ElementFormat format : {ElementFormat::F16, ElementFormat::BF16, ElementFormat::F32})
    for (float scale : {0.0f, 0.1f, 1.0f / 3, 3e-8f, 1e30f, 1e-42f}) {
      std::byte stored[4];
      storeScale(format, scale, stored);
      float loaded = loadScale(format, stored);
      EXPECT_EQ(loaded, roundScale(format, scale));
      EXPECT_EQ(roundScale(format, loaded), loaded);
    }
  EXPECT_EQ(roundScale(ElementFormat::F32, 0.1f), 0.1f);
  EXPECT_EQ(roundScale(ElementFormat::F16, 0.1f), 0x1.998p-4f);
  EXPECT_EQ(roundScale(ElementFormat::BF16, 0.1f), 0x1.9Ap-4f);
  EXPECT_EQ(roundScale(ElementFormat::F16, 1e30f), INFINITY);
}
