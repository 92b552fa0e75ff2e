// Σ x·xᵀ on a matrix unit of bf16 tiles (AMX), for the copy of Dense.cpp that is compiled for it.
//
// Each number is split into two of bf16, and of the four products of two such sums the least is left out, as in
// passes/Lower/Emit/MatmulTiles.cpp, which has the method and what is lost: about 2⁻¹⁶ of a product. The sums of
// kTokens tokens are made in tiles and then added to what there is; like those of ProductSums.h they do not depend on
// how the matrix is cut.
#ifndef QOPT_LIB_ALGORITHMS_PRODUCTTILES_H
#define QOPT_LIB_ALGORITHMS_PRODUCTTILES_H

#include <cstdint>
#include <immintrin.h>

namespace {
namespace tiles {

/// Rows of a tile, and the tokens along each. A block of sums is two tiles by two.
constexpr int64_t kRows = 16, kDepth = 32, kBlock = 2 * kRows;
/// Tokens whose sums stay in tiles, and channels of the left operand that are split at once.
constexpr int64_t kTokens = 512, kSteps = kTokens / kDepth, kLeftChannels = 192;
/// Steps that all left channels go over before the next: the right operand of so many stays in a first-level cache.
constexpr int64_t kCachedSteps = 8;

struct Tile {
  __m512i rows[kRows];
};
/// The upper halves of numbers, and the lower ones.
struct Halves {
  Tile upper, lower;
};

/// Two tokens of 16 channels as dwords of a channel's two: upper halves, and lower halves.
inline void splitPair(__m512 first, __m512 second, __m512i &upper, __m512i &lower) {
  const __m512i channels = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                            21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  auto pair = [&](__m512 a, __m512 b) {
    return _mm512_permutexvar_epi16(channels, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a)));
  };
  upper = pair(first, second);
  __m512 firstUpper = _mm512_castsi512_ps(_mm512_slli_epi32(upper, 16));
  __m512 secondUpper = _mm512_castsi512_ps(_mm512_and_si512(upper, _mm512_set1_epi32(static_cast<int>(0xFFFF0000))));
  lower = pair(_mm512_sub_ps(first, firstUpper), _mm512_sub_ps(second, secondUpper));
}

/// 32 tokens of 16 channels, of which `tokens` and `channels` exist, and the rest are 0: two tokens in a row.
inline void splitTokens(const float *x, int64_t stride, int64_t tokens, int64_t channels, Halves &to) {
  if (tokens >= kDepth && channels >= kRows) {
    for (int64_t row = 0; row < kRows; ++row, x += 2 * stride)
      splitPair(_mm512_loadu_ps(x), _mm512_loadu_ps(x + stride), to.upper.rows[row], to.lower.rows[row]);
    return;
  }
  auto mask = static_cast<__mmask16>(channels >= kRows ? 0xFFFF : (1 << channels) - 1);
  for (int64_t row = 0; row < kRows; ++row, x += 2 * stride) {
    __m512 first = 2 * row < tokens ? _mm512_maskz_loadu_ps(mask, x) : _mm512_setzero_ps();
    __m512 second = 2 * row + 1 < tokens ? _mm512_maskz_loadu_ps(mask, x + stride) : _mm512_setzero_ps();
    splitPair(first, second, to.upper.rows[row], to.lower.rows[row]);
  }
}

/// Rows of 16 dwords as columns: of what is multiplied from the left a channel is a row.
inline void transpose(Tile &tile) {
  __m512i *r = tile.rows, t[kRows];
  for (int i = 0; i < 16; i += 2)
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]), t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  for (int i = 0; i < 16; i += 4)
    for (int k = 0; k < 2; ++k) {
      r[i + 2 * k] = _mm512_unpacklo_epi64(t[i + k], t[i + 2 + k]);
      r[i + 2 * k + 1] = _mm512_unpackhi_epi64(t[i + k], t[i + 2 + k]);
    }
  for (int half = 0; half < 16; half += 8)
    for (int i = 0; i < 4; ++i) {
      t[half + i] = _mm512_shuffle_i32x4(r[half + i], r[half + i + 4], 0x88);
      t[half + i + 4] = _mm512_shuffle_i32x4(r[half + i], r[half + i + 4], 0xDD);
    }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
  }
}

struct Configuration {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};

  Configuration() {
    for (int i = 0; i < 8; ++i)
      rowBytes[i] = 64, rows[i] = kRows;
  }
};
static_assert(sizeof(Configuration) == 64);

struct Sums {
  alignas(64) float at[kBlock][kBlock];
};

