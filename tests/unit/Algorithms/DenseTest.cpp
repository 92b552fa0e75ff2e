// Each copy of the dense arithmetic against plain loops in f64, in sizes that no vector divides.
#include "lib/Algorithms/Dense.h"
#include "lib/Algorithms/Aligned.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

using namespace qopt;

namespace {

constexpr int64_t kTokens = 131, kColumns = 101, kRows = 53;

AlignedVector<float> normals(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  AlignedVector<float> values(count);
  for (float &value : values)
    value = normal(random);
  return values;
}

/// Every copy that this processor runs.
std::vector<const Dense *> copies() {
  std::vector<const Dense *> found{&detail::denseBaseline};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v3"))
    found.push_back(&detail::denseV3);
  if (__builtin_cpu_supports("x86-64-v4"))
    found.push_back(&detail::denseV4);
  if (&dense() == &detail::denseTiles) // the one that asks the operating system as well
    found.push_back(&detail::denseTiles);
#endif
  return found;
}

struct DenseCopies : testing::TestWithParam<const Dense *> {
  const Dense &copy() const { return *GetParam(); }

  /// Of sums whose terms' magnitudes add up to `size`. Tiles of bf16 lose up to 2^-16 of each, other copies less than
  /// 2^-17 of all.
  static void expectNear(float got, double wanted, double size, int64_t at) {
    ASSERT_LE(std::fabs(got - wanted), 1e-5 * size + 1e-7) << "at " << at << ": " << got << " in place of " << wanted;
  }
};

/// Σ_t x[t, i] · x[t, j] and Σ_t |x[t, i] · x[t, j]|
std::pair<double, double> gramOf(const AlignedVector<float> &x, int64_t i, int64_t j) {
  double sum = 0, size = 0;
  for (int64_t t = 0; t < kTokens; ++t) {
    double product = double{x[t * kColumns + i]} * x[t * kColumns + j];
    sum += product, size += std::fabs(product);
  }
  return {sum, size};
}

TEST_P(DenseCopies, AddGramAddsATile) {
  AlignedVector<float> x = normals(kTokens * kColumns, 1), out(20 * 72, 1.0F);
  for (int64_t firstCol : {3, 16, 29}) { // across the diagonal, from it on, and above it
    std::fill(out.begin(), out.end(), 1.0F);
    copy().addGram({x.data(), kTokens, kColumns, kColumns}, 16, 20, firstCol, 69, out.data(), 72);
    for (int64_t i = 0; i < 20; ++i)
      for (int64_t j = 0; j < 72; ++j) {
        if (j >= 69) { // beyond the tile nothing is touched
          ASSERT_EQ(out[i * 72 + j], 1);
          continue;
        }
        if (16 + i > firstCol + j && out[i * 72 + j] == 1) // below the diagonal it may be left out
          continue;
        auto [sum, size] = gramOf(x, 16 + i, firstCol + j);
        expectNear(out[i * 72 + j], 1 + sum, size, i * 72 + j);
      }
  }
}

/// More tokens and channels than a copy takes at a time: each element is the same number whatever block it is of, near
/// what it should be.
TEST_P(DenseCopies, GramIsTheSameHoweverItIsCut) {
  constexpr int64_t kMany = 1100, kWide = 250;
  AlignedVector<float> x = normals(kMany * kWide, 10), whole(kWide * kWide), cut(kWide * kWide);
  MatrixView view{x.data(), kMany, kWide, kWide};
  copy().addGram(view, 0, kWide, 0, kWide, whole.data(), kWide);
  for (int64_t row = 0; row < kWide; row += 70)
    for (int64_t col = row; col < kWide; col += 83)
      copy().addGram(view, row, std::min<int64_t>(70, kWide - row), col, std::min<int64_t>(83, kWide - col),
                     cut.data() + row * kWide + col, kWide);
  for (int64_t i = 0; i < kWide; ++i)
    for (int64_t j = i; j < kWide; ++j) {
      ASSERT_EQ(whole[i * kWide + j], cut[i * kWide + j]) << i << ", " << j;
      double sum = 0, size = 0;
      for (int64_t t = 0; t < kMany; ++t) {
        double product = double{x[t * kWide + i]} * x[t * kWide + j];
        sum += product, size += std::fabs(product);
      }
      expectNear(whole[i * kWide + j], sum, size, i * kWide + j);
    }
}

TEST_P(DenseCopies, AddMomentsCountsWhatIsNotFinite) {
  AlignedVector<float> x = normals(kTokens * kColumns, 2);
  x[5 * kColumns + 7] = NAN, x[80 * kColumns + 36] = -INFINITY;
  std::vector<double> sum(kColumns, 1), magnitude(kColumns, 2);
  std::vector<float> greatest(kColumns, 0.5F);
  EXPECT_EQ(copy().addMoments({x.data(), kTokens, kColumns, kColumns}, sum.data(), magnitude.data(), greatest.data()),
            2);
  for (int64_t c = 0; c < kColumns; ++c) {
    double wantedSum = 1, wantedMagnitude = 2, most = 0.5;
    for (int64_t t = 0; t < kTokens; ++t) {
      double value = x[t * kColumns + c];
      wantedSum += value, wantedMagnitude += std::fabs(value);
      most = std::fmax(most, std::fabs(value));
    }
    EXPECT_EQ(greatest[c], static_cast<float>(most)) << c;
    if (c == 7) {
      EXPECT_TRUE(std::isnan(sum[c]) && std::isnan(magnitude[c]));
    } else if (c == 36) {
      EXPECT_TRUE(std::isinf(sum[c]) && std::isinf(magnitude[c]) && std::isinf(greatest[c]));
    } else {
      EXPECT_NEAR(sum[c], wantedSum, 1e-9);
      EXPECT_NEAR(magnitude[c], wantedMagnitude, 1e-9);
    }
  }
}

TEST_P(DenseCopies, InverseFactorTimesItselfIsTheInverse) {
  AlignedVector<float> x = normals(kTokens * kColumns, 3), h(kColumns * kColumns), u(kColumns * kColumns);
  for (int64_t i = 0; i < kColumns; ++i)
    for (int64_t j = 0; j < kColumns; ++j)
      h[i * kColumns + j] = static_cast<float>(gramOf(x, i, j).first);
  std::vector<int32_t> order(kColumns);
  for (int32_t i = 0; i < kColumns; ++i)
    order[i] = (i * 10 + 3) % kColumns;
  double shrink = 0.2, damping = 3;
  ASSERT_TRUE(copy().inverseFactor({h.data(), kColumns, kColumns, kColumns}, order.data(), kColumns, shrink, damping,
                                   u.data()));
  auto at = [&](int64_t i, int64_t j) { // the matrix whose inverse this is
    double value = h[order[i] * kColumns + order[j]];
    return i == j ? value + damping : value * (1 - shrink);
  };
  for (int64_t i = 0; i < kColumns; ++i)
    for (int64_t j = 0; j < kColumns; ++j) { // A · (uᵀ · u) is the identity
      double sum = 0, size = 0;
      for (int64_t k = 0; k < kColumns; ++k) {
        double inverse = 0;
        for (int64_t r = 0; r <= std::min(k, j); ++r)
          inverse += double{u[r * kColumns + k]} * u[r * kColumns + j];
        sum += at(i, k) * inverse, size += std::fabs(at(i, k) * inverse);
      }
      expectNear(static_cast<float>(sum), i == j, size, i * kColumns + j);
      if (j < i)
        ASSERT_EQ(u[i * kColumns + j], 0) << "below the diagonal";
    }
  h[0] = -1e6F;
  EXPECT_FALSE(copy().inverseFactor({h.data(), kColumns, kColumns, kColumns}, order.data(), kColumns, 0, 0, u.data()));
}

TEST_P(DenseCopies, FeedbackIsSubtracted) {
  constexpr int64_t kDepth = 11, kStride = kColumns + 11;
  AlignedVector<float> w = normals(kColumns * kRows, 4), e = normals(kDepth * kRows, 5),
                       u = normals(kDepth * kStride, 6);
  AlignedVector<float> all = w, one = w;
  copy().subtractFeedback(all.data(), kRows, kColumns, e.data(), kDepth, u.data(), kStride);
  copy().subtractColumn(one.data(), kRows, kColumns, e.data(), u.data());
  for (int64_t k = 0; k < kColumns; ++k)
    for (int64_t r = 0; r < kRows; ++r) {
      double sum = w[k * kRows + r], size = std::fabs(sum);
      for (int64_t b = 0; b < kDepth; ++b) {
        double product = double{e[b * kRows + r]} * u[b * kStride + k];
        sum -= product, size += std::fabs(product);
        if (b == 0)
          expectNear(one[k * kRows + r], sum, size, k * kRows + r);
      }
      expectNear(all[k * kRows + r], sum, size, k * kRows + r);
    }
}

TEST_P(DenseCopies, RoundingErrorsAndTheirQuadraticForms) {
  AlignedVector<float> w = normals(kColumns * kRows, 7), x = normals(kTokens * kColumns, 8);
  AlignedVector<float> h(kColumns * kColumns), scale(kRows), low(kRows, -7.0F), high(kRows, 7.0F);
  AlignedVector<float> delta(w.size()), out(kRows);
  for (int64_t i = 0; i < kColumns; ++i)
    for (int64_t j = 0; j < kColumns; ++j)
      h[i * kColumns + j] = static_cast<float>(gramOf(x, std::min(i, j), std::max(i, j)).first);
  for (int64_t r = 0; r < kRows; ++r)
    scale[r] = r == 20 ? 0.0F : 0.1F + 0.01F * static_cast<float>(r);
  copy().roundingErrors(w.data(), kRows, kColumns, scale.data(), low.data(), high.data(), delta.data());
  AlignedVector<float> packed(copy().packedSize(kColumns));
  copy().packSymmetric({h.data(), kColumns, kColumns, kColumns}, packed.data());
  copy().quadraticForms(packed.data(), kColumns, delta.data(), kRows, out.data());
  for (int64_t r = 0; r < kRows; ++r) {
    double form = 0, size = 0;
    for (int64_t k = 0; k < kColumns; ++k) {
      double value = w[k * kRows + r], step = scale[r];
      double wanted = step == 0 ? value : value - step * std::rint(std::clamp(value / step, -7.0, 7.0));
      // Half a step either way where the quotient is between two codes.
      ASSERT_NEAR(std::fabs(delta[k * kRows + r]), std::fabs(wanted), 1e-5) << r << ", " << k;
      for (int64_t j = 0; j < kColumns; ++j) {
        double term = double{delta[j * kRows + r]} * h[j * kColumns + k] * delta[k * kRows + r];
        form += term, size += std::fabs(term);
      }
    }
    expectNear(out[r], form, size, r);
  }
}

#if defined(__x86_64__)
/// Statistics of one machine are those of another.
TEST(Dense, GramIsTheSameWhereMultiplicationsAreFused) {
  if (!__builtin_cpu_supports("x86-64-v4"))
    GTEST_SKIP() << "this processor has one copy that fuses";
  AlignedVector<float> x = normals(kTokens * kColumns, 9), v3(kColumns * kColumns), v4(kColumns * kColumns);
  MatrixView view{x.data(), kTokens, kColumns, kColumns};
  detail::denseV3.addGram(view, 0, kColumns, 0, kColumns, v3.data(), kColumns);
  for (int64_t first = 0; first < kColumns; first += 40) { // and however it is cut
    int64_t rows = std::min<int64_t>(40, kColumns - first);
    detail::denseV4.addGram(view, first, rows, 0, kColumns, v4.data() + first * kColumns, kColumns);
  }
  for (int64_t i = 0; i < kColumns; ++i)
    for (int64_t j = i; j < kColumns; ++j)
      ASSERT_EQ(v3[i * kColumns + j], v4[i * kColumns + j]) << i << ", " << j;
}
#endif

INSTANTIATE_TEST_SUITE_P(All, DenseCopies, testing::ValuesIn(copies()), [](const auto &info) {
  std::string name = info.param->name;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '-' || c == '+'; }, '_');
  return name;
});

} // namespace
