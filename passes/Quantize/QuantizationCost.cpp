// See QuantizationCost.h.
#include "passes/Quantize/QuantizationCost.h"

#include "lib/Algorithms/Aligned.h"
#include "lib/Algorithms/Dense.h"
#include "lib/Algorithms/Gptq.h"
#include "lib/Algorithms/PackedSymmetric.h"
#include "lib/Calibration/Statistics.h"
#include "passes/Calibrate/PartRunner.h"
#include "passes/Calibrate/Segments.h"
#include "passes/Quantize/NearestRounding.h"
#include "passes/Quantize/SiteSamples.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

#include <bit>
#include <chrono>
#include <numeric>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

Work &Work::operator+=(const Work &other) {
  forward += other.forward, gram += other.gram, factor += other.factor;
  quadratic += other.quadratic, rounding += other.rounding, bytes += other.bytes;
  code += other.code;
  return *this;
}

double WorkRates::secondsOf(const Work &work) const {
  return work.forward / perSecond.forward + work.gram / perSecond.gram + work.factor / perSecond.factor +
         work.quadratic / perSecond.quadratic + work.rounding / perSecond.rounding + work.bytes / perSecond.bytes +
         work.code / perSecond.code;
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

/// Compiled linears in f32 and attention, between calls and copies of samples, reach this part of what a Gram matrix's
/// tiles do; weights are evaluated, rounded and written at so many bytes of f32 a second and thread; and so many kinds
/// of segments are compiled in a second. Measured by bench/plan.py, as all of this is checked: docs/Recipes.md.
static constexpr double kForwardOfGram = 0.65, kBytesPerSecond = 650e6, kCodePerSecond = 1;

/// Operations of Dense::quadraticForms for each element: a multiplication and an addition for each packed number, which
/// are those of a row's n elements together.
static double quadraticPerElement(int64_t n) {
  return 2 * static_cast<double>(dense().packedSize(n)) / static_cast<double>(n);
}

WorkRates WorkRates::measure(int threads) {
  constexpr int64_t n = 256, rows = Gptq::rowsPerChunk, group = 64;
  AlignedVector<float> x(n * n), out(n * n), h(n * n), scale(rows, 0.01F), low(rows, -8), high(rows, 7), form(rows);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(static_cast<int>(i * 2654435761U >> 16 & 255) - 128) / 128;
  MatrixView view{x.data(), n, n, n};
  const Dense &dense = qopt::dense();
  double grams = ratePerSecond([&] { dense.addGram(view, 0, n, 0, n, out.data(), n); });
  for (int64_t i = 0; i < n; ++i) // positive: a sum of squares
    for (int64_t j = i; j < n; ++j)
      h[i * n + j] = h[j * n + i] = out[i * n + j];
  std::vector<int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  double factors = ratePerSecond([&] {
    (void)dense.inverseFactor({h.data(), n, n, n}, order.data(), n, 0.1, static_cast<double>(h[0]), out.data());
  });
  PackedSymmetric packed({h.data(), group, group, n});
  double forms = ratePerSecond([&] { packed.forms(x.data(), rows, form.data()); });
  double rounds = ratePerSecond(
      [&] { dense.roundingErrors(x.data(), rows, group, scale.data(), low.data(), high.data(), out.data()); });
  WorkRates rates;
  rates.threads = threads;
  rates.perSecond.gram = grams * n * n * n * threads;
  rates.perSecond.forward = kForwardOfGram * rates.perSecond.gram;
  rates.perSecond.factor = factors * n * n * n;
  rates.perSecond.quadratic = forms * rows * group * quadraticPerElement(group) * threads;
  rates.perSecond.rounding = rounds * rows * group * threads;
  rates.perSecond.bytes = kBytesPerSecond * threads;
  rates.perSecond.code = kCodePerSecond;
  return rates;
}

static uint64_t squareBytes(int64_t channels) { return static_cast<uint64_t>(channels) * channels * sizeof(float); }

/// Blocks of less than 32 MiB that malloc keeps for the next of their kind; seen where weights are evaluated in turn.
static constexpr uint64_t kKeptByHeap = uint64_t{100} << 20;

namespace {
/// A value that linears over tokens read.
struct ReadValue {
  SmallVector<LinearOp> readers;
  int64_t channels = 0;
};

/// What costs are counted from. Of the segments, the last, which ends in logits, is run by gates alone.
class Counted {
public:
  Counted(ModuleOp module, Selection &selection, const CostInputs &inputs)
      : inputs(inputs), targets(targetsByUser(selection.targets)) {
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    if (!forward)
      return;
    segments = findSegments(forward);
    if (!segments.empty())
      head = segments.pop_back_val();
    for (const Segment &segment : segments)
      for (Operation *op : segment.ops)
        if (auto linear = dyn_cast<LinearOp>(op)) {
          ReadValue &read = sites[linear.getInput()];
          read.readers.push_back(linear);
          read.channels = cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(1);
        }
  }

  double tokens() const { return static_cast<double>(inputs.samples * inputs.length); }

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
  double forwardWithHead() const { return forward() + forwardOf(head.ops); }

  /// What a run over so many tokens takes: one segment at a time, its weights evaluated and packed and what `beside`
  /// says for it, code for each kind of segment, and what flows between segments.
  void addRun(
      StageCost &stage, double overTokens,
      llvm::function_ref<uint64_t(const Segment &)> beside = [](const Segment &) { return 0; }) const {
    int64_t widest = 0;
    uint64_t most = 0;
    llvm::StringSet<> kinds;
    for (const Segment &segment : segments) {
      widest = std::max(widest, cast<RankedTensorType>(segment.output.getType()).getDimSize(1));
      most = std::max(most, 2 * weightBytes(segment) + beside(segment));
      std::string kind;
      llvm::raw_string_ostream stream(kind);
      for (Operation *op : segment.ops)
        stream << op->getName() << op->getResultTypes() << ';';
      kinds.insert(kind);
    }
    uint64_t stream = static_cast<uint64_t>(overTokens) * widest * sizeof(float);
    (stream > kStreamMemory ? stage.spilled : stage.memory) += stream;
    stage.memory += most + kKeptByHeap;
    stage.work.code += static_cast<double>(kinds.size());
  }

  /// In f32, of all parameters that a segment reads.
  static uint64_t weightBytes(const Segment &segment) {
    llvm::DenseSet<Value> read;
    uint64_t bytes = 0;
    for (Operation *op : segment.ops)
      for (Value operand : op->getOperands())
        if (operand.getDefiningOp<GetOp>() && read.insert(operand).second)
          bytes += cast<RankedTensorType>(operand.getType()).getNumElements() * sizeof(float);
    return bytes;
  }

  /// Those of a value's readers that are to be quantized.
  SmallVector<QuantizationTarget *> targetsOf(const ReadValue &read) const {
    SmallVector<QuantizationTarget *> found;
    for (LinearOp reader : read.readers)
      if (QuantizationTarget *target = targets.lookup(reader))
        found.push_back(target);
    return found;
  }

  /// Of the sums that the tree of a Gram matrix holds at once, half a matrix each, and the whole one that comes of
  /// them.
  uint64_t gramBytes(int64_t channels) const {
    int64_t sums = std::bit_width(static_cast<uint64_t>((inputs.samples + kLeafSamples - 1) / kLeafSamples));
    return squareBytes(channels) * sums / 2 + squareBytes(channels);
  }

  CostInputs inputs;
  SmallVector<Segment> segments;
  Segment head;
  llvm::MapVector<Value, ReadValue> sites;

private:
  llvm::DenseMap<Operation *, QuantizationTarget *> targets;
};
} // namespace

/// Operations of a range's search over `elements` weights in groups of `group`.
static Work rangeWork(RangeRule rule, bool symmetric, double elements, int64_t group) {
  Work work;
  if (rule == RangeRule::MinMax)
    return work;
  int candidates = RangeOptions::of(rule).candidates * (rule == RangeRule::Signed && symmetric ? 2 : 1);
  work.rounding = candidates * elements;
  if (needsHessian(rule) && rule != RangeRule::Diagonal)
    work.quadratic = candidates * elements * quadraticPerElement(group);
  return work;
}

static StageCost calibrateCost(const Counted &counted, StatisticsNeed need) {
  StageCost stage{"calibrate", {}, {}};
  const CostInputs &inputs = counted.inputs;
  stage.what = std::to_string(inputs.samples) + " samples of " + std::to_string(inputs.length) + " tokens";
  if (need == StatisticsNeed::Samples) {
    stage.what += ", which are chosen alone";
    return stage;
  }
  stage.work.forward = counted.forward() * counted.tokens();
  for (auto &[value, read] : counted.sites)
    if (need == StatisticsNeed::Gram)
      stage.work.gram += counted.tokens() * static_cast<double>(read.channels) * static_cast<double>(read.channels);
  // Sums, and the values of a sample.
  counted.addRun(stage, counted.tokens(), [&](const Segment &segment) {
    uint64_t bytes = 0;
    for (const auto &[value, read] : counted.sites)
      if (llvm::is_contained(segment.ops, static_cast<Operation *>(LinearOp(read.readers.front()))))
        bytes += (need == StatisticsNeed::Gram ? counted.gramBytes(read.channels) : 0) +
                 read.channels * inputs.length * sizeof(float);
    return bytes;
  });
  return stage;
}

static StageCost scalesCost(const Counted &counted, const Recipe &recipe) {
  StageCost stage{recipe.awq ? "awq" : "smooth-quant", {}, {}};
  bool searches = recipe.smoothQuant && recipe.smoothQuant->searches();
  int64_t scaled = 0;
  for (auto &[value, read] : counted.sites) {
    double elements = 0;
    for (QuantizationTarget *target : counted.targetsOf(read))
      elements += static_cast<double>(target->type().getNumElements());
    if (elements == 0)
      continue;
    ++scaled;
    stage.work.bytes += elements * sizeof(float);
    uint64_t memory = 2 * static_cast<uint64_t>(elements) * sizeof(float);
    if (searches) { // outputs with 1 and 21 α, and as they are
      constexpr int candidates = 23;
      stage.work.rounding += candidates * elements;
      stage.work.forward += candidates * 2 * elements * kSearchedTokens; // in blocks too small for the rate of Gram
    }
    if (recipe.awq) {
      // Two kinds of s for each of 21 α, but one where α is 0 or 1 makes them alike, and s = 1.
      constexpr int candidates = 42;
      stage.work.rounding += candidates * elements;
      stage.work.quadratic += candidates * elements * quadraticPerElement(read.channels);
      memory += 7 * squareBytes(read.channels) / 2; // H, shrunk, and half of it for quadratic forms
    }
    stage.memory = std::max(stage.memory, memory);
  }
  stage.what = std::to_string(scaled) + " sites";
  if (recipe.awq && recipe.awq->objective == AwqError::Module) {
    // For 43 candidates and as it is: the linears of a site at the beginning of a module, and all after them; and the
    // model once, for what they read.
    double tokens = std::min(counted.tokens(), static_cast<double>(kSearchedWhole)), modules = 0;
    for (const Segment &segment : counted.segments)
      modules += counted.forwardOf(segment.ops);
    stage.work.forward += 45 * modules * tokens;
    counted.addRun(stage, tokens);
  }
  if (searches) {
    auto tokens = static_cast<double>(std::min(counted.inputs.samples, kSearchedSamples) * counted.inputs.length);
    stage.work.forward += counted.forward() * tokens;
    counted.addRun(stage, tokens);
  } else {
    stage.memory += kKeptByHeap;
  }
  return stage;
}

static StageCost codesCost(const Counted &counted, const Recipe &recipe, Selection &selection) {
  bool gptq = recipe.uses(Method::Gptq), follows = gptq && recipe.inputs == HessianInputs::Quantized;
  StageCost stage{recipe.plugin ? recipe.plugin->name : gptq ? "gptq" : "rtn", {}, {}};
  int64_t chunk = 0;
  for (QuantizationTarget &target : selection.targets) {
    auto elements = static_cast<double>(target.type().getNumElements());
    int64_t inputs = target.type().getDimSize(1);
    RangeRule rule = rangeOf(target, target.method == Method::Gptq ? recipe.gptq.range.rule : recipe.nearestRange);
    const WeightScheme &scheme = target.scheme.weights;
    stage.work += rangeWork(rule, scheme.symmetric, elements, scheme.groupSize(inputs));
    stage.work.bytes += elements * sizeof(float);
    // Its feedback, and what it has cost the output.
    if (target.method == Method::Gptq)
      stage.work.quadratic += elements * (static_cast<double>(inputs) + quadraticPerElement(inputs));
    chunk = std::max(chunk, inputs * Gptq::rowsPerChunk * int64_t{5 * sizeof(float)});
  }
  stage.memory = static_cast<uint64_t>(chunk) * counted.inputs.threads;
  stage.what = std::to_string(selection.targets.size()) + " weights";
  uint64_t most = 0;
  for (auto &[value, read] : counted.sites) {
    auto n = static_cast<double>(read.channels);
    if (llvm::none_of(counted.targetsOf(read),
                      [](QuantizationTarget *target) { return target->method == Method::Gptq; }))
      continue;
    stage.work.factor += n * n * n;
    if (follows)
      stage.work.gram += counted.tokens() * n * n;
    // H in f32, its factor in f64 and in f32, or the sums that H is made of.
    most = std::max({most, 4 * squareBytes(read.channels), follows ? counted.gramBytes(read.channels) : 0});
  }
  stage.memory += most;
  // Static activations: the model is run once for their ranges, before anything else.
  bool ranges = llvm::any_of(selection.targets, [](const QuantizationTarget &target) {
    return target.scheme.activations == qopt::ActivationKind::I8Static;
  });
  if (ranges)
    stage.work.forward += counted.forward() * counted.tokens();
  if (follows) {
    int64_t widest = 0; // of what a stage has read
    for (auto &[value, read] : counted.sites)
      widest = std::max(widest, read.channels);
    uint64_t stream = static_cast<uint64_t>(counted.tokens()) * widest * sizeof(float);
    (stream > kStreamMemory ? stage.spilled : stage.memory) += stream;
    stage.what += ", following " + std::to_string(counted.inputs.samples) + " samples";
    stage.work.forward += counted.forward() * counted.tokens();
  }
  if (ranges || follows)
    counted.addRun(stage, counted.tokens());
  return stage;
}

static StageCost gatesCost(const Recipe &recipe, const Counted &counted, const Selection &selection) {
  StageCost stage{"gates", {}, {}};
  double alone = 0, compared = 0; // tokens, the latter where round to nearest is evaluated too
  int64_t texts = 0;
  for (const Gate &gate : recipe.gates) {
    if (!gate.isOnText())
      continue;
    ++texts;
    auto tokens = static_cast<double>(gate.heldOut ? counted.inputs.heldOut * counted.inputs.length
                                                   : gate.mostWindows() * gate.lengthFor(0));
    (gate.betterThanNearest && recipe.needsStatistics() ? compared : alone) += tokens;
  }
  stage.what = std::to_string(recipe.gates.size()) + " in all, " + std::to_string(texts) + " on text";
  if (texts == 0)
    return stage;
  int64_t elements = 0, bytes = 0;
  for (const LedgerRow &row : selection.ledger.rows)
    elements += row.elements, bytes += row.bytes;
  int models = compared > 0 ? 2 : 1; // beside the model as it was
  stage.work.forward = (2 * alone + 3 * compared) * counted.forwardWithHead();
  stage.work.bytes = static_cast<double>(elements) * sizeof(float) * (models + 1);
  stage.work.code = 4 * (models + 1); // a model has about as many kinds of segments
  stage.memory = elements * sizeof(float) + bytes * models;
  return stage;
}

std::vector<StageCost> qopt::costOfStages(ModuleOp module, const Recipe &recipe, Selection &selection,
                                          const CostInputs &inputs) {
  Counted counted(module, selection, inputs);
  std::vector<StageCost> stages;
  if (recipe.rotate)
    stages.push_back({"rotate", "initializers alone: weights are rotated where they are read", {}});
  if (inputs.calibrates)
    stages.push_back(calibrateCost(counted, recipe.statisticsNeed()));
  if (recipe.scales()) {
    stages.push_back(scalesCost(counted, recipe));
    stages.push_back({"fold-scales", "initializers alone: weights are scaled where they are read", {}});
  }
  stages.push_back(codesCost(counted, recipe, selection));
  if (!recipe.gates.empty())
    stages.push_back(gatesCost(recipe, counted, selection));
  return stages;
}
