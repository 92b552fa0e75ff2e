// qopt-reference: evaluates functions of an IR file with lib/Reference and prints what they return.
//
// A tool for tests. Functions without arguments (tests with constants) run as they are; a cache argument starts empty;
// other arguments get seeded random numbers. A function with the arguments of @forward is driven as a runtime would: a
// batch of `--lengths` sequences, fed in chunks of `--chunk` tokens, over pages in shuffled order; its logits are
// printed by sequence and position, so that they do not depend on the chunking. Parameters without entry and
// initializer get seeded random numbers that depend on their names (lib/Reference/RandomParameters.h), so that two
// files, one before and one after a pass, can be compared with `--against`.
#include "lib/Reference/Evaluator.h"
#include "lib/Reference/RandomParameters.h"
#include "passes/Pipelines/Registration.h"

#include "dialects/LowBit/Dialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace qopt::reference;
namespace cl = llvm::cl;

namespace {

cl::OptionCategory category("qopt-reference options");
cl::opt<std::string> inputFile(cl::Positional, cl::desc("<IR file>"), cl::init("-"), cl::cat(category));
cl::list<std::string> functionNames("function",
                                    cl::desc("a function to evaluate; default: all that have a body and are public"),
                                    cl::cat(category));
cl::opt<uint64_t> seed("seed", cl::desc("seed of made-up parameters and inputs"), cl::init(0), cl::cat(category));
cl::list<int64_t> lengths("lengths", cl::desc("tokens of each sequence of the batch"), cl::CommaSeparated,
                          cl::cat(category));
cl::opt<int64_t> chunk("chunk", cl::desc("tokens of each sequence in one call; 0: all"), cl::init(0),
                       cl::cat(category));
cl::opt<int64_t> pageTokens("page-tokens", cl::desc("tokens of a cache page"), cl::init(4), cl::cat(category));
cl::opt<int64_t> tokens("tokens", cl::desc("size of the dynamic axes of other arguments"), cl::init(3),
                        cl::cat(category));
cl::opt<bool> fillEntries("fill-entries", cl::desc("make up parameters that name an archive entry too"),
                          cl::cat(category));
cl::opt<unsigned> digits("digits", cl::desc("significant digits to print"), cl::init(9), cl::cat(category));
cl::opt<std::string> against("against", cl::desc("another file, whose functions must return the same"),
                             cl::cat(category));
cl::opt<double> tolerance("tolerance",
                          cl::desc("greatest difference that --against allows, relative to the largest value"),
                          cl::init(0), cl::cat(category));

Tensor integers(Type type, std::vector<int64_t> shape, std::vector<int32_t> values) {
  Tensor tensor{RankedTensorType::get(shape, type), {}, std::move(values)};
  return tensor;
}

/// The smallest number of rows of an embedding table, which random tokens must stay below.
int64_t vocabularyOf(ModuleOp module) {
  int64_t rows = std::numeric_limits<int64_t>::max();
  module.walk([&](Operation *op) {
    if (auto embedding = dyn_cast<qopt::transformer::EmbeddingOp>(op))
      rows = std::min(rows, cast<RankedTensorType>(embedding.getTable().getType()).getDimSize(0));
    else if (auto embedding = dyn_cast<qopt::lowbit::EmbeddingOp>(op))
      rows = std::min(rows, cast<RankedTensorType>(embedding.getCodes().getType()).getDimSize(0));
    else if (auto gather = dyn_cast<qopt::lowbit::GatherOp>(op))
      rows = std::min(rows, static_cast<int64_t>(gather.getRows()));
  });
  return rows == std::numeric_limits<int64_t>::max() ? 256 : rows;
}

/// Whether the function has the arguments of @forward: tokens, positions, sequences, block tables, rows, cache.
bool isForward(func::FuncOp function) {
  ArrayRef<Type> types = function.getArgumentTypes();
  if (types.size() != 6 || !isa<qopt::transformer::CacheType>(types[5]))
    return false;
  for (auto [type, rank] : llvm::zip(types, ArrayRef<int64_t>{1, 1, 1, 2, 1}))
    if (auto tensor = dyn_cast<RankedTensorType>(type); !tensor || tensor.getRank() != rank)
      return false;
  return function.getNumResults() == 2;
}

/// Logits of every token of the batch, by sequence and position.
FailureOr<std::vector<HostValue>> runForward(Evaluator &evaluator, func::FuncOp function) {
  MLIRContext *context = function.getContext();
  Type i32 = IntegerType::get(context, 32);
  std::vector<int64_t> batch(lengths.begin(), lengths.end());
  if (batch.empty())
    batch = {5, 3};
  auto sequences = static_cast<int64_t>(batch.size());
  int64_t longest = *std::max_element(batch.begin(), batch.end()),
          vocabulary = vocabularyOf(function->getParentOfType<ModuleOp>());

  // Pages in shuffled order; entries that no position reaches are −1.
  int64_t perSequence = std::max<int64_t>((longest + pageTokens - 1) / pageTokens, 1);
  std::vector<int32_t> tables(sequences * perSequence, -1), order;
  for (int32_t page = 0; page < sequences * perSequence; ++page)
    order.push_back(page);
  Tensor keys = randomTensor("pages", RankedTensorType::get({sequences * perSequence}, i32), seed);
  llvm::sort(order,
             [&](int32_t a, int32_t b) { return std::pair(keys.integers[a], a) < std::pair(keys.integers[b], b); });
  std::vector<Tensor> texts;
  for (int64_t s = 0, next = 0; s < sequences; ++s) {
    for (int64_t p = 0; p * pageTokens < batch[s]; ++p)
      tables[s * perSequence + p] = order[next++];
    // By the token's name alone, so that a sequence's tokens do not depend on its companions.
    texts.push_back(randomTensor("tokens." + std::to_string(s),
                                 RankedTensorType::get({std::max<int64_t>(batch[s], 1)}, i32), seed));
  }

  Cache cache(cast<qopt::transformer::CacheType>(function.getArgumentTypes()[5]), pageTokens);
  std::vector<std::vector<std::vector<float>>> logits(sequences);
  for (int64_t s = 0; s < sequences; ++s)
    logits[s].resize(batch[s]);
  int64_t step = chunk > 0 ? int64_t{chunk} : std::max<int64_t>(longest, 1), width = 0;
  for (int64_t start = 0; start < longest; start += step) {
    std::vector<int32_t> ids, positions, owners, rows;
    // Tokens of the sequences alternate: only attention may care whose they are.
    for (int64_t p = start; p < std::min(start + step, longest); ++p)
      for (int64_t s = 0; s < sequences; ++s)
        if (p < batch[s]) {
          rows.push_back(static_cast<int32_t>(rows.size()));
          ids.push_back(static_cast<int32_t>(texts[s].integers[p] % vocabulary));
          positions.push_back(static_cast<int32_t>(p));
          owners.push_back(static_cast<int32_t>(s));
        }
    auto count = static_cast<int64_t>(ids.size());
    auto share = [](Tensor tensor) { return std::make_shared<const Tensor>(std::move(tensor)); };
    auto results = evaluator.call(
        function, {share(integers(i32, {count}, ids)), share(integers(i32, {count}, positions)),
                   share(integers(i32, {count}, owners)), share(integers(i32, {sequences, perSequence}, tables)),
                   share(integers(i32, {count}, rows)), cache});
    if (failed(results))
      return failure();
    const Tensor &out = *std::get<TensorRef>((*results)[0]);
    width = out.dim(1);
    for (int64_t row = 0; row < count; ++row)
      logits[owners[row]][positions[row]].assign(out.floats.begin() + row * width,
                                                 out.floats.begin() + (row + 1) * width);
    cache = std::get<Cache>((*results)[1]);
  }
  Tensor all{RankedTensorType::get({0, width}, Float32Type::get(context)), {}, {}};
  for (auto &sequence : logits)
    for (auto &row : sequence)
      llvm::append_range(all.floats, row);
  all.type = RankedTensorType::get({width ? static_cast<int64_t>(all.floats.size()) / width : 0, width},
                                   Float32Type::get(context));
  return std::vector<HostValue>{std::make_shared<const Tensor>(std::move(all))};
}

FailureOr<std::vector<HostValue>> runFunction(Evaluator &evaluator, func::FuncOp function) {
  if (isForward(function))
    return runForward(evaluator, function);
  std::vector<HostValue> arguments;
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
    if (auto cache = dyn_cast<qopt::transformer::CacheType>(type)) {
      arguments.push_back(Cache(cache, pageTokens));
    } else if (auto tensor = dyn_cast<RankedTensorType>(type)) {
      SmallVector<int64_t> sizes(tensor.getNumDynamicDims(), tokens);
      RankedTensorType shaped = Tensor::zeros(tensor, sizes).type;
      arguments.push_back(
          std::make_shared<const Tensor>(randomTensor("argument." + std::to_string(index), shaped, seed)));
    } else if (type.isIndex()) {
      arguments.push_back(int64_t{0});
    } else {
      return function.emitError() << "expected arguments that are tensors, caches or indices, but got " << type;
    }
  }
  return evaluator.call(function, arguments);
}

