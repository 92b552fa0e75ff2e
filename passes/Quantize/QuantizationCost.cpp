// See QuantizationCost.h.
#include "passes/Quantize/QuantizationCost.h"

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Algorithms/Gptq.h"
#include "passes/Calibrate/Segments.h"
#include "passes/Quantize/SiteSamples.h"

#include "llvm/ADT/MapVector.h"

#include <bit>
#include <chrono>
#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

Work &Work::operator+=(const Work &other) {
  forward += other.forward, gram += other.gram, factor += other.factor;
  quadratic += other.quadratic, rounding += other.rounding, bytes += other.bytes;
  return *this;
}

double WorkRates::secondsOf(const Work &work) const {
  return work.forward / perSecond.forward + work.gram / perSecond.gram + work.factor / perSecond.factor +
         work.quadratic / perSecond.quadratic + work.rounding / perSecond.rounding + work.bytes / perSecond.bytes;
}

/// How often `body` runs in a second: the best of a few tries of some milliseconds.
static double ratePerSecond(const std::function<void()> &body) {
  using Clock = std::chrono::steady_clock;
  body();
  double best = 0;
  for (int trial = 0; trial < 3; ++trial) {
    int64_t runs = 0;
    Clock::time_point start = Clock::now();
    std::chrono::duration<double> taken{};
    do {
      body();
      ++runs;
      taken = Clock::now() - start;
    } while (taken.count() < 0.02);
    best = std::max(best, static_cast<double>(runs) / taken.count());
  }
  return best;
}

/// Compiled linears in f32 reach this part of what a Gram matrix's tiles do, and weights are rounded and written at
/// this rate: measured on SmolLM2-135M (docs/Recipes.md).
static constexpr double kForwardOfGram = 0.75, kBytesPerSecond = 250e6;

WorkRates WorkRates::measure(int threads) {
  constexpr int64_t n = 256, rows = Gptq::rowsPerChunk, group = 64;
  AlignedVector<float> x(n * n), out(n * n), h(n * n), scale(rows, 0.01F), low(rows, -8), high(rows, 7), form(rows);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(static_cast<int>(i * 2654435761U >> 16 & 255) - 128) / 128;
  MatrixView view{x.data(), n, n, n};
  const Dense &dense = qopt::dense();
  double grams = ratePerSecond([&] { dense.addGram(view, 0, n, 0, n, out.data(), n); });
  h = out; // positive: a sum of squares
  std::vector<int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  double factors = ratePerSecond([&] {
    (void)dense.inverseFactor({h.data(), n, n, n}, order.data(), n, 0.1, static_cast<double>(h[0]), out.data());
  });
  double forms = ratePerSecond([&] { dense.quadraticForms({h.data(), group, group, n}, x.data(), rows, form.data()); });
  double rounds = ratePerSecond(
      [&] { dense.roundingErrors(x.data(), rows, group, scale.data(), low.data(), high.data(), out.data()); });
  WorkRates rates;
  rates.threads = threads;
  rates.perSecond.gram = grams * 2 * n * n * n * threads;
  rates.perSecond.forward = kForwardOfGram * rates.perSecond.gram;
  rates.perSecond.factor = factors * n * n * n;
  rates.perSecond.quadratic = forms * 2 * rows * group * group * threads;
  rates.perSecond.rounding = rounds * rows * group * threads;
  rates.perSecond.bytes = kBytesPerSecond;
  return rates;
}

namespace {
/// A value that linears read.
struct ReadValue {
  SmallVector<LinearOp> readers;
  int64_t channels = 0, rows = 0; ///< rows of all readers
  int64_t elements() const { return rows * channels; }
};

/// What costs are counted from.
class Counted {
public:
  Counted(ModuleOp module, const CostInputs &inputs) : inputs(inputs) {
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    if (!forward)
      return;
    segments = findSegments(forward);
    for (const Segment &segment : segments)
      for (Operation *op : segment.ops) {
        auto linear = dyn_cast<LinearOp>(op);
        if (!linear || !isOverTokens(linear))
          continue;
        auto weight = cast<RankedTensorType>(linear.getWeight().getType());
        ReadValue &read = sites[linear.getInput()];
        read.readers.push_back(linear);
        read.channels = weight.getDimSize(1);
        read.rows += weight.getDimSize(0);
      }
  }

