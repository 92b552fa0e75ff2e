// See Rotation.h.
#include "lib/Algorithms/Rotation.h"

#include "lib/Algorithms/Dense.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

using namespace qopt;

/// The orders of n's factors, or nothing where others are needed.
static std::vector<int> factorOrders(int64_t n) {
  std::vector<int> orders;
  // Odd factors stand for the multiples of four that have Hadamard matrices: 3 in 12, 5 in 20.
  for (int order : {12, 20})
    while (n % order == 0) {
      orders.push_back(order);
      n /= order;
    }
  while (n % 2 == 0) {
    orders.push_back(2);
    n /= 2;
  }
  return n == 1 ? orders : std::vector<int>();
}

/// A Hadamard matrix of order 2, 12 or 20, row-major ±1: for q = order - 1 a prime that is 3 modulo 4, Paley's first
/// construction, I + S with S of the quadratic residues modulo q.
static std::vector<float> hadamard(int order) {
  if (order == 2)
    return {1, 1, 1, -1};
  int q = order - 1;
  std::vector<int> character(q, -1);
  character[0] = 0;
  for (int x = 1; x < q; ++x)
    character[x * x % q] = 1;
  std::vector<float> h(order * order);
  for (int i = 0; i < order; ++i)
    for (int j = 0; j < order; ++j) {
      int s = 0;
      if (i == 0 && j > 0)
        s = 1;
      else if (i > 0 && j == 0)
        s = -1;
      else if (i > 0)
        s = character[(j - i + q) % q];
      h[i * order + j] = static_cast<float>(s + (i == j ? 1 : 0));
    }
  return h;
}

/// -Q : [n, n], by reflections of growing dimension from the last one on.
static AlignedVector<float> negativeOrthogonal(int64_t n, std::mt19937_64 &generator) {
  auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 0.5) * 0x1p-53; }; // (0, 1)
  auto gaussian = [&] {
    double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  };
  std::vector<double> q(n * n), v(n), product(n);
  for (int64_t i = 0; i < n; ++i)
    q[i * n + i] = 1;
  for (int64_t first = n - 1; first >= 0; --first) {
    double norm = 0;
    for (int64_t i = first; i < n; ++i) {
      v[i] = gaussian();
      norm += v[i] * v[i];
    }
    // The reflection that takes v to a multiple of the first axis, signed as Stewart has it, so that Q is uniform.
    double sign = v[first] >= 0 ? 1 : -1;
    v[first] += sign * std::sqrt(norm);
    double squared = 0;
    for (int64_t i = first; i < n; ++i)
      squared += v[i] * v[i];
    if (!(squared > 0))
      continue;
    std::fill(product.begin(), product.end(), 0.0);
    for (int64_t i = first; i < n; ++i)
      for (int64_t j = first; j < n; ++j)
        product[j] += v[i] * q[i * n + j];
    for (int64_t i = first; i < n; ++i)
      for (int64_t j = first; j < n; ++j)
        q[i * n + j] -= 2 / squared * v[i] * product[j];
    for (int64_t j = first; j < n; ++j)
      q[first * n + j] *= -sign;
  }
  AlignedVector<float> negative(n * n);
  std::transform(q.begin(), q.end(), negative.begin(), [](double value) { return static_cast<float>(-value); });
  return negative;
}

Status Rotation::check(RotationKind kind, int64_t size) {
  if (size < 1 || size > int64_t{1} << 20)
    return badInput("expected a rotation of 1 to 2^20 channels, but got " + std::to_string(size));
  if (kind == RotationKind::Hadamard && size != 1 && factorOrders(size).empty())
    return badInput("expected a number of channels that is a product of 2s, 12s and 20s, but got " +
                    std::to_string(size))
        .withNext("use an orthogonal rotation, which has any size");
  return {};
}

Result<Rotation> Rotation::create(RotationKind kind, int64_t size, uint64_t seed) {
  if (Status status = check(kind, size); !status)
    return status.takeError();
  Rotation rotation(kind, size);
  std::mt19937_64 generator(seed);
  if (kind == RotationKind::Orthogonal) {
    rotation.negative = negativeOrthogonal(size, generator);
    return rotation;
  }
  rotation.orders = factorOrders(size);
  for (int64_t i = 0; i < size; ++i)
    rotation.signs.push_back((generator() >> 63) != 0 ? -1.0F : 1.0F);
  return rotation;
}

void Rotation::apply(float *tile, int64_t count) const {
  if (kind == RotationKind::Orthogonal) {
    AlignedVector<float> input(tile, tile + n * count);
    std::fill_n(tile, n * count, 0.0F);
    dense().subtractFeedback(tile, count, n, input.data(), n, negative.data(), n);
    return;
  }
  auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(n)));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t t = 0; t < count; ++t)
      tile[i * count + t] *= signs[i] * scale;
  AlignedVector<float> part;
  int64_t stride = n; // of the index of the order at hand
  for (int order : orders) {
    std::vector<float> h = hadamard(order);
    int64_t span = stride;
    stride /= order;
    part.resize(order * count);
    for (int64_t outer = 0; outer < n; outer += span)
      for (int64_t inner = 0; inner < stride; ++inner) {
        float *base = tile + (outer + inner) * count;
        std::fill(part.begin(), part.end(), 0.0F);
        for (int i = 0; i < order; ++i)
          for (int j = 0; j < order; ++j)
            for (int64_t t = 0; t < count; ++t)
              part[j * count + t] += h[i * order + j] * base[i * stride * count + t];
        for (int j = 0; j < order; ++j)
          std::copy_n(part.data() + j * count, count, base + j * stride * count);
      }
  }
}

std::vector<double> Rotation::matrix() const {
  AlignedVector<float> tile(n * n); // the unit vectors
  for (int64_t i = 0; i < n; ++i)
    tile[i * n + i] = 1;
  apply(tile.data(), n);
  std::vector<double> q(n * n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t t = 0; t < n; ++t)
      q[t * n + i] = tile[i * n + t];
  return q;
}