/// {function's name: its results}, in the order of the file.
using Outcome = std::vector<std::pair<std::string, std::vector<HostValue>>>;

FailureOr<Outcome> runFile(MLIRContext &context, StringRef path, OwningOpRef<ModuleOp> &module) {
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(path, &message);
  if (!buffer) {
    llvm::errs() << message << "\n";
    return failure();
  }
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(buffer), SMLoc());
  SourceMgrDiagnosticHandler handler(sources, &context);
  module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return failure();
  Evaluator evaluator(*module, randomParameters(seed, fillEntries));
  SmallVector<func::FuncOp> functions;
  for (StringRef name : functionNames) {
    auto function = module->lookupSymbol<func::FuncOp>(name);
    if (!function)
      return module->emitError() << "expected a function named @" << name;
    functions.push_back(function);
  }
  if (functions.empty())
    for (auto function : module->getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal())
        functions.push_back(function);
  Outcome outcome;
  for (func::FuncOp function : functions) {
    auto results = runFunction(evaluator, function);
    if (failed(results))
      return failure();
    outcome.emplace_back(function.getSymName().str(), std::move(*results));
  }
  return outcome;
}

void print(llvm::raw_ostream &os, const HostValue &value) {
  if (auto *cache = std::get_if<Cache>(&value)) {
    os << cache->type() << ":";
    for (int64_t layer = 0; layer < cache->type().getLayers(); ++layer)
      os << " " << cache->size(layer);
    os << "\n";
  } else if (auto *index = std::get_if<int64_t>(&value)) {
    os << *index << "\n";
  } else {
    const Tensor &tensor = *std::get<TensorRef>(value);
    os << tensor.type << "\n";
    // One line a row: all of a vector, or each row of a matrix.
    int64_t width = std::max<int64_t>(tensor.type.getRank() == 0 ? 1 : tensor.type.getShape().back(), 1);
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      if (tensor.isFloat())
        os << llvm::format("%.*g", unsigned{digits}, double{tensor.floats[i]});
      else
        os << tensor.integers[i];
      os << ((i + 1) % width == 0 ? "\n" : " ");
    }
  }
}

