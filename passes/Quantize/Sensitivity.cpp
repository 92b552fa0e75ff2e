// See Sensitivity.h.
#include "passes/Quantize/Sensitivity.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Parameters/SchemeAttributes.h"
#include "lib/Runtime/App/Evaluation.h"
#include "passes/Calibrate/Segments.h"
#include "passes/Support/Forward.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

/// A copy of the model that gives logits for every token.
static OwningOpRef<ModuleOp> withAllLogits(ModuleOp module) {
  OwningOpRef<ModuleOp> copy = module.clone();
  auto forward = copy->lookupSymbol<func::FuncOp>("forward");
  forward.walk([](SelectRowsOp select) { select.getResult().replaceAllUsesWith(select.getInput()); });
  forward.walk([](SelectRowsOp select) { select.erase(); });
  return copy;
}

/// Rounds a weight wherever `part` reads it: codes and what they stand for are computed as the part is compiled. What
/// is rounded takes the weight's name and place, so that the code of parts that are alike stays the same.
static void roundWeight(ModuleOp part, const SensitivityProbe &probe) {
  auto exact = part.lookupSymbol<ParameterOp>(probe.parameter);
  if (!exact)
    return; // not in this part
  MLIRContext *context = part.getContext();
  OpBuilder builder(exact);
  Location loc = exact.getLoc();
  auto weight = cast<RankedTensorType>(exact.getType());
  const WeightScheme &scheme = probe.scheme;
  SmallVector<int64_t> groups{weight.getDimSize(0), scheme.groupsPerRow(weight.getDimSize(1))};
  auto integers = [&](ArrayRef<int64_t> shape, unsigned bits) {
    return RankedTensorType::get(shape, builder.getIntegerType(bits));
  };
  SmallVector<Type> types{integers(weight.getShape(), scheme.bits),
                          RankedTensorType::get(groups, scaleType(context, scheme.scale))};
  if (!scheme.symmetric)
    types.push_back(integers(groups, 8));
  auto f32 = RankedTensorType::get(weight.getShape(), builder.getF32Type());
  std::string name = probe.parameter + ".exact";
  while (part.lookupSymbol(name))
    name += "'";
  exact.setSymName(name);
  auto rounded = ParameterOp::create(builder, loc, probe.parameter, f32, EntryAttr());
  builder.createBlock(&rounded.getInitializer());
  lowbit::WeightsAttr attribute = toAttribute(context, scheme);
  Value value = GetOp::create(builder, loc, weight, name);
  if (!weight.getElementType().isF32()) { // the product with 1 is
    auto row = RankedTensorType::get({weight.getDimSize(1)}, builder.getF32Type());
    Value one = lowbit::FillOp::create(builder, loc, row, llvm::APFloat(1.0));
    value = lowbit::ScaleOp::create(builder, loc, f32, value, one, /*axis=*/1, /*inverse=*/false, /*alone=*/true);
  }
  auto codes = lowbit::QuantizeOp::create(builder, loc, types, value, attribute);
  YieldOp::create(builder, loc,
                  lowbit::DequantizeOp::create(builder, loc, f32, codes.getCodes(), codes.getScales(),
                                               codes.getZeroPoints(), attribute)
                      .getWeight());
  part.lookupSymbol<func::FuncOp>("forward").walk([&](GetOp get) {
    if (get.getParameter() == probe.parameter)
      get.getValue().setType(f32);
  });
}

namespace {
class Meter {
public:
  Meter(ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner, const SensitivityOptions &options)
      : copy(withAllLogits(module)), parameters(parameters), runner(runner), options(options) {}

  Result<std::vector<double>> measure(const std::vector<SensitivityProbe> &probes) {
    Result<func::FuncOp> forward = forwardOf(*copy);
    if (!forward)
      return forward.takeError();
    logits = cast<func::ReturnOp>(forward->getBody().front().getTerminator()).getOperand(0);
    vocabulary = cast<RankedTensorType>(logits.getType()).getDimSize(1);
    SmallVector<Segment> segments = findSegments(*forward);
    if (Status status = assign(probes, segments); !status)
      return status.takeError();
    if (Status status = fill(reference, {}, nullptr, logits); !status)
      return status.takeError();
    std::vector<double> found(probes.size());
    for (auto [index, segment] : llvm::enumerate(segments)) {
      if (done == static_cast<int64_t>(probes.size()))
        break;
      if (Status status = measureSegment(segment, probesOf[index], probes, found); !status)
        return status.takeError();
      if (segment.output)
        if (Status status = fill(before, segment.input, before ? &*before : nullptr, segment.output); !status)
          return status.takeError();
    }
    return found;
  }

private:
  /// Gives each probe to the first segment that reads its weight.
  Status assign(const std::vector<SensitivityProbe> &probes, ArrayRef<Segment> segments) {
    probesOf.resize(segments.size());
    llvm::StringMap<size_t> firstReader;
    for (auto [index, segment] : llvm::enumerate(segments))
      for (Operation *op : segment.ops)
        for (Value operand : op->getOperands())
          if (auto get = operand.getDefiningOp<GetOp>())
            firstReader.try_emplace(get.getParameter(), index);
    for (auto [i, probe] : llvm::enumerate(probes)) {
      auto found = firstReader.find(probe.parameter);
      if (found == firstReader.end())
        return badInput("expected a weight that @forward reads", "parameter @" + probe.parameter);
      probesOf[found->second].push_back(i);
    }
    return {};
  }

