// See SmoothQuant.h.
#include "lib/Algorithms/SmoothQuant.h"

#include "lib/Algorithms/ActivationRounder.h"
#include "lib/Algorithms/Columns.h"
#include "lib/Numerics/RoundToNearest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

using namespace qopt;

/// Below this a maximum, or a scale, says nothing; the authors' code has the same.
static constexpr double kFloor = 1e-5;
/// α = i / kSteps.
static constexpr int kSteps = 20;
/// Enough for a product to be worth packing the tokens for.
static constexpr int64_t kChunkRows = 192, kChunkTokens = 64;

std::vector<float> qopt::smoothQuantScale(std::span<const float> inputs, std::span<const float> weights, double alpha) {
  std::vector<float> scale(inputs.size());
  for (size_t j = 0; j < scale.size(); ++j) {
    double x = std::max<double>(inputs[j], kFloor), w = std::max<double>(weights[j], kFloor);
    scale[j] = static_cast<float>(std::max(std::pow(x, alpha) / std::pow(w, 1 - alpha), kFloor));
  }
  return scale;
}

namespace {
/// Some rows of a linear.
struct Chunk {
  const SmoothQuantLinear *linear;
  int64_t first, rows;
  AlignedVector<float> outputs; ///< X·Wᵀ : [rows, tokens]
};

/// Some of the tokens.
struct Part {
  int64_t first, count;
  AlignedVector<float> scaled;   ///< their rows of X·S⁻¹
  MagnitudeHistogram magnitudes; ///< of these
};

class Search {
public:
  Search(std::span<const SmoothQuantLinear> linears, const SmoothQuantInputs &inputs, const ParallelFor &parallel)
      : inputs(inputs), parallel(parallel), tokens(inputs.samples.rows), channels(inputs.samples.cols) {
    for (const SmoothQuantLinear &linear : linears) {
      kinds.insert(linear.scheme.activations);
      for (int64_t first = 0; first < linear.rows; first += kChunkRows)
        chunks.push_back({&linear, first, std::min(kChunkRows, linear.rows - first), {}});
    }
    for (int64_t first = 0; first < tokens; first += kChunkTokens)
      parts.push_back({first, std::min(kChunkTokens, tokens - first), {}, {}});
    AlignedVector<float> columns = columnsOf(inputs.samples);
    parallel(static_cast<int64_t>(chunks.size()), [&](int64_t i) {
      Chunk &chunk = chunks[i];
      std::span<const float> rows = chunk.linear->weights.subspan(chunk.first * channels, chunk.rows * channels);
      chunk.outputs.resize(chunk.rows * tokens);
      subtractProduct(rows, columns, chunk.outputs);
      for (float &value : chunk.outputs)
        value = -value;
    });
  }

  /// The objective with s : [factors].
  Result<double> errorOf(std::span<const float> factor) {
    parallel(static_cast<int64_t>(parts.size()), [&](int64_t i) { scalePart(parts[i], factor); });
    std::optional<float> fixed;
    if (kinds.contains(ActivationKind::I8Static)) {
      Result<float> scale = staticScale(factor);
      if (!scale)
        return scale.takeError();
      fixed = *scale;
    }
    std::map<ActivationKind, AlignedVector<float>> columns; // Q(X·S⁻¹)ᵀ
    for (ActivationKind kind : kinds)
      if (Status status = roundParts(kind, fixed, columns[kind]); !status)
        return status.takeError();
    std::vector<double> errors(chunks.size());
    Status status = each<Chunk>(chunks, [&](Chunk &chunk, size_t i) -> Status {
      Result<double> error = chunkError(chunk, columns.at(chunk.linear->scheme.activations), factor);
      if (!error)
        return error.takeError();
      errors[i] = *error;
      return {};
    });
    if (!status)
      return status.takeError();
    return std::accumulate(errors.begin(), errors.end(), 0.0);
  }

private:
  /// The first failure of `body`, which is called for all.
  template <typename Item> Status each(std::vector<Item> &items, const std::function<Status(Item &, size_t)> &body) {
    std::vector<Status> statuses(items.size());
    parallel(static_cast<int64_t>(items.size()), [&](int64_t i) { statuses[i] = body(items[i], i); });
    for (Status &status : statuses)
      if (!status)
        return std::move(status);
    return {};
  }