/// The greatest difference of two results, relative to the largest value of the first; infinite if they cannot be
/// compared.
double difference(const HostValue &left, const HostValue &right) {
  auto *a = std::get_if<TensorRef>(&left), *b = std::get_if<TensorRef>(&right);
  if (!a || !b)
    return left.index() == right.index() ? 0.0 : INFINITY;
  if ((*a)->type != (*b)->type)
    return INFINITY;
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < (*a)->elements(); ++i) {
    double x = (*a)->isFloat() ? double{(*a)->floats[i]} : (*a)->integers[i];
    double y = (*b)->isFloat() ? double{(*b)->floats[i]} : (*b)->integers[i];
    if (std::isnan(x) != std::isnan(y))
      return INFINITY;
    largest = std::fmax(largest, std::fabs(x));
    if (x != y)
      worst = std::fmax(worst, std::fabs(x - y));
  }
  return largest > 0 ? worst / largest : worst;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "evaluate an IR file with the reference of qopt\n");
  if (pageTokens < 1 || chunk < 0 || tokens < 0 || llvm::any_of(lengths, [](int64_t length) { return length < 0; })) {
    llvm::errs() << "error: expected pages of at least one token, and no negative lengths\n";
    return 1;
  }
  DialectRegistry registry;
  qopt::registerDialects(registry);
  MLIRContext context(registry);

  OwningOpRef<ModuleOp> module, other;
  FailureOr<Outcome> outcome = runFile(context, inputFile, module);
  if (failed(outcome))
    return 2;
  if (against.empty()) {
    for (auto &[name, results] : *outcome)
      for (auto [index, value] : llvm::enumerate(results)) {
        llvm::outs() << "@" << name << " result " << index << ": ";
        print(llvm::outs(), value);
      }
    return 0;
  }
  FailureOr<Outcome> wanted = runFile(context, against, other);
  if (failed(wanted))
    return 2;
  int compared = 0;
  bool same = true;
  for (auto &[name, results] : *outcome)
    for (auto &[otherName, otherResults] : *wanted) {
      if (name != otherName)
        continue;
      ++compared;
      double worst = results.size() == otherResults.size() ? 0.0 : INFINITY;
      for (auto [left, right] : llvm::zip(results, otherResults))
        worst = std::fmax(worst, difference(left, right));
      llvm::outs() << "@" << name << ": greatest difference " << llvm::format("%.3g", worst) << "\n";
      same &= worst <= tolerance;
    }
  if (compared == 0)
    llvm::errs() << "error: the files have no function in common\n";
  return same && compared ? 0 : 4;
}
