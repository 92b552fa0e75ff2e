#include "tests/unit/Kernels/Harness.h"

#include "lib/Archive/Archive.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Compile/Compile.h"
#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/Float.h"
#include "lib/Reference/Evaluator.h"
#include "lib/Reference/RandomParameters.h"
#include "passes/Lower/Passes.h"
#include "passes/Pipelines/Registration.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>
#include <unistd.h>

using namespace mlir;

namespace qopt::kerneltest {

Folder::Folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "qopt-kernels-XXXXXX").string();
  path = mkdtemp(pattern.data());
}
Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

//===----------------------------------------------------------------------===//
// Feeds
//===----------------------------------------------------------------------===//

static int32_t tokenAt(int64_t sequence, int64_t position, int64_t vocabulary) {
  return static_cast<int32_t>((position * 37 + sequence * 11 + 5) % vocabulary);
}

Feed Feed::single(int64_t count, int64_t vocabulary) {
  int64_t lengths[] = {count};
  return mixed(lengths, 0, vocabulary);
}

Feed Feed::mixed(std::span<const int64_t> lengths, int64_t chunk, int64_t vocabulary, bool allRows) {
  Feed feed;
  feed.sequences = static_cast<int64_t>(lengths.size());
  int64_t longest = std::ranges::max(lengths);
  feed.pagesPerSequence = (longest + 31) / 32;
  int64_t step = chunk == 0 ? longest : chunk;
  for (int64_t start = 0; start < longest; start += step) {
    Step next;
    for (int64_t p = start; p < std::min(start + step, longest); ++p)
      for (int64_t s = 0; s < feed.sequences; ++s)
        if (p < lengths[s]) {
          next.tokens.push_back(tokenAt(s, p, vocabulary));
          next.positions.push_back(static_cast<int32_t>(p));
          next.sequences.push_back(static_cast<int32_t>(s));
        }
    for (size_t i = allRows ? 0 : next.tokens.size() - 1; i < next.tokens.size(); ++i)
      next.rows.push_back(static_cast<int32_t>(i));
    feed.steps.push_back(std::move(next));
  }
  return feed;
}

