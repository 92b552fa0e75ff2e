// Chunks of rows are taken apart from each other, columns outermost, as in Gptq.cpp; sums are joined in their order.
#include "lib/Algorithms/Awq.h"

#include "lib/Algorithms/Columns.h"
#include "lib/Algorithms/PackedSymmetric.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

using namespace qopt;

/// α = i / kSteps.
static constexpr int kSteps = 20;
static constexpr int64_t kChunkRows = 96;

namespace {
/// Some rows of one weight: element k of row r stands at k·rows + r.
struct Chunk {
  const AwqLinear *linear;
  int64_t rows;
  AlignedVector<float> weights; ///< [inputs, rows]
};

/// H for the ranges of groups, and for what all errors of a row cost.
struct Objective {
  explicit Objective(MatrixView h) : h(h), form(h) {}

  MatrixView h;
  PackedSymmetric form;
};
} // namespace

/// These rows, which need not be neighbours.
static Chunk makeChunk(const AwqLinear &linear, int64_t inputs, std::span<const int64_t> rows) {
  auto count = static_cast<int64_t>(rows.size());
  AlignedVector<float> gathered(count * inputs);
  for (int64_t r = 0; r < count; ++r)
    std::copy_n(linear.weights.data() + rows[r] * inputs, inputs, gathered.data() + r * inputs);
  return {&linear, count, columnsOf({gathered.data(), count, inputs, inputs})};
}

/// Some rows each, as they stand.
static std::vector<Chunk> makeChunks(std::span<const AwqLinear> linears, int64_t inputs) {
  std::vector<Chunk> chunks;
  for (const AwqLinear &linear : linears)
    for (int64_t first = 0; first < linear.rows; first += kChunkRows) {
      int64_t rows = std::min(kChunkRows, linear.rows - first);
      chunks.push_back({&linear, rows, columnsOf({linear.weights.data() + first * inputs, rows, inputs, inputs})});
    }
  return chunks;
}

/// δᵀ·H·δ of each row of a chunk, their ranges chosen by `options`. Where a row has no grid, because its scale is out
/// of range, all cost infinitely.
static AlignedVector<float> rowErrors(const Chunk &chunk, const Objective &objective, std::span<const float> scale,
                                      const RangeOptions &options) {
  MatrixView h = objective.h;
  const WeightScheme &scheme = chunk.linear->scheme;
  int64_t rows = chunk.rows, inputs = h.cols, size = scheme.groupSize(inputs);
  AlignedVector<float> scaled(size * rows), step(rows), low(rows), high(rows), delta(inputs * rows);
  std::vector<GroupGrid> grids(rows);
  RangeSearch ranges(scheme, options, rows, size);
  for (int64_t first = 0; first < inputs; first += size) {
    for (int64_t k = 0; k < size; ++k)
      for (int64_t r = 0; r < rows; ++r)
        scaled[k * rows + r] = chunk.weights[(first + k) * rows + r] * scale[first + k];
    MatrixView block{h.data + first * (h.stride + 1), size, size, h.stride};
    if (ranges.search(scaled.data(), size, block, grids))
      return AlignedVector<float>(rows, std::numeric_limits<float>::infinity());
    for (int64_t r = 0; r < rows; ++r) {
      step[r] = grids[r].scale;
      low[r] = -static_cast<float>(grids[r].zero), high[r] = static_cast<float>(scheme.maxCode() - grids[r].zero);
    }
    float *errors = delta.data() + first * rows;
    dense().roundingErrors(scaled.data(), rows, size, step.data(), low.data(), high.data(), errors);
    for (int64_t k = 0; k < size; ++k)
      for (int64_t r = 0; r < rows; ++r)
        errors[k * rows + r] /= scale[first + k];
  }
  AlignedVector<float> forms(rows);
  objective.form.forms(delta.data(), rows, forms.data());
  return forms;
}