  double tokens() const { return static_cast<double>(inputs.samples * inputs.length); }

  /// What is over rows stands in the last segment, after the tokens that are wanted were chosen.
  bool isOverTokens(LinearOp linear) { return segments.empty() || !isInLast(linear); }

  /// Operations that running ops takes for each token.
  double forwardOf(ArrayRef<Operation *> ops) const {
    double sum = 0;
    for (Operation *op : ops)
      if (auto linear = dyn_cast<LinearOp>(op)) {
        sum += 2.0 * static_cast<double>(cast<RankedTensorType>(linear.getWeight().getType()).getNumElements());
      } else if (isa<AttentionOp>(op)) {
        // Scores and values, each token with half of the others on average.
        auto result = cast<RankedTensorType>(op->getResult(0).getType());
        sum += 2.0 * static_cast<double>(result.getShape().back() * inputs.length);
      }
    return sum;
  }
  double forward() const {
    double sum = 0;
    for (const Segment &segment : segments)
      sum += forwardOf(segment.ops);
    return sum;
  }

  /// Of what GPTQ runs to follow the model: each segment whole, and before that once for each value in it that linears
  /// read, up to there.
  double following() const {
    double sum = 0;
    for (const Segment &segment : ArrayRef(segments).drop_back(segments.empty() ? 0 : 1)) {
      sum += forwardOf(segment.ops);
      llvm::DenseSet<Value> seen;
      for (auto [index, op] : llvm::enumerate(segment.ops))
        if (auto linear = dyn_cast<LinearOp>(op))
          if (linear.getInput() != segment.input && seen.insert(linear.getInput()).second)
            sum += forwardOf(ArrayRef(segment.ops).take_front(index));
    }
    return sum;
  }

  uint64_t stream() const {
    int64_t widest = 0;
    for (const Segment &segment : segments)
      if (segment.output)
        widest = std::max(widest, cast<RankedTensorType>(segment.output.getType()).getDimSize(1));
    return static_cast<uint64_t>(tokens()) * widest * sizeof(float);
  }

  /// Bytes in f32 of the largest segment's weights.
  uint64_t largestSegment() const {
    double most = 0;
    for (const Segment &segment : ArrayRef(segments).drop_back(segments.empty() ? 0 : 1))
      most = std::max(most, forwardOf(segment.ops) / 2 * sizeof(float));
    return static_cast<uint64_t>(most);
  }

  /// Partial sums that the tree of a Gram matrix holds at once, and the one that is being added to.
  int64_t gramCopies() const { return std::bit_width(static_cast<uint64_t>((inputs.samples + 15) / 16)) + 1; }

  CostInputs inputs;
  SmallVector<Segment> segments;
  llvm::MapVector<Value, ReadValue> sites;

private:
  bool isInLast(LinearOp linear) { return llvm::is_contained(segments.back().ops, linear.getOperation()); }
};
} // namespace

/// Operations of a range's search over `elements` weights in groups of `group`.
static Work rangeWork(RangeRule rule, double elements, double group) {
  Work work;
  if (rule == RangeRule::MinMax)
    return work;
  int candidates = RangeOptions::of(rule).candidates;
  work.rounding = candidates * elements;
  if (rule == RangeRule::Hessian || rule == RangeRule::Clip)
    work.quadratic = candidates * elements * 2 * group;
  return work;
}

static uint64_t squareBytes(int64_t channels) { return static_cast<uint64_t>(channels) * channels * sizeof(float); }

