#include "tools/dev/qopt-reference/Forward.h"

#include "dialects/LowBit/Dialect.h"
#include "dialects/Transformer/Entry.h"
#include "lib/Reference/RandomParameters.h"

#include <limits>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// The smallest number of rows of an embedding table, which random tokens must stay below.
static int64_t vocabularyOf(ModuleOp module) {
  int64_t rows = std::numeric_limits<int64_t>::max();
  module.walk([&](Operation *op) {
    if (auto embedding = dyn_cast<transformer::EmbeddingOp>(op))
      rows = std::min(rows, cast<RankedTensorType>(embedding.getTable().getType()).getDimSize(0));
    else if (auto embedding = dyn_cast<lowbit::EmbeddingOp>(op))
      rows = std::min(rows, cast<RankedTensorType>(embedding.getCodes().getType()).getDimSize(0));
    else if (auto gather = dyn_cast<lowbit::GatherOp>(op))
      rows = std::min(rows, static_cast<int64_t>(gather.getRows()));
  });
  return rows == std::numeric_limits<int64_t>::max() ? 256 : rows;
}

bool reference::isForward(func::FuncOp function) {
  ArrayRef<Type> types = function.getArgumentTypes();
  if (types.size() != transformer::kModelArguments || !isa<transformer::CacheType>(types[transformer::Cache]) ||
      function.getNumResults() < 2)
    return false;
  return llvm::all_of(llvm::zip(types.take_front(5), ArrayRef<int64_t>{1, 1, 1, 2, 1}), [](auto pair) {
    auto tensor = dyn_cast<RankedTensorType>(std::get<0>(pair));
    return tensor && tensor.getRank() == std::get<1>(pair);
  });
}

std::vector<std::vector<int32_t>> reference::randomTexts(ModuleOp module, ArrayRef<int64_t> lengths, uint64_t seed) {
  int64_t vocabulary = vocabularyOf(module);
  Type i32 = IntegerType::get(module.getContext(), 32);
  std::vector<std::vector<int32_t>> texts;
  for (auto [sequence, length] : llvm::enumerate(lengths)) {
    Tensor ids = randomTensor("tokens." + std::to_string(sequence), RankedTensorType::get({length}, i32), seed);
    for (int32_t &id : ids.integers)
      id = static_cast<int32_t>(id % vocabulary);
    texts.push_back(std::move(ids.integers));
  }
  return texts;
}

namespace {

/// One call's tokens.
struct Batch {
  std::vector<int32_t> ids, positions, sequences, rows;
};

/// Tokens [start, start + step) of each sequence, in turns: only attention may care whose they are.
Batch batchOf(ArrayRef<std::vector<int32_t>> texts, size_t start, size_t step) {
  Batch batch;
  for (size_t position = start; position < start + step; ++position)
    for (auto [sequence, text] : llvm::enumerate(texts))
      if (position < text.size()) {
        batch.rows.push_back(static_cast<int32_t>(batch.rows.size()));
        batch.ids.push_back(text[position]);
        batch.positions.push_back(static_cast<int32_t>(position));
        batch.sequences.push_back(static_cast<int32_t>(sequence));
      }
  return batch;
}

/// [sequences, pages]: pages in shuffled order, and −1 where no position reaches.
std::vector<int32_t> blockTables(ArrayRef<std::vector<int32_t>> texts, int64_t perSequence,
                                 const ForwardOptions &options, Type i32) {
  int64_t count = static_cast<int64_t>(texts.size()) * perSequence, next = 0;
  Tensor keys = randomTensor("pages", RankedTensorType::get({count}, i32), options.seed);
  std::vector<int32_t> tables(count, -1), order;
  for (int32_t page = 0; page < count; ++page)
    order.push_back(page);
  llvm::sort(order,
             [&](int32_t a, int32_t b) { return std::pair(keys.integers[a], a) < std::pair(keys.integers[b], b); });
  for (auto [sequence, text] : llvm::enumerate(texts))
    for (int64_t page = 0; page * options.pageTokens < static_cast<int64_t>(text.size()); ++page)
      tables[static_cast<int64_t>(sequence) * perSequence + page] = order[next++];
  return tables;
}

} // namespace

FailureOr<Tensor> reference::runForward(Evaluator &evaluator, func::FuncOp function, const ForwardOptions &options) {
  MLIRContext *context = function.getContext();
  Type i32 = IntegerType::get(context, 32);
  auto share = [&](ArrayRef<int64_t> shape, std::vector<int32_t> values) {
    return std::make_shared<const Tensor>(Tensor{RankedTensorType::get(shape, i32), {}, std::move(values)});
  };
  size_t longest = 1;
  std::vector<size_t> firstRow; // of each sequence in the result
  size_t total = 0;
  for (const auto &text : options.texts) {
    longest = std::max(longest, text.size());
    firstRow.push_back(total);
    total += text.size();
  }
  auto sequences = static_cast<int64_t>(options.texts.size());
  int64_t perSequence = (static_cast<int64_t>(longest) + options.pageTokens - 1) / options.pageTokens;
  TensorRef tables = share({sequences, perSequence}, blockTables(options.texts, perSequence, options, i32));

  Cache cache(cast<transformer::CacheType>(function.getArgumentTypes()[transformer::Cache]), options.pageTokens);
  int64_t width = cast<RankedTensorType>(function.getResultTypes()[0]).getDimSize(1);
  Tensor logits = Tensor::zeros(RankedTensorType::get({static_cast<int64_t>(total), width}, Float32Type::get(context)));
  size_t step = options.chunk > 0 ? static_cast<size_t>(options.chunk) : longest;
  for (size_t start = 0; start < longest; start += step) {
    Batch batch = batchOf(options.texts, start, step);
    auto count = static_cast<int64_t>(batch.ids.size());
    auto results =
        evaluator.call(function, {share({count}, batch.ids), share({count}, batch.positions),
                                  share({count}, batch.sequences), tables, share({count}, batch.rows), cache});
    if (failed(results))
      return failure();
    const Tensor &rows = *std::get<TensorRef>((*results)[0]);
    for (int64_t row = 0; row < count; ++row)
      std::copy_n(rows.floats.begin() + row * width, width,
                  logits.floats.begin() +
                      static_cast<int64_t>(firstRow[batch.sequences[row]] + batch.positions[row]) * width);
    cache = std::get<Cache>((*results)[1]);
  }
  return logits;
}
