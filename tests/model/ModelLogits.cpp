// model-logits: a compiled model's logits against the reference evaluator's on the IR that it was compiled from.
//
// Usage: model-logits MODEL.mlir MODEL.qopt TOLERANCE ID...
//
// The logits of every position of the prompt may differ by at most TOLERANCE, relative to the largest logit, and the
// most likely token must be the same wherever the reference's lead exceeds what that leaves open. Exit code 4
// otherwise.
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Reference/ArchiveParameters.h"
#include "lib/Runtime/Context.h"
#include "passes/Pipelines/Registration.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>

using namespace qopt;
using namespace qopt::reference;
using mlir::func::FuncOp;

static Tensor integers(mlir::MLIRContext *context, std::vector<int64_t> shape, std::vector<int32_t> values) {
  return Tensor{mlir::RankedTensorType::get(shape, mlir::IntegerType::get(context, 32)), {}, std::move(values)};
}

/// Logits of all positions of one sequence, [tokens, vocabulary], by the reference.
static mlir::FailureOr<TensorRef> referenceLogits(mlir::ModuleOp module, ParameterSource parameters,
                                                  const std::vector<int32_t> &ids) {
  auto forward = module.lookupSymbol<FuncOp>("forward");
  if (!forward)
    return module.emitError("expected a function @forward");
  auto count = static_cast<int64_t>(ids.size());
  std::vector<int32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  Cache cache(mlir::cast<transformer::CacheType>(forward.getArgumentTypes()[5]));
  auto pages = static_cast<int64_t>((ids.size() + cache.pageTokens() - 1) / cache.pageTokens());
  std::vector<int32_t> table(pages);
  std::iota(table.begin(), table.end(), 0);
  auto share = [](Tensor tensor) { return std::make_shared<const Tensor>(std::move(tensor)); };
  auto *context = module.getContext();
  Evaluator evaluator(module, std::move(parameters));
  auto results = evaluator.call(
      forward, {share(integers(context, {count}, ids)), share(integers(context, {count}, positions)),
                share(integers(context, {count}, std::vector<int32_t>(ids.size(), 0))),
                share(integers(context, {1, pages}, table)), share(integers(context, {count}, positions)), cache});
  if (mlir::failed(results))
    return mlir::failure();
  return std::get<TensorRef>((*results)[0]);
}

/// The same by the compiled model.
static Result<std::vector<float>> compiledLogits(const std::string &path, const std::vector<int32_t> &ids) {
  Result<std::shared_ptr<const Model>> model = Model::open(path);
  if (!model)
    return model.takeError();
  Result<std::unique_ptr<Context>> context = Context::create(*model, {.contextTokens = 512});
  if (!context)
    return context.takeError();
  Result<SequenceId> sequence = (*context)->cache().createSequence();
  if (!sequence)
    return sequence.takeError();
  std::vector<int32_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> logits(ids.size() * (*model)->manifest().model.vocabulary);
  SequenceId id = *sequence;
  Result<ForwardOutcome> outcome =
      (*context)->forward({.tokens = ids, .sequences = {&id, 1}, .rows = rows, .logits = logits});
  if (!outcome)
    return outcome.takeError();
  return logits;
}

static int report(const Error &error) {
  std::fputs(error.format().c_str(), stderr);
  return static_cast<int>(error.errorClass);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: model-logits MODEL.mlir MODEL.qopt TOLERANCE ID...\n");
    return 1;
  }
  double tolerance = std::atof(argv[3]);
  std::vector<int32_t> ids;
  for (int i = 4; i < argc; ++i)
    ids.push_back(std::atoi(argv[i]));

  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(argv[1], &context);
  if (!module)
    return 2;
  Result<ParameterSource> parameters = archiveParameters(*module, directoryOf(argv[1]), /*seed=*/0);
  if (!parameters)
    return report(parameters.error());
  auto expected = referenceLogits(*module, std::move(*parameters), ids);
  if (mlir::failed(expected))
    return 2;
  Result<std::vector<float>> got = compiledLogits(argv[2], ids);
  if (!got)
    return report(got.error());
  const std::vector<float> &wanted = (*expected)->floats;
  if (got->size() != wanted.size()) {
    std::fprintf(stderr, "expected %zu logits, but got %zu\n", wanted.size(), got->size());
    return 4;
  }

  double largest = 0, worst = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    largest = std::max<double>(largest, std::fabs(wanted[i]));
    double distance = std::fabs(static_cast<double>(wanted[i]) - (*got)[i]);
    worst = std::isnan(distance) ? INFINITY : std::max(worst, distance);
  }
  size_t width = wanted.size() / ids.size(), clear = 0, same = 0;
  for (size_t row = 0; row < ids.size(); ++row) {
    auto begin = wanted.begin() + static_cast<std::ptrdiff_t>(row * width), end = begin + width;
    auto best = std::max_element(begin, end);
    float second = -INFINITY;
    for (auto it = begin; it != end; ++it)
      if (it != best)
        second = std::max(second, *it);
    if (*best - second <= 2 * tolerance * largest)
      continue;
    auto gotBegin = got->begin() + static_cast<std::ptrdiff_t>(row * width);
    ++clear;
    same += std::max_element(gotBegin, gotBegin + width) - gotBegin == best - begin;
  }
  std::printf(
      "greatest difference %.3g of the largest logit, allowed %.3g; most likely token equal at %zu of %zu clear "
      "positions, %zu in all\n",
      worst / largest, tolerance, same, clear, ids.size());
  return worst <= tolerance * largest && same == clear ? 0 : 4;
}
