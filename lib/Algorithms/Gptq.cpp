// GPTQ on chunks of rows: all loops run over the rows of a chunk, which are adjacent in memory.
#include "lib/Algorithms/Gptq.h"

#include "lib/Algorithms/Columns.h"
#include "lib/Algorithms/Hessian.h"
#include "lib/Algorithms/Shrinkage.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

using namespace qopt;

/// Columns whose feedback to all later ones is applied at once, as one product.
static constexpr int64_t kLazyColumns = 128;

Status GptqOptions::validate() const {
  if (Status status = checkShrinkage(shrink); !status)
    return status;
  if (scales == Scales::Live && activationOrder)
    return usageError("expected live scales without activation order: a group's columns would not be rounded together")
        .withNext("use static scales, or the stored order");
  auto allowed = [](double lambda) { return lambda >= 0 && std::isfinite(lambda); };
  if (damping.empty() || !std::ranges::all_of(damping, allowed) || !std::ranges::is_sorted(damping))
    return usageError("expected a ladder of damping factors, not negative and ascending");
  if (range.candidates < 1 || !(range.step > 0) || (range.candidates - 1) * range.step >= 1)
    return usageError("expected candidates for the range that are greater than 0");
  return {};
}

Status qopt::checkGptqTokens(int64_t inputs, int64_t tokens) {
  if (tokens >= inputs)
    return {};
  return Error{ErrorClass::Gate,
               "expected statistics of at least as many tokens as there are inputs (" + std::to_string(inputs) +
                   "), but got " + std::to_string(tokens),
               {},
               {},
               "calibrate with more samples"};
}

Result<Gptq> Gptq::create(std::span<const float> hessian, int64_t inputs, int64_t tokens, const GptqOptions &options) {
  if (Status status = options.validate(); !status)
    return status.takeError();
  auto gate = [](std::string rule, std::string next) {
    return Error{ErrorClass::Gate, std::move(rule), {}, {}, std::move(next)};
  };
  if (inputs < 1 || static_cast<int64_t>(hessian.size()) != inputs * inputs)
    return badInput("expected a Hessian of " + std::to_string(inputs) + " x " + std::to_string(inputs) +
                    " numbers, but got " + std::to_string(hessian.size()));
  if (Status status = checkGptqTokens(inputs, tokens); !status)
    return status.takeError();
  Gptq gptq(hessian, inputs, options);
  if (Status status = checkHessian(hessian, inputs); !status)
    return status.takeError();
  gptq.chooseOrder();
  MatrixView h{hessian.data(), inputs, inputs, inputs};
  int64_t n = static_cast<int64_t>(gptq.order.size());
  if (n == 0) {
    gptq.form.assign(h);
    return gptq;
  }
  double mean = 0;
  for (int32_t i : gptq.order)
    mean += hessian[i * inputs + i] / static_cast<double>(n);
  gptq.factor.resize(n * n);
  for (gptq.rung = 0; gptq.rung < options.damping.size(); ++gptq.rung)
    if (dense().inverseFactor(h, gptq.order.data(), n, options.shrink, options.damping[gptq.rung] * mean,
                              gptq.factor.data())) {
      gptq.form.assign(h);
      return gptq;
    }
  char last[32];
  std::snprintf(last, sizeof last, "%g", options.damping.back());
  return gate("expected a Hessian that damping makes positive definite, but the last of " +
                  std::to_string(options.damping.size()) + " factors, " + last + ", does not",
              "calibrate with more samples, or shrink the Hessian toward its diagonal");
}

void Gptq::chooseOrder() {
  for (int64_t i = 0; i < inputs; ++i)
    (hessian[i * inputs + i] > 0 ? order : dead).push_back(static_cast<int32_t>(i));
  if (options.activationOrder)
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      float left = hessian[a * inputs + a], right = hessian[b * inputs + b];
      return left > right || (left == right && a < b);
    });
}

MatrixView Gptq::block(int64_t first, int64_t size, AlignedVector<float> &storage) const {
  const float *corner = hessian.data() + first * inputs + first;
  if (options.shrink == 0)
    return {corner, size, size, inputs};
  storage = shrunkHessian({corner, size, size, inputs}, options.shrink);
  return {storage.data(), size, size, size};
}

