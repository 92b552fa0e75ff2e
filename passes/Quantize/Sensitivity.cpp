// See Sensitivity.h.
#include "passes/Quantize/Sensitivity.h"

#include "dialects/LowBit/Dialect.h"
#include "lib/Parameters/SchemeAttributes.h"
#include "lib/Runtime/App/RowScores.h"
#include "passes/Calibrate/Segments.h"
#include "passes/Support/Forward.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/StringSet.h"

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
/// The model as a chain of segments, each of which is compiled once as it is: segments that are alike share their code.
class Meter {
public:
  Meter(ModuleOp module, const ParameterEvaluator &parameters, PartRunner &runner, const SensitivityOptions &options)
      : copy(withAllLogits(module)), parameters(parameters), runner(runner), options(options) {}

  Result<std::vector<double>> measure(const std::vector<SensitivityProbe> &probes) {
    if (Status status = cut(); !status)
      return status.takeError();
    Result<std::vector<SmallVector<size_t>>> probesOf = assign(probes);
    if (!probesOf)
      return probesOf.takeError();
    // Logits first: divergences are measured against them.
    if (Status status = fillReference(); !status)
      return status.takeError();
    std::vector<double> found(probes.size());
    int64_t done = 0, total = static_cast<int64_t>(probes.size());
    for (size_t index = 0; index < segments.size() && done < total; ++index) {
      for (size_t probe : (*probesOf)[index]) {
        Result<double> divergence = measureProbe(index, probes[probe]);
        if (!divergence)
          return divergence.takeError().in("parameter @" + probes[probe].parameter + ", rounded");
        found[probe] = *divergence;
        if (options.progress)
          options.progress(++done, total, probes[probe].parameter);
      }
      if (index + 1 < segments.size())
        if (Status status = fill(before, index, nullptr, before ? &*before : nullptr); !status)
          return status.takeError();
    }
    return found;
  }

private:
  struct Link {
    Value input, output; ///< of @forward; no input: the tokens
    llvm::StringSet<> reads;
    std::shared_ptr<const Model> exact;
  };

  Status cut() {
    Result<func::FuncOp> forward = forwardOf(*copy);
    if (!forward)
      return forward.takeError();
    if (Status status = checkCuts(*forward); !status)
      return status;
    Value logits = cast<func::ReturnOp>(forward->getBody().front().getTerminator()).getOperand(0);
    vocabulary = cast<RankedTensorType>(logits.getType()).getDimSize(1);
    for (const Segment &segment : findSegments(*forward)) {
      Link link{segment.input, segment.output ? segment.output : logits, {}, nullptr};
      for (Operation *op : segment.ops)
        for (Value operand : op->getOperands())
          if (auto get = operand.getDefiningOp<GetOp>())
            link.reads.insert(get.getParameter());
      segments.push_back(std::move(link));
      if (segments.back().output == logits)
        break;
    }
    return {};
  }

  /// Gives each probe to the first segment that reads its weight.
  Result<std::vector<SmallVector<size_t>>> assign(const std::vector<SensitivityProbe> &probes) {
    std::vector<SmallVector<size_t>> probesOf(segments.size());
    for (auto [i, probe] : llvm::enumerate(probes)) {
      auto reader = llvm::find_if(segments, [&](const Link &link) { return link.reads.contains(probe.parameter); });
      if (reader == segments.end())
        return badInput("expected a weight that @forward reads", "parameter @" + probe.parameter);
      probesOf[reader - segments.begin()].push_back(i);
    }
    return probesOf;
  }

  Status fillReference() {
    for (size_t index = 0; index + 1 < segments.size(); ++index)
      if (Status status = fill(changed, index, nullptr, changed ? &*changed : nullptr); !status)
        return status;
    return fill(reference, segments.size() - 1, nullptr, changed ? &*changed : nullptr);
  }

  /// The mean divergence with the weight of `probe` rounded, which `index` is the first segment to read.
  Result<double> measureProbe(size_t index, const SensitivityProbe &probe) {
    SampleStream *from = before ? &*before : nullptr;
    for (; index + 1 < segments.size(); ++index) {
      if (Status status = fill(changed, index, &probe, from); !status)
        return status.takeError();
      from = &*changed;
    }
    double sum = 0;
    Result<std::shared_ptr<const Model>> part = partOf(index, &probe);
    if (!part)
      return part.takeError();
    Status status = runner.run(*part, {&from, segments[index].input ? 1U : 0U},
                               [&](int64_t sample, std::span<const MatrixView> got) -> Status {
                                 Result<double> divergence = divergenceOf(sample, got[0]);
                                 if (!divergence)
                                   return divergence.takeError();
                                 sum += *divergence;
                                 return {};
                               });
    if (!status)
      return status.takeError();
    return sum / static_cast<double>(runner.samples() * (runner.tokensPerSample() - 1));
  }

  /// Runs a segment for every sample and keeps what it gives in `to`, which may be `from`.
  Status fill(std::optional<SampleStream> &to, size_t index, const SensitivityProbe *probe, SampleStream *from) {
    Result<std::shared_ptr<const Model>> part = partOf(index, probe);
    if (!part)
      return part.takeError();
    return runner.runInto(to, 0, options.memory, *part, {&from, segments[index].input ? 1U : 0U});
  }

  /// A segment with the weight of `probe`, which may be null, rounded wherever the segment reads it.
  Result<std::shared_ptr<const Model>> partOf(size_t index, const SensitivityProbe *probe) {
    Link &link = segments[index];
    bool rounded = probe && link.reads.contains(probe->parameter);
    if (!rounded && link.exact)
      return link.exact;
    SmallVector<Value> inputs;
    if (link.input)
      inputs.push_back(link.input);
    OwningOpRef<ModuleOp> module = extractPart(*copy, inputs, link.output);
    if (rounded)
      roundWeight(*module, *probe);
    Result<std::shared_ptr<const Model>> compiled = runner.compile(*module, *parameters.forModule(*module));
    if (compiled && !rounded)
      link.exact = *compiled;
    return compiled;
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
        return Error{ErrorClass::Gate,
                     "expected logits that are finite",
                     {},
                     {},
                     "give this weight more bits, if the model's own logits are finite"};
      sum += row.divergence;
    }
    return sum;
  }

  OwningOpRef<ModuleOp> copy;
  const ParameterEvaluator &parameters;
  PartRunner &runner;
  const SensitivityOptions &options;
  int64_t vocabulary = 0;
  std::vector<Link> segments;
  std::optional<SampleStream> reference;       ///< logits of the model as it is
  std::optional<SampleStream> before, changed; ///< what a segment reads; what came of it with a weight rounded
};
} // namespace

Result<std::vector<double>> qopt::measureSensitivities(ModuleOp module, const ParameterEvaluator &parameters,
                                                       PartRunner &runner, const std::vector<SensitivityProbe> &probes,
                                                       const SensitivityOptions &options) {
  return Meter(module, parameters, runner, options).measure(probes);
}