std::vector<int32_t> Feed::tables() const {
  std::vector<int32_t> pages(sequences * pagesPerSequence);
  for (size_t i = 0; i < pages.size(); ++i)
    pages[i] = static_cast<int32_t>(i + 1); // page 0 belongs to no one
  std::shuffle(pages.begin(), pages.end(), std::mt19937(7));
  return pages;
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

const Machine &machine() {
  static const Machine found = [] {
    Machine result;
    CpuFeatures host = hostCpu();
    for (const Target &target : knownTargets())
      if (target.architecture == host.architecture) {
        if (host.missing(target.features).empty())
          result.runnable.push_back(target);
        else
          result.skipped.push_back(target.name);
      }
    return result;
  }();
  return found;
}

std::span<const Target> everyTarget() { return machine().runnable; }

std::span<const Target> nextTarget() {
  static size_t turn = 0;
  return everyTarget().subspan(turn++ % everyTarget().size(), 1);
}

/// The numbers of a parameter, as the reference takes them: small weights, scales that fit their codes.
static reference::Tensor numbersOf(const ParameterSpec &spec, RankedTensorType type, uint64_t seed) {
  reference::Tensor tensor = reference::randomTensor(spec.name, type, seed);
  if (spec.kind == ParameterSpec::Kind::Zeros)
    for (int32_t &zero : tensor.integers)
      zero &= (1 << spec.bits) - 1;
  // randomTensor's scales lie around 0.01; weights of about ±0.1 are wanted, whatever the number of bits. Scales may be
  // negative (`range: signed`).
  if (spec.kind == ParameterSpec::Kind::Scales)
    for (auto [index, scale] : llvm::enumerate(tensor.floats))
      scale = reference::roundTo(type.getElementType(), scale * (index % 3 == 1 ? -20.0 : 20.0) / (1 << spec.bits));
  // Biases as small as what they are added to, of both signs.
  if (spec.kind == ParameterSpec::Kind::Numbers && spec.name.ends_with(".bias"))
    for (float &bias : tensor.floats)
      bias -= 1.0f;
  for (auto [index, value] : spec.given)
    tensor.floats[index] = value;
  return tensor;
}

static RankedTensorType typeOf(MLIRContext &context, const ParameterSpec &spec) {
  Builder builder(&context);
  Type element = spec.kind == ParameterSpec::Kind::Codes   ? Type(builder.getIntegerType(spec.bits))
                 : spec.kind == ParameterSpec::Kind::Zeros ? Type(builder.getI8Type())
                 : spec.format == ElementFormat::F16       ? Type(builder.getF16Type())
                 : spec.format == ElementFormat::BF16      ? Type(builder.getBF16Type())
                                                           : Type(builder.getF32Type());
  return RankedTensorType::get(spec.shape, element);
}

static std::vector<std::byte> bytesOf(const ParameterSpec &spec, const reference::Tensor &tensor) {
  std::vector<std::byte> bytes;
  auto append = [&](const auto &value) {
    auto *begin = reinterpret_cast<const std::byte *>(&value);
    bytes.insert(bytes.end(), begin, begin + sizeof(value));
  };
  if (!tensor.isFloat()) {
    std::vector<uint8_t> codes(tensor.integers.begin(), tensor.integers.end());
    if (spec.kind == ParameterSpec::Kind::Codes) {
      bytes.resize(*packedCodeBytes(spec.bits, static_cast<int64_t>(codes.size())));
      EXPECT_TRUE(packCodes(spec.bits, codes, bytes));
    } else {
      for (uint8_t code : codes)
        append(code);
    }
    return bytes;
  }
  for (float value : tensor.floats) {
    if (spec.format == ElementFormat::F16)
      append(floatToHalf(value));
    else if (spec.format == ElementFormat::BF16)
      append(floatToBfloat16(value));
    else
      append(value);
  }
  return bytes;
}

static std::unique_ptr<MLIRContext> makeContext() {
  DialectRegistry registry;
  registerDialects(registry);
  return std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
}

bool TestModel::writeArchive() {
  MLIRContext context;
  std::vector<TensorDeclaration> declarations;
  for (const ParameterSpec &spec : graph.parameters()) {
    TensorDeclaration declaration{spec.name, spec.format, spec.shape};
    if (spec.kind == ParameterSpec::Kind::Codes)
      declaration.shape.back() = static_cast<int64_t>(*packedCodeBytes(spec.bits, spec.shape.back()));
    declarations.push_back(std::move(declaration));
  }
  Result<SafetensorsPlan> plan = planSafetensors(std::move(declarations));
  if (!plan) {
    ADD_FAILURE() << plan.error().format();
    return false;
  }
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(folder.file("parameters.safetensors"), *plan, {});
  if (!writer) {
    ADD_FAILURE() << writer.error().format();
    return false;
  }
  for (const ParameterSpec &spec : graph.parameters())
    EXPECT_TRUE(writer->append(spec.name, bytesOf(spec, numbersOf(spec, typeOf(context, spec), seed))));
  EXPECT_TRUE(writer->commit());
  Result<std::shared_ptr<const Archive>> archive = Archive::open(folder.file("parameters.safetensors"));
  if (!archive) {
    ADD_FAILURE() << archive.error().format();
    return false;
  }
  text = "module attributes {transformer.model = {architecture = \"llama\", context = 4096 : i64}} {\n"
         "  transformer.archive @archive \"parameters.safetensors\" size " +
         std::to_string((*archive)->fileSize()) + " header \"" + (*archive)->headerDigest() + "\"\n" + graph.text() +
         "}\n";
  return true;
}

std::unique_ptr<TestModel> TestModel::make(const Graph &graph, std::span<const Target> targets, uint64_t seed) {
  std::unique_ptr<TestModel> model(new TestModel(graph, seed));
  if (!model->writeArchive())
    return nullptr;
  std::unique_ptr<MLIRContext> context = makeContext();
  std::string messages;
  ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) { messages += diagnostic.str() + "\n"; });
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(model->text, context.get());
  if (!module) {
    ADD_FAILURE() << messages << model->text;
    return nullptr;
  }
  CompileOptions options;
  options.targets.assign(targets.begin(), targets.end());
  if (Status status = compileModel(*module, model->folder.name(), options, model->artifact()); !status) {
    ADD_FAILURE() << status.error().format() << "\n" << messages << model->text;
    return nullptr;
  }
  return model;
}