/// Some rows of one weight, columns outermost: element k of row r stands at k·rows + r.
struct Gptq::Chunk {
  int64_t rows, groupSize;
  AlignedVector<float> weights; ///< [inputs, rows] as given
  AlignedVector<float> work;    ///< [order.size(), rows] in order, with feedback
  AlignedVector<float> errors;  ///< [columns of a lazy block, rows]
  std::vector<GroupGrid> grids; ///< [groups, rows]
  std::vector<uint8_t> codes;   ///< [inputs, rows]
  AlignedVector<float> delta;   ///< [inputs, rows]: w - ŵ
};

/// The first row whose group has no grid, as an error of quantizeRoundToNearest: it names the weight.
static Status namedGridError(const WeightScheme &scheme, int64_t inputs, std::span<const float> row, int64_t number) {
  OwnedQuantizedRows rounded(scheme, 1, inputs);
  Status status = quantizeRoundToNearest(scheme, 1, inputs, row, rounded, number);
  if (!status)
    return status;
  // The weights as given have a grid; feedback has taken one out of range.
  return Error{ErrorClass::Gate,
               "expected scales that their format can hold, but feedback has made a weight too large",
               "row " + std::to_string(number),
               {},
               "use a greater damping, or bf16 or f32 scales"};
}

Status Gptq::quantizeRows(const WeightScheme &scheme, const RangeOptions &range, int64_t rows,
                          std::span<const float> weights, QuantizedRows out, GptqErrors &errors,
                          int64_t firstRow) const {
  if (Status status = scheme.validate(inputs); !status)
    return status;
  int64_t groups = scheme.groupsPerRow(inputs), groupSize = scheme.groupSize(inputs);
  size_t scaleBytes = info(scheme.scale).blockBytes;
  for (int64_t first = 0; first < rows; first += rowsPerChunk) {
    int64_t count = std::min(rowsPerChunk, rows - first);
    Chunk chunk{count,
                groupSize,
                columnsOf({weights.data() + first * inputs, count, inputs, inputs}),
                {},
                {},
                std::vector<GroupGrid>(groups * count),
                std::vector<uint8_t>(inputs * count),
                AlignedVector<float>(inputs * count)};
    if (std::optional<int64_t> refused = quantizeChunk(scheme, range, chunk))
      return namedGridError(scheme, inputs, weights.subspan((first + *refused) * inputs, inputs),
                            firstRow + first + *refused);
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t k = 0; k < inputs; ++k)
        out.codes[(first + r) * inputs + k] = chunk.codes[k * count + r];
      for (int64_t g = 0; g < groups; ++g) {
        const GroupGrid &grid = chunk.grids[g * count + r];
        storeScale(scheme.scale, grid.scale, out.scales.data() + ((first + r) * groups + g) * scaleBytes);
        if (!scheme.symmetric)
          out.zeros[(first + r) * groups + g] = grid.zero;
      }
    }
    AlignedVector<float> forms(count);
    form.forms(chunk.delta.data(), count, forms.data());
    errors.trace += std::accumulate(forms.begin(), forms.end(), 0.0);
    form.forms(chunk.weights.data(), count, forms.data());
    errors.power += std::accumulate(forms.begin(), forms.end(), 0.0);
  }
  return {};
}

namespace {
/// A column's grid for each row, as its loop wants it.
struct ColumnGrid {
  explicit ColumnGrid(int64_t rows) : scale(rows), low(rows), high(rows) {}

  void load(const WeightScheme &scheme, const GroupGrid *grids) {
    for (size_t r = 0; r < scale.size(); ++r) {
      scale[r] = grids[r].scale;
      low[r] = -static_cast<float>(grids[r].zero);
      high[r] = static_cast<float>(scheme.maxCode() - grids[r].zero);
    }
  }
  /// Codes : [rows] and w - ŵ : [rows] of one column.
  void round(const float *w, uint8_t *codes, float *delta) const {
    auto rows = static_cast<int64_t>(scale.size());
    for (int64_t r = 0; r < rows; ++r) {
      float steps = 0;
      if (scale[r] != 0)
        steps = std::nearbyint(std::clamp(w[r] / scale[r], low[r], high[r]));
      codes[r] = static_cast<uint8_t>(steps - low[r]);
      delta[r] = w[r] - scale[r] * steps;
    }
  }

