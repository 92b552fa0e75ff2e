// Sums of products over a shared axis, for Dense.cpp alone: one copy for each instruction set, all of it local to it.
//
// Why not Eigen: what is summed here lies so that neither operand needs to be transposed, the same operand serves many
// calls, or half of a symmetric one suffices; Eigen packs both anew at every call, which took a sixth of the time.
// And no sum here has an order that addresses or caches decide, as Eigen's have; that of aᵀ·b is decided by its length
// alone, so that statistics are the same on all processors that fuse a multiplication with an addition.
//
// A tile is kTile numbers of one operand, each repeated over the lanes, by up to kVectors vectors of the other. Its
// accumulators fill the registers, less those that hold operands.
#ifndef QOPT_LIB_ALGORITHMS_PRODUCTSUMS_H
#define QOPT_LIB_ALGORITHMS_PRODUCTSUMS_H

#include <cstdint>
#include <cstring>

namespace {
namespace sums {

#if defined(__AVX512F__)
constexpr int64_t kLanes = 16, kVectors = 3, kTile = 8;
#elif defined(__AVX__)
constexpr int64_t kLanes = 8, kVectors = 2, kTile = 4;
#else
constexpr int64_t kLanes = 4, kVectors = 2, kTile = 4;
#endif

using Vector = float __attribute__((vector_size(kLanes * sizeof(float))));

inline Vector load(const float *from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}
inline void store(float *to, Vector vector) { std::memcpy(to, &vector, sizeof vector); }
/// Less 0, which LLVM knows to change nothing; 0 more would make 0 of -0.
inline Vector splat(float value) { return value - Vector{}; }

/// The vectors of the next panel, so that panels are alike: of 64 lanes two panels of 32, not 48 and 16.
inline int64_t vectorsOfPanel(int64_t lanes) {
  int64_t vectors = (lanes + kLanes - 1) / kLanes, panels = (vectors + kVectors - 1) / kVectors;
  return (vectors + panels - 1) / panels;
}

/// acc[i][v] += Σ_t repeated[t·kTile + i] · lanes[t·stride + v·kLanes …], t ascending.
template <int V>
inline void addTile(const float *repeated, const float *lanes, int64_t stride, int64_t depth, Vector (&acc)[kTile][V]) {
  for (int64_t t = 0; t < depth; ++t) {
    Vector right[V];
    for (int v = 0; v < V; ++v)
      right[v] = load(lanes + t * stride + v * kLanes);
    for (int64_t i = 0; i < kTile; ++i) {
      Vector left = splat(repeated[t * kTile + i]);
      for (int v = 0; v < V; ++v)
        acc[i][v] += left * right[v];
    }
  }
}

//===----------------------------------------------------------------------===//
// out += aᵀ·b
//===----------------------------------------------------------------------===//

/// Steps whose products are summed before they are added to what there is, and rows whose operand is packed at once:
/// both operands stay in the first two caches.
constexpr int64_t kDepth = 128, kRows = 192;

/// out[i·outStride + j] += sign · Σ_t, t < depth, of a tile's packed operands, whose lanes begin `stride` apart; `rows`
/// and `cols` are those that exist.
template <int V>
inline void addTileTo(const float *repeated, const float *lanes, int64_t stride, int64_t depth, float sign, float *out,
                      int64_t outStride, int64_t rows, int64_t cols) {
  bool whole = rows >= kTile && cols >= V * kLanes;
  // A large matrix comes from beyond the second cache meanwhile.
  for (int64_t i = 0; whole && i < kTile; ++i)
    for (int v = 0; v < V; ++v)
      __builtin_prefetch(out + i * outStride + v * kLanes, 1);
  Vector acc[kTile][V] = {};
  addTile<V>(repeated, lanes, stride, depth, acc);
  if (whole) {
    for (int64_t i = 0; i < kTile; ++i)
      for (int v = 0; v < V; ++v) {
        float *at = out + i * outStride + v * kLanes;
        store(at, load(at) + acc[i][v] * sign);
      }
    return;
  }
  for (int64_t i = 0; i < kTile && i < rows; ++i)
    for (int v = 0; v < V; ++v) {
      float sums[kLanes];
      store(sums, acc[i][v]);
      for (int64_t lane = 0; lane < kLanes && v * kLanes + lane < cols; ++lane)
        out[i * outStride + v * kLanes + lane] += sums[lane] * sign;
    }
}

/// from[t·stride + i], i < Width, as to[t·Width + i], with zeros from `count` on.
template <int64_t Width>
inline void packColumns(const float *from, int64_t stride, int64_t depth, int64_t count, float *to) {
  for (int64_t t = 0; t < depth; ++t, from += stride, to += Width) {
    if (count >= Width) {
      std::memcpy(to, from, Width * sizeof(float));
      continue;
    }
    for (int64_t i = 0; i < Width; ++i)
      to[i] = i < count ? from[i] : 0;
  }
}

/// The last V vectors of a panel of `Of`, which is packed, by the tiles of rows begin to end.
template <int V, int Of>
inline void addRows(const float *left, int64_t begin, int64_t end, int64_t rows, const float *right, int64_t cols,
                    int64_t depth, float sign, float *out, int64_t outStride) {
  constexpr int64_t kSkipped = (Of - V) * kLanes;
  for (int64_t i = begin; i < end; i += kTile)
    addTileTo<V>(left + i * kDepth, right + kSkipped, Of * kLanes, depth, sign, out + i * outStride + kSkipped,
                 outStride, rows - i, cols - kSkipped);
}

/// One panel of b, of V vectors, by all tiles of a. The diagonal reaches the panel's first column in row `diagonal`;
/// vectors that lie below it are left out.
template <int V>
inline void addPanel(const float *left, int64_t rows, const float *b, int64_t bStride, int64_t cols, int64_t depth,
                     float sign, float *out, int64_t outStride, int64_t diagonal) {
  alignas(64) float right[V * kLanes * kDepth];
  packColumns<V * kLanes>(b, bStride, depth, cols, right);
  // A tile that begins n vectors past the diagonal's row has nothing of its first n.
  auto until = [&](int64_t vectors) {
    int64_t row = diagonal + vectors * kLanes;
    row = row < 0 ? 0 : (row + kTile - 1) / kTile * kTile;
    return row < rows ? row : rows;
  };
  addRows<V, V>(left, 0, until(1), rows, right, cols, depth, sign, out, outStride);
  if constexpr (V > 1)
    addRows<V - 1, V>(left, until(1), until(2), rows, right, cols, depth, sign, out, outStride);
  if constexpr (V > 2)
    addRows<V - 2, V>(left, until(2), until(3), rows, right, cols, depth, sign, out, outStride);
  static_assert(V <= 3);
}

/// The diagonal of what has none: all of it is above.
constexpr int64_t kNoDiagonal = INT64_MAX / 2;

/// out[i·outStride + j] += sign · Σ_t a[t·aStride + i] · b[t·bStride + j], for i < rows, j < cols, t < depth. The sums
/// of each kDepth steps are made by themselves and added in their order. Vectors below the diagonal, where i > j +
/// diagonal, are left out.
inline void addProduct(const float *a, int64_t aStride, int64_t rows, const float *b, int64_t bStride, int64_t cols,
                       int64_t depth, float sign, float *out, int64_t outStride, int64_t diagonal = kNoDiagonal) {
  alignas(64) float left[kRows * kDepth];
  for (int64_t first = 0; first < rows; first += kRows)
    for (int64_t t = 0; t < depth; t += kDepth) {
      int64_t steps = depth - t < kDepth ? depth - t : kDepth, count = rows - first < kRows ? rows - first : kRows;
      for (int64_t i = 0; i < count; i += kTile)
        packColumns<kTile>(a + t * aStride + first + i, aStride, steps, count - i, left + i * kDepth);
      for (int64_t j = 0, vectors; j < cols; j += vectors * kLanes) {
        vectors = vectorsOfPanel(cols - j);
        int64_t reached = diagonal + j - first;
        if (reached + vectors * kLanes <= 0)
          continue;
        auto add = vectors == 1 ? addPanel<1> : vectors == 2 ? addPanel<2> : addPanel<kVectors>;
        add(left, count, b + t * bStride + j, bStride, cols - j, steps, sign, out + first * outStride + j, outStride,
            reached);
      }
    }
}

//===----------------------------------------------------------------------===//
// Quadratic forms
//===----------------------------------------------------------------------===//

/// Elements of a packed symmetric matrix [n, n]: for each kTile columns, of all rows as far as these columns' last.
inline int64_t packedSize(int64_t n) {
  int64_t tiles = (n + kTile - 1) / kTile;
  return kTile * kTile * tiles * (tiles + 1) / 2;
}

/// Above the squares on the diagonal elements are doubled: they stand for those below too.
inline void packSymmetric(const float *h, int64_t stride, int64_t n, float *to) {
  for (int64_t first = 0; first < n; first += kTile)
    for (int64_t j = 0; j < first + kTile; ++j, to += kTile)
      for (int64_t i = 0; i < kTile; ++i)
        // Read along rows of the lower triangle: those of the upper one are far from each other.
        to[i] = j < n && first + i < n ? h[(first + i) * stride + j] * (j < first ? 2.0F : 1.0F) : 0;
}

/// out[r] = Σ_jk d[j·stride + r] · h[j, k] · d[k·stride + r] for r < V·kLanes.
template <int V> inline void formsOfPanel(const float *packed, int64_t n, const float *d, int64_t stride, float *out) {
  Vector total[V] = {};
  for (int64_t first = 0; first < n; first += kTile) {
    int64_t rows = first + kTile < n ? first + kTile : n;
    Vector acc[kTile][V] = {};
    addTile<V>(packed, d, stride, rows, acc);
    for (int64_t i = 0; i < rows - first; ++i)
      for (int v = 0; v < V; ++v)
        total[v] += acc[i][v] * load(d + (first + i) * stride + v * kLanes);
    packed += (first + kTile) * kTile;
  }
  for (int v = 0; v < V; ++v)
    store(out + v * kLanes, total[v]);
}

/// The same for `rows` of any number.
inline void forms(const float *packed, int64_t n, const float *d, int64_t rows, float *out) {
  for (int64_t r = 0; r < rows;) {
    int64_t vectors = (rows - r) / kLanes;
    if (vectors == 0) {
      // The last rows, as they are summed in a vector.
      for (; r < rows; ++r) {
        const float *tile = packed;
        float total = 0;
        for (int64_t first = 0; first < n; first += kTile, tile += first * kTile)
          for (int64_t i = 0; i < kTile && first + i < n; ++i) {
            float acc = 0;
            for (int64_t j = 0; j < first + kTile && j < n; ++j)
              acc += tile[j * kTile + i] * d[j * rows + r];
            total += acc * d[(first + i) * rows + r];
          }
        out[r] = total;
      }
      return;
    }
    vectors = vectorsOfPanel(vectors * kLanes);
    auto form = vectors == 1 ? formsOfPanel<1> : vectors == 2 ? formsOfPanel<2> : formsOfPanel<kVectors>;
    form(packed, n, d + r, rows, out + r);
    r += vectors * kLanes;
  }
}

} // namespace sums
} // namespace

#endif // QOPT_LIB_ALGORITHMS_PRODUCTSUMS_H
