// Searches ranges for all rows of a chunk at once, so that every loop runs over rows.
#include "lib/Algorithms/RangeSearch.h"

#include <algorithm>
#include <cmath>

using namespace qopt;

/// The exponent of RangeRule::Power.
static constexpr float kPower = 2.4F;

/// Whether a candidate costs what its errors do together, δᵀ·H·δ.
static bool takesQuadraticForms(RangeRule rule) { return rule == RangeRule::Hessian || rule == RangeRule::Clip; }

RangeSearch::RangeSearch(const WeightScheme &scheme, const RangeOptions &options, int64_t rows, int64_t groupSize)
    : scheme(scheme), options(options), rows(rows), low(rows), high(rows), strange(rows), scale(rows), lowestStep(rows),
      highestStep(rows), delta(options.rule == RangeRule::MinMax ? 0 : rows * groupSize), cost(rows), best(rows),
      candidate(rows) {
  if (options.rule == RangeRule::ClipAll)
    this->options.rule = RangeRule::Clip;
  if (options.rule == RangeRule::Signed) {
    this->options.rule = RangeRule::Hessian;
    signs = scheme.symmetric ? 2 : 1;
  }
}

std::optional<int64_t> RangeSearch::search(const float *weights, int64_t cols, MatrixView h,
                                           std::span<GroupGrid> grids) {
  std::fill(low.begin(), low.end(), 0.0F);
  std::fill(high.begin(), high.end(), 0.0F);
  std::fill(strange.begin(), strange.end(), 0.0F);
  for (int64_t k = 0; k < cols; ++k)
    for (int64_t r = 0; r < rows; ++r) {
      float weight = weights[k * rows + r];
      low[r] = std::min(low[r], weight), high[r] = std::max(high[r], weight);
      // A NaN passes both comparisons unseen; less themselves, it and infinity are NaN, and all others 0.
      strange[r] += weight - weight;
    }
  for (int64_t r = 0; r < rows; ++r)
    if (strange[r] != 0)
      return r;
  int candidates = options.rule == RangeRule::MinMax ? 1 : options.candidates * signs;
  if (candidates > 1 && takesQuadraticForms(options.rule))
    form.assign(h);
  for (int i = 0; i < candidates; ++i) {
    auto p = static_cast<float>(1 - i / signs * options.step);
    for (int64_t r = 0; r < rows; ++r) {
      float least = p * low[r], most = p * high[r];
      if (options.rule == RangeRule::Clip) {
        float bound = p * std::max(-low[r], high[r]);
        least = std::max(low[r], -bound), most = std::min(high[r], bound);
      }
      std::optional<GroupGrid> grid = gridForRange(scheme, least, most);
      if (!grid)
        return r;
      if (i % signs == 1)
        grid->scale = -grid->scale;
      candidate[r] = *grid;
      scale[r] = grid->scale;
      lowestStep[r] = -static_cast<float>(grid->zero);
      highestStep[r] = static_cast<float>(scheme.maxCode() - grid->zero);
    }
    if (candidates > 1)
      costs(weights, cols, h);
    for (int64_t r = 0; r < rows; ++r)
      if (i == 0 || cost[r] < best[r])
        grids[r] = candidate[r], best[r] = cost[r];
  }
  return std::nullopt;
}

void RangeSearch::costs(const float *weights, int64_t cols, MatrixView h) {
  dense().roundingErrors(weights, rows, cols, scale.data(), lowestStep.data(), highestStep.data(), delta.data());
  if (takesQuadraticForms(options.rule)) {
    form.forms(delta.data(), rows, cost.data());
    return;
  }
  std::fill(cost.begin(), cost.end(), 0.0F);
  for (int64_t k = 0; k < cols; ++k) {
    float weight = options.rule == RangeRule::Diagonal ? h.data[k * h.stride + k] : 1;
    for (int64_t r = 0; r < rows; ++r) {
      float error = delta[k * rows + r];
      cost[r] += options.rule == RangeRule::Power ? std::pow(std::abs(error), kPower) : weight * error * error;
    }
  }
}

/// Rows that are searched together.
static constexpr int64_t kRows = 48;

Status qopt::quantizeWithRanges(const WeightScheme &scheme, const RangeOptions &options, int64_t rows, int64_t cols,
                                std::span<const float> weights, MatrixView h, QuantizedRows out, int64_t firstRow) {
  // It checks the scheme and every span, and names a weight that has no grid.
  if (Status status = quantizeRoundToNearest(scheme, rows, cols, weights, out, firstRow); !status)
    return status;
  if (options.rule == RangeRule::MinMax)
    return {};
  int64_t size = scheme.groupSize(cols), groups = scheme.groupsPerRow(cols);
  size_t scaleBytes = info(scheme.scale).blockBytes;
  AlignedVector<float> chunk;
  std::vector<GroupGrid> grids;
  for (int64_t first = 0; first < rows; first += kRows) {
    int64_t count = std::min(kRows, rows - first);
    RangeSearch search(scheme, options, count, size);
    chunk.resize(size * count);
    grids.resize(count);
    for (int64_t group = 0; group < groups; ++group) {
      for (int64_t k = 0; k < size; ++k)
        for (int64_t r = 0; r < count; ++r)
          chunk[k * count + r] = weights[(first + r) * cols + group * size + k];
      MatrixView block{};
      if (needsHessian(options.rule))
        block = {h.data + group * size * (h.stride + 1), size, size, h.stride};
      // Every row has a grid: the whole range had one, and smaller ones have smaller scales.
      (void)search.search(chunk.data(), size, block, grids);
      for (int64_t r = 0; r < count; ++r) {
        int64_t at = (first + r) * groups + group, begin = (first + r) * cols + group * size;
        storeScale(scheme.scale, grids[r].scale, out.scales.data() + at * scaleBytes);
        if (!scheme.symmetric)
          out.zeros[at] = grids[r].zero;
        encodeGroup(scheme, grids[r], weights.subspan(begin, size), out.codes.subspan(begin, size));
      }
    }
  }
  return {};
}