TestModel::~TestModel() = default;

std::shared_ptr<const Model> TestModel::open(const std::string &target) const {
  auto model = Model::open(
      artifact(), {.verify = Verify::Full, .weights = WeightPlacement::Mapped, .target = target, .threads = 1});
  if (!model) {
    ADD_FAILURE() << model.error().format();
    return nullptr;
  }
  return *model;
}

Logits TestModel::reference(const Feed &feed) const { return evaluate(feed, /*hiddenStates=*/false); }
Logits TestModel::referenceHiddenStates(const Feed &feed) const { return evaluate(feed, /*hiddenStates=*/true); }

Logits TestModel::evaluate(const Feed &feed, bool hiddenStates) const {
  std::unique_ptr<MLIRContext> context = makeContext();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, context.get());
  llvm::StringMap<reference::TensorRef> known;
  reference::Evaluator evaluator(*module, [&](transformer::ParameterOp parameter) -> FailureOr<reference::TensorRef> {
    reference::TensorRef &tensor = known[parameter.getSymName()];
    if (!tensor)
      for (const ParameterSpec &spec : graph.parameters())
        if (spec.name == parameter.getSymName())
          tensor = std::make_shared<const reference::Tensor>(numbersOf(spec, typeOf(*context, spec), seed));
    return tensor;
  });
  if (hiddenStates) {
    PassManager manager(context.get());
    manager.addPass(createReturnHiddenStates());
    if (failed(manager.run(*module))) {
      ADD_FAILURE() << "return-hidden-states failed";
      return {};
    }
  }
  auto function = module->lookupSymbol<func::FuncOp>("forward");
  Type i32 = IntegerType::get(context.get(), 32);
  auto vector = [&](std::vector<int32_t> values) -> reference::HostValue {
    auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, i32);
    return std::make_shared<const reference::Tensor>(reference::Tensor{type, {}, std::move(values)});
  };
  auto tableType = RankedTensorType::get({feed.sequences, feed.pagesPerSequence}, i32);
  reference::HostValue tables =
      std::make_shared<const reference::Tensor>(reference::Tensor{tableType, {}, feed.tables()});
  reference::Cache cache(cast<transformer::CacheType>(function.getArgumentTypes().back()));
  Logits logits;
  for (const Step &step : feed.steps) {
    auto results = evaluator.call(function, {vector(step.tokens), vector(step.positions), vector(step.sequences),
                                             tables, vector(step.rows), cache});
    if (failed(results)) {
      ADD_FAILURE() << "the reference failed";
      return {};
    }
    logits.push_back(std::get<reference::TensorRef>((*results)[hiddenStates ? 2 : 0])->floats);
    cache = std::get<reference::Cache>((*results)[1]);
  }
  return logits;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

namespace {

/// Memory between two guards, aligned to 64 bytes.
class Guarded {
public:
  explicit Guarded(size_t bytes, int fill) : bytes(bytes), memory(bytes + 2 * kGuard + 64) {
    start = memory.data() + kGuard;
    start += (64 - reinterpret_cast<uintptr_t>(start) % 64) % 64;
    std::memset(memory.data(), kPattern, memory.size());
    std::memset(start, fill, bytes);
  }
  template <typename T> T *as() { return reinterpret_cast<T *>(start); }
  bool intact() const {
    auto clean = [](const uint8_t *from, const uint8_t *to) {
      return std::all_of(from, to, [](uint8_t byte) { return byte == kPattern; });
    };
    return clean(memory.data(), start) && clean(start + bytes, memory.data() + memory.size());
  }

private:
  static constexpr size_t kGuard = 4096;
  static constexpr uint8_t kPattern = 0xA5;
  size_t bytes;
  std::vector<uint8_t> memory;
  uint8_t *start;
};

constexpr int kNotANumber = 0xFF; // every byte 0xFF: a NaN in f32, f16 and bf16, −1 as an integer

struct Team {
  std::barrier<> barrier;
  explicit Team(int workers) : barrier(workers) {}
  static int32_t wait(void *team, int64_t) {
    static_cast<Team *>(team)->barrier.arrive_and_wait();
    return 0;
  }
};

} // namespace

