#include "tests/model/Logits.h"

#include "lib/Parameters/ArchivePaths.h"
#include "lib/Reference/ArchiveParameters.h"
#include "lib/Runtime/Context.h"
#include "passes/Pipelines/Registration.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <cmath>
#include <numeric>

using namespace qopt;
using namespace qopt::reference;
using mlir::func::FuncOp;

static HostValue integers(mlir::MLIRContext *context, std::vector<int64_t> shape, std::vector<int32_t> values) {
  auto type = mlir::RankedTensorType::get(shape, mlir::IntegerType::get(context, 32));
  return std::make_shared<const Tensor>(Tensor{type, {}, std::move(values)});
}

Result<std::vector<float>> qopt::referenceLogits(const std::string &irPath, const std::vector<int32_t> &ids) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(irPath, &context);
  if (!module)
    return badInput("expected IR", irPath);
  auto forward = module->lookupSymbol<FuncOp>("forward");
  if (!forward)
    return badInput("expected a function @forward", irPath);
  Result<ParameterSource> parameters = archiveParameters(*module, directoryOf(irPath), /*seed=*/0);
  if (!parameters)
    return parameters.takeError();

  auto count = static_cast<int64_t>(ids.size());
  std::vector<int32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  Cache cache(mlir::cast<transformer::CacheType>(forward.getArgumentTypes()[5]));
  auto pages = static_cast<int64_t>((ids.size() + cache.pageTokens() - 1) / cache.pageTokens());
  std::vector<int32_t> table(pages);
  std::iota(table.begin(), table.end(), 0);
  Evaluator evaluator(*module, std::move(*parameters));
  auto results =
      evaluator.call(forward, {integers(&context, {count}, ids), integers(&context, {count}, positions),
                               integers(&context, {count}, std::vector<int32_t>(ids.size(), 0)),
                               integers(&context, {1, pages}, table), integers(&context, {count}, positions), cache});
  if (mlir::failed(results))
    return badInput("expected IR that the reference can evaluate", irPath);
  return std::get<TensorRef>((*results)[0])->floats;
}

Result<std::vector<float>> qopt::compiledLogits(const std::string &artifactPath, const std::vector<int32_t> &ids) {
  Result<std::shared_ptr<const Model>> model = Model::open(artifactPath);
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

Leader qopt::leaderOf(const float *row, size_t width) {
  Leader leader{0, row[0], INFINITY};
  float second = -INFINITY;
  for (size_t column = 1; column < width; ++column) {
    if (row[column] > leader.value) {
      second = leader.value;
      leader = {column, row[column], 0};
    } else {
      second = std::max(second, row[column]);
    }
  }
  leader.lead = leader.value - second;
  return leader;
}
