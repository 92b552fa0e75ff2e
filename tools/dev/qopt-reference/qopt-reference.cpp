// qopt-reference: evaluates functions of an IR file with lib/Reference and prints what they return.
//
// A tool for tests. Functions without arguments (tests with constants) run as they are; a cache argument starts empty;
// other arguments get seeded random numbers. A function with the arguments of @forward is driven as a runtime would: a
// batch of `--lengths` sequences, fed in chunks of `--chunk` tokens, over pages in shuffled order; its logits are
// printed by sequence and position, so that they do not depend on the chunking. Parameters with an entry are read from
// their archives, beside the IR file; those with neither entry nor initializer get seeded random numbers that depend on
// their names (lib/Reference/RandomParameters.h), so that two files, one before and one after a pass, can be compared
// with `--against`.
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Reference/ArchiveParameters.h"
#include "lib/Reference/RandomParameters.h"
#include "passes/Pipelines/Registration.h"
#include "tools/dev/qopt-reference/Forward.h"
#include "tools/dev/qopt-reference/TensorFiles.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

#include <cmath>

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
cl::opt<std::string> inputs("inputs",
                            cl::desc("safetensors: token ids, \"tokens\" or \"tokens.SEQUENCE\", for @forward"),
                            cl::cat(category));
cl::opt<std::string> output("output", cl::desc("safetensors to write the results to, as FUNCTION.INDEX"),
                            cl::cat(category));
cl::opt<bool> compareInitializers("compare-initializers",
                                  cl::desc("also compare each initializer with lib/Parameters, exactly"),
                                  cl::cat(category));
cl::opt<std::string> against(
    "against",
    cl::desc("another IR file, whose functions must return the same, or safetensors with \"logits\" or FUNCTION.INDEX"),
    cl::cat(category));
cl::opt<double> tolerance("tolerance",
                          cl::desc("greatest difference that --against allows, relative to the largest value"),
                          cl::init(0), cl::cat(category));

LogicalResult report(const qopt::Error &error) {
  llvm::errs() << error.format();
  return failure();
}

/// The token ids of `--inputs`, else made-up ones of `--lengths`.
LogicalResult fillTexts(func::FuncOp function, std::vector<std::vector<int32_t>> &texts) {
  if (inputs.empty()) {
    std::vector<int64_t> wanted(lengths.begin(), lengths.end());
    if (wanted.empty())
      wanted = {5, 3};
    texts = randomTexts(function->getParentOfType<ModuleOp>(), wanted, seed);
    return success();
  }
  auto tensors = readTensors(inputs, function.getContext());
  if (!tensors)
    return report(tensors.error());
  for (auto &[name, tensor] : *tensors) {
    size_t sequence = 0;
    StringRef text = name;
    if (text != "tokens" && (!text.consume_front("tokens.") || text.getAsInteger(10, sequence)))
      continue;
    if (tensor->isFloat() || sequence > 4096)
      return report(qopt::badInput("expected integers, of sequence 0 to 4096", inputs + ": " + name));
    texts.resize(std::max(texts.size(), sequence + 1));
    texts[sequence] = tensor->integers;
  }
  return texts.empty() ? report(qopt::badInput("expected a tensor named \"tokens\"", inputs)) : success();
}

FailureOr<std::vector<HostValue>> runFunction(Evaluator &evaluator, func::FuncOp function) {
  if (isForward(function)) {
    ForwardOptions options{{}, chunk, pageTokens, seed};
    if (failed(fillTexts(function, options.texts)))
      return failure();
    FailureOr<Tensor> logits = runForward(evaluator, function, options);
    if (failed(logits))
      return failure();
    return std::vector<HostValue>{std::make_shared<const Tensor>(std::move(*logits))};
  }
  std::vector<HostValue> arguments;
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes())) {
    if (auto cache = dyn_cast<qopt::transformer::CacheType>(type)) {
      arguments.push_back(Cache(cache, pageTokens));
    } else if (auto tensor = dyn_cast<RankedTensorType>(type); tensor && tensor.getElementType().isIntOrFloat()) {
      SmallVector<int64_t> sizes(tensor.getNumDynamicDims(), tokens);
      RankedTensorType shaped = Tensor::zeros(tensor, sizes).type;
      arguments.push_back(
          std::make_shared<const Tensor>(randomTensor("argument." + std::to_string(index), shaped, seed)));
    } else if (type.isIndex()) {
      arguments.push_back(int64_t{0});
    } else {
      return function.emitError()
             << "expected arguments that are tensors of floats or integers, caches or indices, but got " << type;
    }
  }
  return evaluator.call(function, arguments);
}

/// Each initializer, evaluated by lib/Parameters too: that the two agree to the last bit.
LogicalResult checkInitializers(Evaluator &evaluator, ModuleOp module, StringRef path) {
  auto parameters = qopt::ParameterEvaluator::open(module, qopt::directoryOf(path));
  if (!parameters)
    return report(parameters.error());
  int compared = 0;
  for (auto parameter : module.getOps<qopt::transformer::ParameterOp>()) {
    if (parameter.getInitializer().empty())
      continue;
    FailureOr<TensorRef> wanted = evaluator.parameter(FlatSymbolRefAttr::get(parameter.getSymNameAttr()), parameter);
    auto got = (*parameters)->evaluate(parameter);
    if (failed(wanted))
      return failure();
    if (!got)
      return report(got.error());
    Tensor tensor = fromHost(*got);
    if (tensor.floats != (*wanted)->floats || tensor.integers != (*wanted)->integers)
      return parameter.emitError("expected lib/Parameters to compute what the reference computes");
    ++compared;
  }
  llvm::outs() << compared << " initializers are equal\n";
  return success();
}