  void scalePart(Part &part, std::span<const float> factor) {
    part.scaled.resize(part.count * channels);
    for (int64_t t = 0; t < part.count; ++t)
      for (int64_t k = 0; k < channels; ++k)
        part.scaled[t * channels + k] =
            inputs.samples.data[(part.first + t) * channels + k] / factor[inputs.factorOf[k]];
    part.magnitudes = {};
    if (kinds.contains(ActivationKind::I8Static) && inputs.staticRange.rule != ActivationRangeRule::Max)
      part.magnitudes.add(part.scaled);
  }

  /// Of X·S⁻¹. The greatest that calibration has seen is more than these samples have.
  Result<float> staticScale(std::span<const float> factor) const {
    MagnitudeHistogram magnitudes;
    if (inputs.staticRange.rule != ActivationRangeRule::Max)
      for (const Part &part : parts)
        magnitudes.add(part.magnitudes);
    else
      for (size_t j = 0; j < factor.size(); ++j)
        magnitudes.add(std::array{inputs.greatest[j] / factor[j]});
    return chooseActivationScale(magnitudes, inputs.staticRange);
  }

  /// X·S⁻¹ in the form of a kind of activations, turned : [channels, tokens].
  Status roundParts(ActivationKind kind, std::optional<float> fixed, AlignedVector<float> &columns) {
    columns.resize(channels * tokens);
    return each<Part>(parts, [&](Part &part, size_t) -> Status {
      ActivationRounder rounder(kind, part.count, channels);
      Result<MatrixView> rounded = rounder.round({part.scaled.data(), part.count, channels, channels}, fixed);
      if (!rounded)
        return rounded.takeError();
      copyColumns(*rounded, columns.data() + part.first, tokens);
      return {};
    });
  }

  /// out -= weights · columns, weights : [rows, channels], columns : [channels, tokens], out : [rows, tokens].
  void subtractProduct(std::span<const float> weights, const AlignedVector<float> &columns,
                       AlignedVector<float> &out) const {
    auto rows = static_cast<int64_t>(weights.size()) / channels;
    AlignedVector<float> turned = columnsOf({weights.data(), rows, channels, channels});
    dense().subtractFeedback(out.data(), tokens, rows, columns.data(), channels, turned.data(), rows);
  }

  Result<double> chunkError(const Chunk &chunk, const AlignedVector<float> &columns,
                            std::span<const float> factor) const {
    const WeightScheme &scheme = chunk.linear->scheme.weights;
    std::vector<float> scaled(chunk.rows * channels), rounded(scaled.size());
    for (int64_t r = 0; r < chunk.rows; ++r)
      for (int64_t k = 0; k < channels; ++k)
        scaled[r * channels + k] = chunk.linear->weights[(chunk.first + r) * channels + k] * factor[inputs.factorOf[k]];
    if (Status status = roundRowsToNearest(scheme, chunk.rows, channels, scaled, rounded, chunk.first); !status)
      return status.takeError();
    AlignedVector<float> difference = chunk.outputs;
    subtractProduct(rounded, columns, difference);
    double sum = 0;
    for (float value : difference)
      sum += static_cast<double>(value) * value;
    return sum;
  }

  const SmoothQuantInputs &inputs;
  const ParallelFor &parallel;
  int64_t tokens, channels;
  std::set<ActivationKind> kinds;
  std::vector<Part> parts;
  std::vector<Chunk> chunks;
};
} // namespace

Result<SmoothQuantChoice> qopt::searchSmoothQuantScale(std::span<const SmoothQuantLinear> linears,
                                                       const SmoothQuantInputs &inputs, const ParallelFor &parallel) {
  Search search(linears, inputs, parallel);
  Result<double> unscaled = search.errorOf(std::vector<float>(inputs.greatest.size(), 1));
  if (!unscaled)
    return unscaled.takeError();
  if (!std::isfinite(*unscaled))
    return Error{ErrorClass::Gate,
                 "expected an error of the outputs that is finite, but got " + std::to_string(*unscaled), "", "",
                 "look for what is not finite in weights and statistics"};
  SmoothQuantChoice best;
  best.error = best.unscaledError = *unscaled;
  for (int step = 0; step <= kSteps; ++step) {
    double alpha = static_cast<double>(step) / kSteps;
    std::vector<float> factor = smoothQuantScale(inputs.greatest, inputs.greatestWeight, alpha);
    Result<double> error = search.errorOf(factor);
    if (!error)
      return error.takeError();
    if (*error < best.error) {
      best.factor = std::move(factor);
      best.alpha = alpha, best.error = *error;
    }
  }
  return best;
}