static StageCost calibrateCost(Counted &counted) {
  StageCost stage{"calibrate", {}, {}};
  const CostInputs &inputs = counted.inputs;
  stage.what = std::to_string(inputs.samples) + " samples of " + std::to_string(inputs.length) + " tokens";
  stage.work.forward = counted.forward() * counted.tokens();
  uint64_t sums = 0, values = 0;
  for (const Segment &segment : counted.segments) {
    uint64_t here = 0, widths = 0;
    for (auto &[value, read] : counted.sites)
      if (llvm::is_contained(segment.ops, read.readers.front().getOperation())) {
        here += squareBytes(read.channels) * counted.gramCopies();
        widths += read.channels * inputs.length * sizeof(float);
      }
    sums = std::max(sums, here), values = std::max(values, widths);
  }
  for (auto &[value, read] : counted.sites)
    stage.work.gram += counted.tokens() * static_cast<double>(read.channels) * static_cast<double>(read.channels);
  bool spills = counted.stream() > inputs.streamMemory;
  stage.spilled = spills ? counted.stream() : 0;
  stage.memory = (spills ? 0 : counted.stream()) + sums + values + 2 * counted.largestSegment();
  return stage;
}

/// Whether a target reads the value.
static const QuantizationTarget *targetOf(ReadValue &read, size_t index, Selection &selection) {
  for (const QuantizationTarget &target : selection.targets)
    if (llvm::is_contained(target.users, read.readers[index].getOperation()))
      return &target;
  return nullptr;
}

static StageCost scalesCost(Counted &counted, const Recipe &recipe, Selection &selection) {
  StageCost stage{recipe.awq ? "awq" : "smooth-quant", {}, {}};
  int64_t scaled = 0;
  for (auto &[value, read] : counted.sites) {
    double elements = 0;
    for (size_t i = 0; i < read.readers.size(); ++i)
      if (targetOf(read, i, selection))
        elements += static_cast<double>(cast<RankedTensorType>(read.readers[i].getWeight().getType()).getNumElements());
    if (elements == 0)
      continue;
    ++scaled;
    stage.work.bytes += elements * sizeof(float);
    uint64_t weights = static_cast<uint64_t>(elements) * sizeof(float);
    if (!recipe.awq) {
      stage.memory = std::max(stage.memory, 2 * weights);
      if (recipe.smoothQuant->searches()) { // outputs with 1 and 21 α, and as they are
        constexpr int candidates = 23;
        stage.work.rounding += candidates * elements;
        stage.work.gram += candidates * 2 * elements * kSearchedTokens;
      }
      continue;
    }
    // Two kinds of s for each of 21 α, but one where α is 0 or 1 makes them alike, and s = 1.
    constexpr int candidates = 42;
    stage.work.rounding += candidates * elements;
    stage.work.quadratic += candidates * elements * 2 * static_cast<double>(read.channels);
    stage.memory = std::max(stage.memory, 2 * weights + 3 * squareBytes(read.channels));
  }
  stage.what = std::to_string(scaled) + " sites";
  if (recipe.smoothQuant && recipe.smoothQuant->searches()) {
    int64_t samples = std::min(counted.inputs.samples, kSearchedSamples);
    stage.work.forward = counted.forward() * static_cast<double>(samples * counted.inputs.length);
    stage.memory += 2 * counted.largestSegment() + counted.stream();
  }
  return stage;
}

