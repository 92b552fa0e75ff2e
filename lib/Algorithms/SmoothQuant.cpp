// See SmoothQuant.h.
#include "lib/Algorithms/SmoothQuant.h"

#include "lib/Algorithms/ActivationRounder.h"
#include "lib/Numerics/RoundToNearest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

using namespace qopt;

/// Below this a maximum, or a scale, says nothing; the authors' code has the same.
static constexpr double kFloor = 1e-5;
/// α = i / kSteps.
static constexpr int kSteps = 20;
static constexpr int64_t kChunkRows = 64;

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

class Search {
public:
  Search(std::span<const SmoothQuantLinear> linears, const SmoothQuantInputs &inputs, const ParallelFor &parallel)
      : inputs(inputs), parallel(parallel), tokens(inputs.samples.rows), channels(inputs.samples.cols) {
    for (const SmoothQuantLinear &linear : linears) {
      rounders.try_emplace(linear.scheme.activations, linear.scheme.activations, tokens, channels);
      for (int64_t first = 0; first < linear.rows; first += kChunkRows)
        chunks.push_back({&linear, first, std::min(kChunkRows, linear.rows - first), {}});
    }
    AlignedVector<float> columns = transposed(inputs.samples);
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
    AlignedVector<float> scaled(tokens * channels);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < channels; ++k)
        scaled[t * channels + k] = inputs.samples.data[t * channels + k] / factor[inputs.factorOf[k]];
    std::map<ActivationKind, AlignedVector<float>> columnsOf; // Q(X·S⁻¹)ᵀ
    for (auto &[kind, rounder] : rounders) {
      std::optional<float> fixed;
      if (kind == ActivationKind::I8Static) {
        Result<float> scale = staticScale(scaled, factor);
        if (!scale)
          return scale.takeError();
        fixed = *scale;
      }
      Result<MatrixView> rounded = rounder.round({scaled.data(), tokens, channels, channels}, fixed);
      if (!rounded)
        return rounded.takeError();
      columnsOf[kind] = transposed(*rounded);
    }
    std::vector<double> errors(chunks.size());
    std::vector<Status> statuses(chunks.size());
    parallel(static_cast<int64_t>(chunks.size()), [&](int64_t i) {
      const Chunk &chunk = chunks[i];
      Result<double> error = chunkError(chunk, columnsOf.at(chunk.linear->scheme.activations), factor);
      if (error)
        errors[i] = *error;
      else
        statuses[i] = error.takeError();
    });
    for (Status &status : statuses)
      if (!status)
        return status.takeError();
    return std::accumulate(errors.begin(), errors.end(), 0.0);
  }

private:
  /// Of X·S⁻¹. The greatest that calibration has seen is more than these samples have.
  Result<float> staticScale(std::span<const float> scaled, std::span<const float> factor) const {
    MagnitudeHistogram magnitudes;
    if (inputs.staticRange.rule != ActivationRangeRule::Max)
      magnitudes.add(scaled);
    else
      for (size_t j = 0; j < factor.size(); ++j)
        magnitudes.add(std::array{inputs.greatest[j] / factor[j]});
    return chooseActivationScale(magnitudes, inputs.staticRange);
  }

  /// [channels, tokens]
  AlignedVector<float> transposed(MatrixView x) const {
    AlignedVector<float> columns(tokens * channels);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < channels; ++k)
        columns[k * tokens + t] = x.data[t * channels + k];
    return columns;
  }

  /// out -= weights · columns, weights : [rows, channels], columns : [channels, tokens], out : [rows, tokens].
  void subtractProduct(std::span<const float> weights, const AlignedVector<float> &columns,
                       AlignedVector<float> &out) const {
    auto rows = static_cast<int64_t>(weights.size()) / channels;
    AlignedVector<float> turned(weights.size());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < channels; ++k)
        turned[k * rows + r] = weights[r * channels + k];
    dense().subtractFeedback(out.data(), tokens, rows, columns.data(), channels, turned.data(), rows);
  }

  Result<double> chunkError(const Chunk &chunk, const AlignedVector<float> &columns,
                            std::span<const float> factor) const {
    const WeightScheme &scheme = chunk.linear->scheme.weights;
    int64_t groups = scheme.groupsPerRow(channels);
    std::vector<float> scaled(chunk.rows * channels), rounded(scaled.size());
    for (int64_t r = 0; r < chunk.rows; ++r)
      for (int64_t k = 0; k < channels; ++k)
        scaled[r * channels + k] = chunk.linear->weights[(chunk.first + r) * channels + k] * factor[inputs.factorOf[k]];
    std::vector<uint8_t> codes(scaled.size()), zeros(scheme.symmetric ? 0 : chunk.rows * groups);
    std::vector<std::byte> scales(chunk.rows * groups * info(scheme.scale).blockBytes);
    QuantizedRows out{codes, scales, zeros};
    if (Status status = quantizeRoundToNearest(scheme, chunk.rows, channels, scaled, out, chunk.first); !status)
      return status.takeError();
    if (Status status = dequantizeRows(scheme, chunk.rows, channels, out, rounded); !status)
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
  std::map<ActivationKind, ActivationRounder> rounders;
  std::vector<Chunk> chunks;
};
} // namespace

Result<SmoothQuantChoice> qopt::searchSmoothQuantScale(std::span<const SmoothQuantLinear> linears,
                                                       const SmoothQuantInputs &inputs, const ParallelFor &parallel) {
  Search search(linears, inputs, parallel);
  Result<double> unscaled = search.errorOf(std::vector<float>(inputs.greatest.size(), 1));
  if (!unscaled)
    return unscaled.takeError();
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