  /// Computes `output` for every sample from `input` (null: from the tokens), with a weight rounded if there is a
  /// probe, and keeps it in `to`, which may be `from`.
  Status fill(std::optional<SampleStream> &to, Value input, SampleStream *from, Value output,
              const SensitivityProbe *probe = nullptr) {
    Result<std::optional<SampleStream>> beside =
        runner.streamBeside(to, cast<RankedTensorType>(output.getType()).getDimSize(1), options.memory);
    if (!beside)
      return beside.takeError();
    SampleStream &target = *beside ? **beside : *to;
    Status status = run(input, from, output, probe, [&](int64_t sample, std::span<const MatrixView> got) -> Status {
      std::copy_n(got[0].data, got[0].rows * got[0].cols, target.sample(sample));
      return {};
    });
    if (status && *beside)
      to = std::move(**beside);
    return status;
  }

  Status run(Value input, SampleStream *from, Value output, const SensitivityProbe *probe,
             const PartRunner::Consumer &consume) {
    Result<std::shared_ptr<const Model>> part = compile(input, output, probe);
    if (!part)
      return part.takeError();
    return run(*part, from, consume);
  }

  Status run(const std::shared_ptr<const Model> &part, SampleStream *from, const PartRunner::Consumer &consume) {
    SmallVector<SampleStream *> given;
    if (from)
      given.push_back(from);
    return runner.run(part, {given.data(), given.size()}, consume);
  }

  Result<std::shared_ptr<const Model>> compile(Value input, Value output, const SensitivityProbe *probe) {
    SmallVector<Value> inputs;
    if (input)
      inputs.push_back(input);
    OwningOpRef<ModuleOp> part = extractPart(*copy, inputs, output);
    if (probe)
      roundWeight(*part, *probe);
    return runner.compile(*part, *parameters.forModule(*part));
  }

  Status measureSegment(const Segment &segment, ArrayRef<size_t> mine, const std::vector<SensitivityProbe> &probes,
                        std::vector<double> &found) {
    if (mine.empty())
      return {};
    SampleStream *from = segment.input ? &*before : nullptr;
    // What comes after is compiled once for all probes, unless it reads one of their weights too.
    std::shared_ptr<const Model> rest;
    for (size_t i : mine) {
      const SensitivityProbe &probe = probes[i];
      double sum = 0;
      auto compare = [&](int64_t sample, std::span<const MatrixView> got) -> Status {
        Result<double> divergence = divergenceOf(sample, got[0]);
        if (!divergence)
          return divergence.takeError().in("parameter @" + probe.parameter + ", rounded");
        sum += *divergence;
        return {};
      };
      Status status;
      if (!segment.output || segment.output == logits || isReadAfter(segment, probe.parameter)) {
        status = run(segment.input, from, logits, &probe, compare);
      } else {
        if (!rest) {
          Result<std::shared_ptr<const Model>> compiled = compile(segment.output, logits, nullptr);
          if (!compiled)
            return compiled.takeError();
          rest = std::move(*compiled);
        }
        status = fill(changed, segment.input, from, segment.output, &probe);
        if (status)
          status = run(rest, &*changed, compare);
      }
      if (!status)
        return status;
      found[i] = sum / static_cast<double>(runner.samples() * (runner.tokensPerSample() - 1));
      ++done;
      if (options.progress)
        options.progress(done, static_cast<int64_t>(probes.size()), probe.parameter);
    }
    return {};
  }

  /// Whether ops outside of the segment read the parameter.
  bool isReadAfter(const Segment &segment, StringRef parameter) {
    llvm::DenseSet<Operation *> inside(segment.ops.begin(), segment.ops.end());
    bool outside = false;
    copy->lookupSymbol<func::FuncOp>("forward").walk([&](GetOp get) {
      if (get.getParameter() == parameter)
        outside |= llvm::any_of(get->getUsers(), [&](Operation *user) { return !inside.contains(user); });
    });
    return outside;
  }

  /// The sum over the predictions of a sample.
  Result<double> divergenceOf(int64_t sample, MatrixView got) {
    const float *wanted = reference->sample(sample);
    std::vector<RowScores> rows(got.rows - 1); // the last predicts what is not in the sample
    mlir::parallelFor(copy->getContext(), 0, rows.size(), [&](size_t row) {
      auto at = [&](const float *data) { return std::span(data + row * vocabulary, static_cast<size_t>(vocabulary)); };
      rows[row] = scoreRow(at(got.data), at(wanted), 0);
    });
    double sum = 0;
    for (const RowScores &row : rows) {
      if (!row.finite)
        return Error{ErrorClass::Gate, "expected logits that are finite", {}, {}, "give this weight more bits"};
      sum += row.divergence;
    }
    return sum;
  }

  OwningOpRef<ModuleOp> copy;
  const ParameterEvaluator &parameters;
  PartRunner &runner;
  const SensitivityOptions &options;
  Value logits;
  int64_t vocabulary = 0, done = 0;
  std::vector<SmallVector<size_t>> probesOf;   ///< of each segment
  std::optional<SampleStream> reference;       ///< logits of the model as it is
  std::optional<SampleStream> before, changed; ///< what a segment reads; what it gives with a weight rounded
};
} // namespace

Result<std::vector<double>> qopt::measureSensitivities(ModuleOp module, const ParameterEvaluator &parameters,
                                                       PartRunner &runner, const std::vector<SensitivityProbe> &probes,
                                                       const SensitivityOptions &options) {
  return Meter(module, parameters, runner, options).measure(probes);
}