static StageCost codesCost(Counted &counted, const Recipe &recipe, Selection &selection) {
  bool gptq = recipe.uses(Method::Gptq), follows = gptq && recipe.inputs == HessianInputs::Quantized;
  StageCost stage{recipe.plugin ? recipe.plugin->name : gptq ? "gptq" : "rtn", {}, {}};
  int64_t chunk = 0;
  for (QuantizationTarget &target : selection.targets) {
    auto elements = static_cast<double>(target.type().getNumElements());
    int64_t inputs = target.type().getDimSize(1);
    RangeRule rule = target.method == Method::Gptq ? recipe.gptq.range.rule
                     : target.isHead               ? RangeRule::MinMax
                                                   : recipe.nearestRange;
    stage.work += rangeWork(rule, elements, static_cast<double>(target.scheme.weights.groupSize(inputs)));
    stage.work.bytes += elements * sizeof(float);
    // Its feedback, and what it has cost the output.
    if (target.method == Method::Gptq)
      stage.work.quadratic += elements * 3 * static_cast<double>(inputs);
    chunk = std::max(chunk, inputs * Gptq::rowsPerChunk * int64_t{5 * sizeof(float)});
  }
  stage.memory = static_cast<uint64_t>(chunk) * counted.inputs.threads;
  stage.what = std::to_string(selection.targets.size()) + " weights";
  // Static activations: the model is run once for their ranges.
  if (llvm::any_of(selection.targets, [](const QuantizationTarget &target) {
        return target.scheme.activations == qopt::ActivationKind::I8Static;
      })) {
    stage.work.forward += counted.forward() * counted.tokens();
    stage.memory += counted.stream() + 2 * counted.largestSegment();
  }
  if (!gptq)
    return stage;
  uint64_t most = 0;
  for (auto &[value, read] : counted.sites) {
    auto n = static_cast<double>(read.channels);
    bool calibrated = false;
    for (size_t i = 0; i < read.readers.size(); ++i)
      if (const QuantizationTarget *target = targetOf(read, i, selection))
        calibrated |= target->method == Method::Gptq;
    if (!calibrated)
      continue;
    stage.work.factor += n * n * n;
    if (follows)
      stage.work.gram += counted.tokens() * n * n;
    // H in f32, its factor in f64 and in f32, or the sums that H is made of.
    most = std::max(most, squareBytes(read.channels) * std::max<uint64_t>(4, follows ? counted.gramCopies() : 0));
  }
  stage.memory += most;
  if (!follows)
    return stage;
  stage.what += ", following " + std::to_string(counted.inputs.samples) + " samples";
  stage.work.forward += counted.following() * counted.tokens();
  bool spills = counted.stream() > counted.inputs.streamMemory;
  stage.spilled = spills ? counted.stream() : 0;
  stage.memory += (spills ? 0 : counted.stream()) + 2 * counted.largestSegment();
  return stage;
}

static StageCost gatesCost(ModuleOp module, const Recipe &recipe, Counted &counted, Selection &selection) {
  StageCost stage{"gates", {}, {}};
  double rows = 0;
  int64_t texts = 0;
  for (const Gate &gate : recipe.gates)
    if (gate.isOnText())
      ++texts, rows += static_cast<double>(gate.windows * gate.length);
  stage.what = std::to_string(recipe.gates.size()) + " in all, " + std::to_string(texts) + " on text";
  if (texts == 0)
    return stage;
  bool nearest = recipe.needsStatistics() &&
                 llvm::any_of(recipe.gates, [](const Gate &gate) { return gate.isOnText() && gate.betterThanNearest; });
  double parameters = 0, quantized = 0;
  for (auto parameter : module.getOps<ParameterOp>())
    if (auto type = dyn_cast<RankedTensorType>(parameter.getType()))
      parameters += static_cast<double>(type.getNumElements());
  for (const LedgerRow &row : selection.ledger.rows)
    quantized += static_cast<double>(row.bytes);
  int models = nearest ? 3 : 2;
  stage.work.forward = rows * counted.forward() * models;
  stage.work.bytes = parameters * sizeof(float) * models;
  stage.memory = static_cast<uint64_t>(parameters * sizeof(float) + quantized * (models - 1));
  return stage;
}

std::vector<StageCost> qopt::costOfStages(ModuleOp module, const Recipe &recipe, Selection &selection,
                                          const CostInputs &inputs) {
  Counted counted(module, inputs);
  std::vector<StageCost> stages;
  if (recipe.rotate)
    stages.push_back({"rotate", "initializers alone: weights are rotated where they are read", {}});
  if (inputs.calibrates)
    stages.push_back(calibrateCost(counted));
  if (recipe.scales()) {
    stages.push_back(scalesCost(counted, recipe, selection));
    stages.push_back({"fold-scales", "initializers alone: weights are scaled where they are read", {}});
  }
  stages.push_back(codesCost(counted, recipe, selection));
  if (!recipe.gates.empty())
    stages.push_back(gatesCost(module, recipe, counted, selection));
  return stages;
}