Logits run(const Model &model, const Feed &feed, int workers) {
  const Manifest &manifest = model.manifest();
  Guarded cache(manifest.cache.blockBytes * feed.pages(), kNotANumber);
  std::vector<int32_t> tables = feed.tables();
  Logits logits;
  for (const Step &step : feed.steps) {
    auto tokens = static_cast<int64_t>(step.tokens.size()), rows = static_cast<int64_t>(step.rows.size());
    Guarded arena(manifest.arena.constant + manifest.arena.perToken * tokens + manifest.arena.perRow * rows,
                  kNotANumber);
    Guarded out(rows * manifest.model.vocabulary * sizeof(float), kNotANumber);
    Guarded counters(manifest.counters * sizeof(int64_t), 0);
    Team team(workers);
    QoptForwardArgs args{};
    args.size = sizeof(args);
    args.weights = reinterpret_cast<const uint8_t *>(model.weights());
    args.arena = arena.as<uint8_t>(), args.cache = cache.as<uint8_t>();
    args.tokens = step.tokens.data(), args.positions = step.positions.data(), args.sequences = step.sequences.data();
    args.block_tables = tables.data(), args.blocks_per_sequence = feed.pagesPerSequence;
    args.rows = step.rows.data(), args.num_tokens = tokens, args.num_rows = rows;
    args.logits = out.as<float>(), args.counters = counters.as<int64_t>();
    args.barrier = &Team::wait, args.pool = &team;
    std::vector<int32_t> answers(workers, -1);
    std::vector<std::thread> others;
    for (int worker = 1; worker < workers; ++worker)
      others.emplace_back([&, worker] { answers[worker] = model.entry()(&args, worker, workers); });
    answers[0] = model.entry()(&args, 0, workers);
    for (std::thread &thread : others)
      thread.join();
    for (int32_t answer : answers)
      EXPECT_EQ(answer, 0);
    EXPECT_TRUE(arena.intact()) << "written beyond the arena, tokens " << tokens;
    EXPECT_TRUE(out.intact()) << "written beyond the logits, tokens " << tokens;
    EXPECT_TRUE(counters.intact()) << "written beyond the counters";
    logits.emplace_back(out.as<float>(), out.as<float>() + rows * manifest.model.vocabulary);
  }
  EXPECT_TRUE(cache.intact()) << "written beyond the cache";
  return logits;
}

double difference(const Logits &got, const Logits &expected) {
  if (got.size() != expected.size())
    return INFINITY;
  double largest = 0, worst = 0;
  for (size_t step = 0; step < got.size(); ++step) {
    if (got[step].size() != expected[step].size())
      return INFINITY;
    for (size_t i = 0; i < got[step].size(); ++i) {
      if (!std::isfinite(got[step][i]) || !std::isfinite(expected[step][i]))
        return INFINITY;
      largest = std::fmax(largest, std::fabs(expected[step][i]));
      worst = std::fmax(worst, std::fabs(double{got[step][i]} - expected[step][i]));
    }
  }
  return largest > 0 ? worst / largest : worst;
}

bool sameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

void forEachTarget(const Graph &graph, const Feed &feed, const std::string &what, std::span<const Target> targets,
                   const std::function<void(const Model &compiled, const Logits &expected)> &compare) {
  SCOPED_TRACE(what);
  auto model = TestModel::make(graph, targets);
  if (!model)
    return;
  Logits expected = model->reference(feed);
  for (const Target &target : targets) {
    SCOPED_TRACE(target.name);
    auto compiled = model->open(target.name);
    if (!compiled)
      return;
    compare(*compiled, expected);
  }
}

Logits expectClose(const Model &compiled, const Feed &feed, const Logits &expected, double tolerance) {
  Logits got = run(compiled, feed), shared = run(compiled, feed, 3);
  EXPECT_LE(difference(got, expected), tolerance);
  for (size_t step = 0; step < got.size(); ++step)
    EXPECT_TRUE(sameBits(shared[step], got[step])) << "with 3 workers";
  return got;
}

} // namespace qopt::kerneltest