/// Adds the products of two tiles of channels with two, over `steps` of 32 tokens, to sums; as the first they are what
/// there is. Tiles of an operand follow each other step by step; those of its second 16 channels begin `next` further
/// on.
inline void multiply(const Halves *left, int64_t nextLeft, const Halves *right, int64_t nextRight, int64_t steps,
                     bool isFirst, Sums &sums) {
  constexpr int64_t kStride = sizeof sums.at[0];
  if (isFirst) {
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
  } else {
    _tile_loadd(0, &sums.at[0][0], kStride), _tile_loadd(1, &sums.at[0][kRows], kStride);
    _tile_loadd(2, &sums.at[kRows][0], kStride), _tile_loadd(3, &sums.at[kRows][kRows], kStride);
  }
  for (int64_t step = 0; step < steps; ++step, ++left, ++right) {
    _tile_loadd(4, left->upper.rows, 64), _tile_loadd(5, left[nextLeft].upper.rows, 64);
    _tile_loadd(6, right->lower.rows, 64), _tile_loadd(7, right[nextRight].lower.rows, 64);
    _tile_dpbf16ps(0, 4, 6), _tile_dpbf16ps(1, 4, 7), _tile_dpbf16ps(2, 5, 6), _tile_dpbf16ps(3, 5, 7);
    _tile_loadd(6, right->upper.rows, 64), _tile_loadd(7, right[nextRight].upper.rows, 64);
    _tile_dpbf16ps(0, 4, 6), _tile_dpbf16ps(1, 4, 7), _tile_dpbf16ps(2, 5, 6), _tile_dpbf16ps(3, 5, 7);
    _tile_loadd(4, left->lower.rows, 64), _tile_loadd(5, left[nextLeft].lower.rows, 64);
    _tile_dpbf16ps(0, 4, 6), _tile_dpbf16ps(1, 4, 7), _tile_dpbf16ps(2, 5, 6), _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, &sums.at[0][0], kStride), _tile_stored(1, &sums.at[0][kRows], kStride);
  _tile_stored(2, &sums.at[kRows][0], kStride), _tile_stored(3, &sums.at[kRows][kRows], kStride);
}

/// out[i·outStride + j] += sums, for i < rows, j < cols.
inline void addBlock(const Sums &sums, float *out, int64_t outStride, int64_t rows, int64_t cols) {
  for (int64_t i = 0; i < kBlock && i < rows; ++i)
    for (int64_t j = 0; j < kBlock && j < cols; j += kRows) {
      auto mask = static_cast<__mmask16>(cols - j >= kRows ? 0xFFFF : (1 << (cols - j)) - 1);
      float *at = out + i * outStride + j;
      _mm512_mask_storeu_ps(at, mask, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, at), _mm512_load_ps(&sums.at[i][j])));
    }
}

/// Dense::addGram.
inline void addGram(const float *x, int64_t stride, int64_t tokens, int64_t firstRow, int64_t rows, int64_t firstCol,
                    int64_t cols, float *out, int64_t outStride) {
  Halves left[kLeftChannels / kRows][kSteps], right[2][kSteps];
  Sums sums[kLeftChannels / kBlock];
  Configuration configuration;
  _tile_loadconfig(&configuration);
  auto split = [&](const float *from, int64_t depth, int64_t channels, Halves *to) {
    for (int64_t t = 0; t < depth; t += kDepth, ++to)
      splitTokens(from + t * stride, stride, depth - t, channels < 0 ? 0 : channels, *to);
  };
  for (int64_t t = 0; t < tokens; t += kTokens, x += kTokens * stride) {
    int64_t depth = tokens - t < kTokens ? tokens - t : kTokens, steps = (depth + kDepth - 1) / kDepth;
    for (int64_t first = 0; first < rows; first += kLeftChannels) {
      int64_t count = rows - first < kLeftChannels ? rows - first : kLeftChannels;
      for (int64_t i = 0; i < count; i += kBlock)
        for (int64_t half = 0; half < 2; ++half) {
          Halves *to = left[i / kRows + half];
          split(x + firstRow + first + i + half * kRows, depth, count - i - half * kRows, to);
          for (int64_t step = 0; step < steps; ++step)
            transpose(to[step].upper), transpose(to[step].lower);
        }
      for (int64_t j = 0; j < cols; j += kBlock) {
        int64_t reached = firstCol + j + kBlock - firstRow - first, end = reached < count ? reached : count;
        if (end <= 0) // all of it lies below the diagonal
          continue;
        for (int64_t half = 0; half < 2; ++half)
          split(x + firstCol + j + half * kRows, depth, cols - j - half * kRows, right[half]);
        for (int64_t step = 0; step < steps; step += kCachedSteps)
          for (int64_t i = 0; i < end; i += kBlock) {
            // A large matrix comes from beyond the second cache meanwhile.
            for (int64_t row = i; step == 0 && row < i + kBlock && row < count; ++row)
              __builtin_prefetch(out + (first + row) * outStride + j, 1),
                  __builtin_prefetch(out + (first + row) * outStride + j + kRows, 1);
            int64_t here = steps - step < kCachedSteps ? steps - step : kCachedSteps;
            multiply(left[i / kRows] + step, kSteps, right[0] + step, kSteps, here, step == 0, sums[i / kBlock]);
          }
        for (int64_t i = 0; i < end; i += kBlock)
          addBlock(sums[i / kBlock], out + (first + i) * outStride + j, outStride, count - i, cols - j);
      }
    }
  }
  _tile_release();
}

} // namespace tiles
} // namespace

#endif // QOPT_LIB_ALGORITHMS_PRODUCTTILES_H