  AlignedVector<float> scale, low, high;
};
} // namespace

std::optional<int64_t> Gptq::quantizeChunk(const WeightScheme &scheme, const RangeOptions &range, Chunk &chunk) const {
  int64_t rows = chunk.rows, size = chunk.groupSize, n = static_cast<int64_t>(order.size());
  RangeSearch ranges(scheme, range, rows, size);
  AlignedVector<float> storage;
  auto fitGroup = [&](int64_t group, const float *weights) {
    MatrixView h{};
    if (needsHessian(range.rule))
      h = block(group * size, size, storage);
    return ranges.search(weights, size, h, std::span(chunk.grids).subspan(group * rows, rows));
  };
  if (options.scales == GptqOptions::Scales::Static)
    for (int64_t group = 0; group * size < inputs; ++group)
      if (auto refused = fitGroup(group, chunk.weights.data() + group * size * rows))
        return refused;

  chunk.work.resize(n * rows);
  for (int64_t i = 0; i < n; ++i)
    std::copy_n(chunk.weights.data() + order[i] * rows, rows, chunk.work.data() + i * rows);
  ColumnGrid grid(rows);
  int64_t fitted = -1;       // the last group whose live scales are known
  AlignedVector<float> live; // [group, rows]: W with feedback so far
  for (int64_t first = 0, end; first < n; first = end) {
    end = std::min(first + kLazyColumns, n);
    // Live scales need all feedback to their group's columns: a group does not cross the end of a block.
    if (options.scales == GptqOptions::Scales::Live)
      while (end < n && order[end] / size == order[end - 1] / size)
        ++end;
    chunk.errors.resize((end - first) * rows);
    for (int64_t i = first; i < end; ++i) {
      int64_t input = order[i], group = input / size;
      if (options.scales == GptqOptions::Scales::Live && group != fitted) {
        live.assign(chunk.weights.begin() + group * size * rows, chunk.weights.begin() + (group + 1) * size * rows);
        for (int64_t j = i; j < n && order[j] / size == group; ++j)
          std::copy_n(chunk.work.data() + j * rows, rows, live.data() + (order[j] - group * size) * rows);
        if (auto refused = fitGroup(group, live.data()))
          return refused;
        fitted = group;
      }
      grid.load(scheme, chunk.grids.data() + group * rows);
      float *errors = chunk.errors.data() + (i - first) * rows;
      grid.round(chunk.work.data() + i * rows, chunk.codes.data() + input * rows, errors);
      const float *factorRow = factor.data() + i * n;
      for (int64_t r = 0; r < rows; ++r) {
        // The error against the weight as it was given, not as feedback left it.
        chunk.delta[input * rows + r] = chunk.weights[input * rows + r] - (chunk.work[i * rows + r] - errors[r]);
        errors[r] /= factorRow[i];
      }
      dense().subtractColumn(chunk.work.data() + (i + 1) * rows, rows, end - i - 1, errors, factorRow + i + 1);
    }
    if (end < n)
      dense().subtractFeedback(chunk.work.data() + end * rows, rows, n - end, chunk.errors.data(), end - first,
                               factor.data() + first * n + end, n);
  }
  for (int32_t input : dead) {
    int64_t group = input / size;
    // A group of dead inputs alone has no grid yet if scales are live.
    if (options.scales == GptqOptions::Scales::Live && input % size == 0 &&
        std::none_of(order.begin(), order.end(), [&](int32_t other) { return other / size == group; }))
      if (auto refused = fitGroup(group, chunk.weights.data() + group * size * rows))
        return refused;
    grid.load(scheme, chunk.grids.data() + group * rows);
    grid.round(chunk.weights.data() + input * rows, chunk.codes.data() + input * rows,
               chunk.delta.data() + input * rows);
  }
  return std::nullopt;
}
