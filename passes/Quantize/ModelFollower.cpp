// See ModelFollower.h.
#include "passes/Quantize/ModelFollower.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Dialect.h"
#include "lib/Algorithms/ActivationRounder.h"
#include "lib/Calibration/Statistics.h"
#include "lib/Runtime/UsableCpus.h"
#include "passes/Calibrate/Segments.h"

#include <algorithm>

using namespace mlir;
using namespace qopt;

Result<ModelFollower> ModelFollower::create(ModuleOp module, QuantizationRun &run, const Options &options) {
  ModelFollower follower(module, run, options);
  Result<std::unique_ptr<PartRunner>> runner = PartRunner::create(options.tokens, options.length, options.threads);
  if (!runner)
    return runner.takeError();
  follower.runner = std::move(*runner);
  follower.pending = targetsByUser(run.targets());
  return follower;
}

std::vector<QuantizationTarget *> ModelFollower::left() {
  std::vector<QuantizationTarget *> targets;
  for (QuantizationTarget &target : run.targets())
    if (pending.contains(target.users.front()))
      targets.push_back(&target);
  return targets;
}

QuantizationTarget *ModelFollower::targetOf(Operation *op) { return pending.lookup(op); }

Status ModelFollower::follow(const Quantizer &quantize) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  if (Status status = checkCuts(forward); !status)
    return status;
  // Rewriting replaces ops, so segments are found anew where they are needed; their number and their cuts stay.
  SmallVector<Segment> segments = findSegments(forward);
  size_t end = 0;
  for (auto [index, segment] : llvm::enumerate(segments))
    if (segment.output && llvm::any_of(segment.ops, [&](Operation *op) { return targetOf(op) != nullptr; }))
      end = index + 1;
  for (size_t index = 0; index < end; ++index) {
    if (Status status = quantizeStages(index, quantize); !status)
      return status;
    if (index + 1 < end)
      if (Status status = advance(index); !status)
        return status;
    run.parameters().withdrawAll();
  }
  return {};
}

/// The value that a weight's op reads.
static Value inputOf(Operation *op) {
  if (auto linear = dyn_cast<transformer::LinearOp>(op))
    return linear.getInput();
  return {};
}

Status ModelFollower::quantizeStages(size_t index, const Quantizer &quantize) {
  auto forward = module.lookupSymbol<func::FuncOp>("forward");
  reached = {};
  while (true) {
    Segment segment = findSegments(forward)[index];
    auto first = llvm::find_if(segment.ops, [&](Operation *op) { return targetOf(op) != nullptr; });
    if (first == segment.ops.end())
      return {};
    Value site = inputOf(*first);
    FollowedStage stage;
    ActivationKind activations = targetOf(*first)->scheme.activations;
    for (Operation *op : ArrayRef<Operation *>(first, segment.ops.end())) {
      QuantizationTarget *target = targetOf(op);
      bool together =
          op == *first || (site && inputOf(op) == site && target && target->scheme.activations == activations);
      if (target && together && !llvm::is_contained(stage.targets, target))
        stage.targets.push_back(target);
    }
    stage.site = stage.targets.front()->parameter.getSymName().str();
    bool calibrated = llvm::any_of(stage.targets, [](QuantizationTarget *t) { return t->method == Method::Gptq; });
    bool finished = llvm::all_of(stage.targets, [&](QuantizationTarget *t) { return run.isFinished(*t); });
    if (calibrated && !finished)
      if (Status status = gatherHessian(stage, *first, segment.input); !status)
        return status;
    if (Status status = quantize(stage); !status)
      return status;
    for (QuantizationTarget *target : stage.targets) {
      for (Operation *user : target->users)
        pending.erase(user);
      // A weight that is read elsewhere too may have changed what was reached.
      if (target->users.size() > 1)
        reached = {};
      run.rewrite(*target);
    }
  }
}

Status ModelFollower::gatherHessian(FollowedStage &stage, Operation *reader, Value input) {
  Value site = inputOf(reader);
  stage.inputs = cast<RankedTensorType>(site.getType()).getDimSize(1);
  SiteStatistics statistics(stage.inputs, {.gram = true});
  ActivationRounder rounder(stage.targets.front()->scheme.activations, options.length, stage.inputs);
  std::optional<float> fixed = run.activationScaleOf(reader);
  auto add = [&](int64_t sample, MatrixView x) -> Status {
    Result<MatrixView> rounded = rounder.round(x, fixed);
    if (!rounded)
      return rounded.takeError();
    statistics.add(runner->pool(), sample, *rounded);
    return {};
  };
  // What is there already: of linears on one value, those with another form of activations are a stage of their own.
  SampleStream *there = site == input ? &*stream : site == reached ? &*reachedStream : nullptr;
  if (there) {
    for (int64_t sample = 0; sample < runner->samples(); ++sample)
      if (Status status = add(sample, {there->sample(sample), options.length, stage.inputs, stage.inputs}); !status)
        return status;
  } else {
    Result<Part> part = partTo(site, input);
    if (!part)
      return part.takeError();
    uint64_t taken = stream ? stream->size() : 0, room = options.memory - std::min(options.memory, taken);
    Status status =
        runner->runInto(reachedStream, 0, room, part->model, {part->inputs.data(), part->inputs.size()},
                        [&](int64_t sample, std::span<const MatrixView> got) { return add(sample, got[0]); });
    reached = status ? site : Value();
    if (!status)
      return status;
  }
  statistics.finish(); // what is not finite is for the algorithm to refuse, or to fall back from
  stage.hessian = statistics.gram();
  stage.tokens = statistics.tokens();
  return {};
}

Result<ModelFollower::Part> ModelFollower::partTo(Value wanted, Value input) {
  SmallVector<Value> inputs, left{wanted};
  llvm::DenseSet<Value> seen;
  while (!left.empty()) {
    Value value = left.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (value == input || value == reached)
      inputs.push_back(value);
    else if (Operation *op = value.getDefiningOp())
      llvm::append_range(left, op->getOperands());
  }
  Part part;
  for (Value value : inputs)
    part.inputs.push_back(value == input ? &*stream : &*reachedStream);
  OwningOpRef<ModuleOp> extracted = extractPart(module, inputs, wanted);
  Result<std::shared_ptr<const Model>> model = runner->compile(*extracted, run.parameters());
  if (!model)
    return model.takeError();
  part.model = std::move(*model);
  return part;
}

Status ModelFollower::advance(size_t index) {
  Segment segment = findSegments(module.lookupSymbol<func::FuncOp>("forward"))[index];
  Result<Part> part = partTo(segment.output, segment.input);
  if (!part)
    return part.takeError();
  return runner->runInto(stream, 0, options.memory, part->model, {part->inputs.data(), part->inputs.size()});
}