static double sum(std::span<const float> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

static double sumErrors(std::span<const Chunk> chunks, const Objective &objective, std::span<const float> scale,
                        const RangeOptions &options, const ParallelFor &parallel) {
  std::vector<double> errors(chunks.size());
  parallel(static_cast<int64_t>(chunks.size()),
           [&](int64_t i) { errors[i] = sum(rowErrors(chunks[i], objective, scale, options)); });
  return std::accumulate(errors.begin(), errors.end(), 0.0);
}

/// w̄ : [inputs]
static std::vector<double> meanWeights(std::span<const AwqLinear> linears, int64_t inputs) {
  std::vector<double> mean(inputs);
  int64_t rows = 0;
  for (const AwqLinear &linear : linears) {
    int64_t size = linear.scheme.groupSize(inputs);
    for (int64_t r = 0; r < linear.rows; ++r)
      for (int64_t first = 0; first < inputs; first += size) {
        std::span<const float> group = linear.weights.subspan(r * inputs + first, size);
        float greatest = 0;
        for (float value : group)
          greatest = std::max(greatest, std::fabs(value));
        if (greatest > 0)
          for (int64_t k = 0; k < size; ++k)
            mean[first + k] += static_cast<double>(std::fabs(group[k]) / greatest);
      }
    rows += linear.rows;
  }
  for (double &value : mean)
    value /= static_cast<double>(rows);
  return mean;
}

/// Means over the channels of each factor.
static std::vector<double> perFactor(std::span<const double> channels, const AwqInputs &inputs) {
  std::vector<double> sum(inputs.factors), count(inputs.factors);
  for (size_t k = 0; k < channels.size(); ++k)
    sum[inputs.factorOf[k]] += channels[k], ++count[inputs.factorOf[k]];
  for (int64_t f = 0; f < inputs.factors; ++f)
    sum[f] /= count[f];
  return sum;
}

double qopt::nearestError(std::span<const AwqLinear> linears, MatrixView h, const ParallelFor &parallel,
                          const RangeOptions &options) {
  return sumErrors(makeChunks(linears, h.cols), Objective(h), std::vector<float>(h.cols, 1.0F), options, parallel);
}

double qopt::outputPower(std::span<const AwqLinear> linears, MatrixView h, const ParallelFor &parallel) {
  std::vector<Chunk> chunks = makeChunks(linears, h.cols);
  PackedSymmetric form(h);
  std::vector<double> powers(chunks.size());
  parallel(static_cast<int64_t>(chunks.size()), [&](int64_t i) {
    AlignedVector<float> forms(chunks[i].rows);
    form.forms(chunks[i].weights.data(), chunks[i].rows, forms.data());
    powers[i] = sum(forms);
  });
  return std::accumulate(powers.begin(), powers.end(), 0.0);
}

namespace {
/// A factor to try.
struct Candidate {
  double alpha = 0;
  bool usesWeights = false;
  std::vector<float> factor; ///< s : [factors]
};
} // namespace

/// All candidates; of equals the first wins, 1 before all others.
static std::vector<Candidate> makeCandidates(std::span<const AwqLinear> linears, const AwqInputs &inputs) {
  auto n = static_cast<int64_t>(inputs.meanAbs.size());
  std::vector<double> x = perFactor(inputs.meanAbs, inputs), w = perFactor(meanWeights(linears, n), inputs);
  std::vector<Candidate> candidates = {{0, false, std::vector<float>(inputs.factors, 1.0F)}};
  std::vector<double> s(inputs.factors);
  for (bool usesWeights : {true, false})
    for (int i = usesWeights ? 0 : 1; i <= kSteps; ++i) { // x̄ to the power of 0 is 1
      double alpha = static_cast<double>(i) / kSteps;
      for (int64_t f = 0; f < inputs.factors; ++f) {
        double by = usesWeights ? std::pow(w[f], 1 - alpha) + 1e-4 : 1;
        s[f] = std::max(std::pow(x[f], alpha) / by, 1e-4);
      }
      auto [least, most] = std::minmax_element(s.begin(), s.end());
      double middle = std::sqrt(*least * *most);
      Candidate &made = candidates.emplace_back(alpha, usesWeights, std::vector<float>(inputs.factors));
      std::transform(s.begin(), s.end(), made.factor.begin(),
                     [&](double value) { return static_cast<float>(value / middle); });
    }
  return candidates;
}

/// s of each channel : [inputs]
static std::vector<float> ofChannels(std::span<const float> factor, const AwqInputs &inputs) {
  std::vector<float> scale(inputs.factorOf.size());
  std::transform(inputs.factorOf.begin(), inputs.factorOf.end(), scale.begin(), [&](int64_t f) { return factor[f]; });
  return scale;
}

/// Knows of candidates that cannot win any more: no chunk's error is less than 0, so that what a candidate's chunks sum
/// to so far is the least that it will cost. Which are found out early depends on the order of things; which wins does
/// not.
class Race {
public:
  explicit Race(size_t candidates, size_t chunks) : chunks(chunks), sums(candidates), done(candidates) {}

  bool isLost(size_t candidate) const { return sums[candidate].load() > least.load() * kMargin; }

  void add(size_t candidate, double error) {
    double sum = sums[candidate].fetch_add(error) + error;
    if (++done[candidate] != chunks)
      return;
    know(sum);
  }

  /// That a candidate costs so much.
  void know(double sum) {
    double known = least.load();
    while (sum < known && !least.compare_exchange_weak(known, sum))
      ;
  }

private:
  /// Sums in f32 of what is about 0 may lie below it, and those of an order differ from those of another.
  static constexpr double kMargin = 1 + 1e-4;
  size_t chunks;
  std::vector<std::atomic<double>> sums;
  std::vector<std::atomic<size_t>> done;
  std::atomic<double> least{std::numeric_limits<double>::infinity()};
};

namespace {
/// Rows that cost most together, and what costs most first.
struct CostliestFirst {
  std::vector<Chunk> chunks;
  double cost = 0; ///< of all, summed as a candidate's is

  /// errors : [rows of all linears]
  CostliestFirst(std::span<const AwqLinear> linears, int64_t inputs, std::span<const float> errors) {
    struct Part {
      double cost;
      const AwqLinear *linear;
      std::vector<int64_t> rows;
    };
    std::vector<Part> parts;
    for (const AwqLinear &linear : linears) {
      std::vector<int64_t> rows(linear.rows);
      std::iota(rows.begin(), rows.end(), int64_t{0});
      // A NaN has no place in an order, and is found in the sum.
      auto rank = [&](int64_t row) { return std::pair(std::isnan(errors[row]) ? 0.0F : -errors[row], row); };
      std::sort(rows.begin(), rows.end(), [&](int64_t a, int64_t b) { return rank(a) < rank(b); });
      for (std::span<const int64_t> rest = rows; !rest.empty();) {
        auto some = rest.first(std::min<size_t>(kChunkRows, rest.size()));
        auto add = [&](double all, int64_t row) { return all + double{errors[row]}; };
        parts.push_back({std::accumulate(some.begin(), some.end(), 0.0, add), &linear, {some.begin(), some.end()}});
        rest = rest.subspan(some.size());
      }
      errors = errors.subspan(linear.rows);
    }
    auto rank = [](const Part &part) {
      return std::tuple(std::isnan(part.cost) ? 0 : -part.cost, part.linear, part.rows[0]);
    };
    std::sort(parts.begin(), parts.end(), [&](const Part &a, const Part &b) { return rank(a) < rank(b); });
    for (const Part &part : parts) {
      chunks.push_back(makeChunk(*part.linear, inputs, part.rows));
      cost += part.cost;
    }
  }
};
} // namespace

/// Σ tr(ΔW·H·ΔWᵀ) of each candidate : [candidates]; infinite where another was seen to be better before all of its rows
/// were looked at. Rows that cost most without a scale are looked at first: a candidate that loses is found out by
/// fewer.
static std::vector<double> outputErrors(std::span<const AwqLinear> linears, const AwqInputs &inputs,
                                        std::span<const Candidate> candidates, const ParallelFor &parallel) {
  auto n = static_cast<int64_t>(inputs.meanAbs.size());
  Objective objective({inputs.hessian.data(), n, n, n});
  std::vector<std::vector<float>> scales;
  for (const Candidate &candidate : candidates)
    scales.push_back(ofChannels(candidate.factor, inputs));
  std::vector<Chunk> given = makeChunks(linears, n);
  std::vector<AlignedVector<float>> unscaled(given.size());
  parallel(static_cast<int64_t>(given.size()),
           [&](int64_t i) { unscaled[i] = rowErrors(given[i], objective, scales[0], {}); });
  std::vector<float> rows;
  for (const AlignedVector<float> &some : unscaled)
    rows.insert(rows.end(), some.begin(), some.end());
  given.clear();
  auto [chunks, cost] = CostliestFirst(linears, n, rows);
  std::vector<double> errors(candidates.size());
  if (chunks.empty())
    return errors;
  errors[0] = cost;
  std::vector<double> parts(candidates.size() * chunks.size(), std::numeric_limits<double>::infinity());
  Race race(candidates.size(), chunks.size());
  race.know(cost);
  auto look = [&, &chunks = chunks](size_t candidate, size_t chunk) {
    if (race.isLost(candidate))
      return;
    double error = sum(rowErrors(chunks[chunk], objective, scales[candidate], {}));
    parts[candidate * chunks.size() + chunk] = error;
    race.add(candidate, error);
  };
  // The costliest rows tell which candidates are to be looked at first.
  parallel(static_cast<int64_t>(candidates.size() - 1), [&](int64_t i) { look(i + 1, 0); });
  std::vector<size_t> order(candidates.size() - 1);
  std::iota(order.begin(), order.end(), size_t{1});
  auto rank = [&](size_t candidate) {
    double error = parts[candidate * chunks.size()];
    return std::pair(std::isnan(error) ? 0 : error, candidate);
  };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rank(a) < rank(b); });
  // Candidates and chunks in one loop: a weight of few rows alone would leave threads without work.
  size_t rest = chunks.size() - 1;
  parallel(static_cast<int64_t>(order.size() * rest), [&](int64_t i) { look(order[i / rest], 1 + i % rest); });
  for (size_t i = 1; i < candidates.size(); ++i) {
    auto part = parts.begin() + static_cast<int64_t>(i * chunks.size());
    errors[i] = std::accumulate(part, part + static_cast<int64_t>(chunks.size()), 0.0);
  }
  return errors;
}

Result<AwqScale> qopt::searchAwqScale(std::span<const AwqLinear> linears, const AwqInputs &inputs,
                                      const ParallelFor &parallel, const AwqObjective &objective) {
  std::vector<Candidate> candidates = makeCandidates(linears, inputs);
  std::vector<double> errors;
  if (objective) {
    for (const Candidate &candidate : candidates) {
      Result<double> error = objective(ofChannels(candidate.factor, inputs));
      if (!error)
        return error.takeError();
      errors.push_back(*error);
    }
  } else {
    errors = outputErrors(linears, inputs, candidates, parallel);
  }
  for (double error : errors)
    if (std::isnan(error))
      return Error{ErrorClass::Gate,
                   "expected an error of the output that is a number, but got NaN",
                   {},
                   {},
                   "look for what is not finite in weights and statistics"};
  size_t best = std::min_element(errors.begin(), errors.end()) - errors.begin();
  Candidate &taken = candidates[best];
  return AwqScale{std::move(taken.factor), taken.alpha, taken.usesWeights, errors[best], errors.front()};
}
