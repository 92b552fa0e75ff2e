#include "lib/Algorithms/Rotation.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;

/// The greatest |QᵀQ - I|.
static double distanceFromOrthogonal(const std::vector<double> &q, int64_t n) {
  double greatest = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < n; ++k)
        sum += q[k * n + i] * q[k * n + j];
      greatest = std::max(greatest, std::fabs(sum - (i == j ? 1 : 0)));
    }
  return greatest;
}

TEST(Rotation, IsOrthogonal) {
  for (int64_t n : {1, 2, 3, 12, 20, 24, 64, 96, 100, 144, 240, 576})
    for (RotationKind kind : {RotationKind::Hadamard, RotationKind::Orthogonal}) {
      SCOPED_TRACE(std::to_string(n) + " " + std::to_string(static_cast<int>(kind)));
      Result<Rotation> rotation = Rotation::create(kind, n, 7);
      if (kind == RotationKind::Hadamard && (n == 3 || n == 100)) {
        EXPECT_FALSE(rotation);
        continue;
      }
      ASSERT_TRUE(rotation) << rotation.error().format();
      std::vector<double> q = rotation->matrix();
      EXPECT_LT(distanceFromOrthogonal(q, n), 2e-6);
      if (kind == RotationKind::Hadamard)
        for (double value : q)
          ASSERT_NEAR(std::fabs(value), 1 / std::sqrt(static_cast<double>(n)), 1e-6);
    }
  EXPECT_FALSE(Rotation::create(RotationKind::Orthogonal, 0, 0));
}

TEST(Rotation, AppliesItsMatrix) {
  constexpr int64_t n = 48, count = 5;
  for (RotationKind kind : {RotationKind::Hadamard, RotationKind::Orthogonal}) {
    Result<Rotation> rotation = Rotation::create(kind, n, 3);
    ASSERT_TRUE(rotation);
    std::vector<double> q = rotation->matrix();
    AlignedVector<float> tile(n * count);
    for (size_t i = 0; i < tile.size(); ++i)
      tile[i] = std::sin(static_cast<float>(i));
    AlignedVector<float> before = tile;
    rotation->apply(tile.data(), count);
    for (int64_t t = 0; t < count; ++t)
      for (int64_t j = 0; j < n; ++j) {
        double wanted = 0;
        for (int64_t i = 0; i < n; ++i)
          wanted += static_cast<double>(before[i * count + t]) * q[i * n + j];
        ASSERT_NEAR(tile[j * count + t], wanted, 1e-5);
      }
  }
}

TEST(Rotation, IsDecidedByItsSeed) {
  for (RotationKind kind : {RotationKind::Hadamard, RotationKind::Orthogonal}) {
    auto matrix = [&](uint64_t seed) { return Rotation::create(kind, 64, seed)->matrix(); };
    EXPECT_EQ(matrix(1), matrix(1));
    EXPECT_NE(matrix(1), matrix(2));
  }
}