/// {function's name: its results}, in the order of the file.
using Outcome = std::vector<std::pair<std::string, std::vector<HostValue>>>;

/// The tensors of a safetensors file as results: "logits" of @forward, or FUNCTION.INDEX.
FailureOr<Outcome> readOutcome(MLIRContext &context, const std::string &path) {
  auto tensors = readTensors(path, &context);
  if (!tensors)
    return report(tensors.error());
  Outcome outcome;
  for (auto &[name, tensor] : *tensors) {
    auto [function, index] = StringRef(name).rsplit('.');
    size_t number = 0;
    if (name == "logits")
      function = "forward";
    else if (index.getAsInteger(10, number) || number > 4096)
      continue;
    auto entry = llvm::find_if(outcome, [&](auto &entry) { return entry.first == function; });
    if (entry == outcome.end())
      entry = outcome.insert(outcome.end(), {function.str(), {}});
    entry->second.resize(std::max(entry->second.size(), number + 1));
    entry->second[number] = tensor;
  }
  for (auto &[function, results] : outcome)
    for (auto [number, result] : llvm::enumerate(results))
      if (auto *tensor = std::get_if<TensorRef>(&result); tensor && !*tensor)
        return report(qopt::badInput(
            "expected all results of @" + function + ", but result " + std::to_string(number) + " is missing", path));
  return outcome;
}

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
  ParameterSource source = randomParameters(seed, fillEntries);
  if (!fillEntries && !module->getOps<qopt::transformer::ArchiveOp>().empty()) {
    auto archives = archiveParameters(*module, qopt::directoryOf(path), seed);
    if (!archives)
      return report(archives.error());
    source = std::move(*archives);
  }
  Evaluator evaluator(*module, std::move(source));
  if (compareInitializers && failed(checkInitializers(evaluator, *module, path)))
    return failure();
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

/// How far numbers are apart.
class Difference {
public:
  void add(double x, double y) {
    if (!std::isfinite(x) || !std::isfinite(y)) {
      if (x != y && !(std::isnan(x) && std::isnan(y)))
        worst = INFINITY;
      return; // the same in both, or nothing to compare
    }
    largest = std::fmax(largest, std::fabs(x));
    worst = std::fmax(worst, std::fabs(x - y));
  }
  void add(ArrayRef<float> left, ArrayRef<float> right) {
    for (auto [x, y] : llvm::zip_equal(left, right))
      add(x, y);
  }
  /// The greatest, over the largest value on the left.
  double relative() const { return largest > 0 ? worst / largest : worst; }

private:
  double largest = 0, worst = 0;
};

double difference(const Tensor &left, const Tensor &right) {
  if (left.type != right.type)
    return INFINITY;
  Difference found;
  found.add(left.floats, right.floats);
  for (auto [x, y] : llvm::zip_equal(left.integers, right.integers))
    found.add(x, y);
  return found.relative();
}

double difference(const Cache &left, const Cache &right) {
  if (left.type() != right.type())
    return INFINITY;
  Difference found;
  for (int64_t layer = 0; layer < left.type().getLayers(); ++layer) {
    if (left.size(layer) != right.size(layer))
      return INFINITY;
    for (auto &[place, row] : left.rows(layer)) {
      const Cache::Row *other = right.find(layer, place);
      if (!other)
        return INFINITY;
      found.add(row.key, other->key);
      found.add(row.value, other->value);
    }
  }
  return found.relative();
}

/// The greatest difference of two results, relative to the largest value of the first; infinite if they cannot be
/// compared.
double difference(const HostValue &left, const HostValue &right) {
  if (auto *x = std::get_if<int64_t>(&left), *y = std::get_if<int64_t>(&right); x && y)
    return *x == *y ? 0.0 : INFINITY;
  if (auto *x = std::get_if<Cache>(&left), *y = std::get_if<Cache>(&right); x && y)
    return difference(*x, *y);
  if (auto *x = std::get_if<TensorRef>(&left), *y = std::get_if<TensorRef>(&right); x && y)
    return difference(**x, **y);
  return INFINITY;
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
  if (!output.empty()) {
    NamedTensors tensors;
    for (auto &[name, results] : *outcome)
      for (auto [index, value] : llvm::enumerate(results))
        if (auto *tensor = std::get_if<TensorRef>(&value))
          tensors.emplace_back(name + "." + std::to_string(index), *tensor);
    if (qopt::Status status = writeTensors(output, tensors); !status) {
      llvm::errs() << status.error().format();
      return static_cast<int>(status.error().errorClass);
    }
  }
  if (against.empty()) {
    if (!output.empty())
      return 0;
    for (auto &[name, results] : *outcome)
      for (auto [index, value] : llvm::enumerate(results)) {
        llvm::outs() << "@" << name << " result " << index << ": ";
        print(llvm::outs(), value);
      }
    return 0;
  }
  FailureOr<Outcome> wanted =
      StringRef(against).ends_with(".safetensors") ? readOutcome(context, against) : runFile(context, against, other);
  if (failed(wanted))
    return 2;
  int compared = 0;
  bool same = true;
  auto alone = [&](const Outcome &these, const Outcome &those, const char *where) {
    for (auto &[name, results] : these)
      if (functionNames.empty() && llvm::none_of(those, [&](auto &entry) { return entry.first == name; })) {
        llvm::errs() << "error: @" << name << " is " << where << " alone; --function names what to compare\n";
        same = false;
      }
  };
  alone(*outcome, *wanted, "in the first file");
  alone(*wanted, *outcome, "in the second file");
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
