// Small whole models, compiled for every target, against the reference; and the same bits however they are fed.
#include "lib/Runtime/Context.h"
#include "lib/Runtime/qopt.h"
#include "tests/unit/Kernels/Harness.h"
#include "tests/unit/Kernels/Tolerances.h"

#include <cstdlib>
#include <filesystem>

using namespace qopt;
using namespace qopt::kerneltest;

namespace {

constexpr int64_t kLengths[] = {40, 13, 3};

double modelTolerance(const ModelKind &kind) {
  auto of = [](const LinearKind &linear) {
    if (!linear.scheme)
      return linear.plain == ElementFormat::BF16 ? kBf16ModelTolerance : kModelTolerance;
    switch (linear.scheme->activations) {
    case ActivationKind::F32:
      return kModelTolerance;
    case ActivationKind::BF16:
      return kBf16ModelTolerance;
    default:
      return kI8ModelTolerance;
    }
  };
  double tolerance = std::max(of(kind.linears), of(kind.head));
  return kind.cacheFormat == ElementFormat::F16 ? std::max(tolerance, kF16CacheTolerance) : tolerance;
}

/// The largest logit's index where the reference's lead over the next one exceeds what the tolerance leaves open.
int64_t disagreements(const Logits &got, const Logits &expected, int64_t width, double tolerance) {
  double largest = 0;
  for (const auto &step : expected)
    for (float value : step)
      largest = std::max<double>(largest, std::fabs(value));
  int64_t count = 0;
  for (size_t step = 0; step < got.size(); ++step)
    for (size_t row = 0; row * width < expected[step].size(); ++row) {
      auto begin = expected[step].begin() + static_cast<int64_t>(row) * width, end = begin + width;
      auto best = std::max_element(begin, end);
      float second = -INFINITY;
      for (auto it = begin; it != end; ++it)
        if (it != best)
          second = std::max(second, *it);
      auto gotBegin = got[step].begin() + static_cast<int64_t>(row) * width;
      if (*best - second > 2 * tolerance * largest &&
          std::max_element(gotBegin, gotBegin + width) - gotBegin != best - begin)
        ++count;
    }
  return count;
}

void check(const ModelKind &kind, const std::string &what, std::span<const Target> targets = nextTarget()) {
  Feed feed = Feed::mixed(kLengths, 17, kind.vocabulary);
  forEachTarget(makeModel(kind), feed, what, targets, [&](const Model &compiled, const Logits &expected) {
    Logits got = run(compiled, feed, 2);
    double worst = difference(got, expected), tolerance = modelTolerance(kind);
    EXPECT_LE(worst, tolerance);
    EXPECT_EQ(disagreements(got, expected, kind.vocabulary, tolerance), 0);
    std::printf("%s, %s: %.2g of %.2g\n", what.c_str(), compiled.target().name.c_str(), worst, tolerance);
  });
}

ModelKind modelOf(const char *linears, const char *head) {
  ModelKind kind;
  kind.linears = LinearKind::parse(linears), kind.head = LinearKind::parse(head);
  kind.mlp = 128; // groups of 64 divide it
  return kind;
}

TEST(Models, PlainLlama) {
  ModelKind kind = modelOf("f32", "f32");
  kind.hidden = 60, kind.mlp = 100, kind.vocabulary = 17, kind.dim = 16, kind.heads = 3, kind.keyValueHeads = 1;
  kind.cacheFormat = ElementFormat::F32, kind.tied = true, kind.scaledRotary = true;
  check(kind, "f32, odd sizes, tied", everyTarget());
}

TEST(Models, EveryPartThatIsOptional) {
  ModelKind kind = modelOf("f16", "bf16");
  kind.biases = true, kind.layerNorms = true, kind.gated = false, kind.activation = "gelu", kind.window = 9;
  kind.heads = 2, kind.keyValueHeads = 2, kind.dim = 48;
  check(kind, "f16, biases, layer norms, plain MLP, window");
  kind = modelOf("bf16", "f32");
  kind.biases = true, kind.activation = "gelu_tanh", kind.normFormat = ElementFormat::BF16, kind.mlp = 40;
  check(kind, "bf16, biases, unfused gated product");
}

TEST(Models, QuantizedLlama) {
  int index = 0;
  for (const char *scheme :
       {"w4a8:g32", "w4a8:g64:asym", "w4a16:g32:asym", "w4a16:g64", "w8a8:g64", "w8a8g32:g32:asym", "w8a16:g32",
        "w4a32:g32:asym", "w4a8g32:channel:sym:f32", "w8a8:channel:asym:bf16", "w8a8s:channel", "w4a8s:g32:asym"}) {
    ModelKind kind = modelOf(scheme, index % 2 ? "w8a8:g32" : "f32");
    kind.linears.staticRange = 1.5; // of what a norm gives, the largest is clamped
    kind.tied = index % 3 == 1, kind.biases = index % 4 == 2;
    kind.mlp = 64 * (1 + index % 2), kind.heads = 4, kind.keyValueHeads = index % 3 == 2 ? 1 : 2;
    check(kind, scheme);
    ++index;
  }
}

//===----------------------------------------------------------------------===//
// Blocks that repeat, in other shapes than Llama's
//===----------------------------------------------------------------------===//

void checkGraph(Graph &graph, const Graph::Value &last, const std::string &what) {
  constexpr int64_t kVocabulary = 50;
  graph.returns(graph.linear(last, "head", kVocabulary, LinearKind::parse("f32")));
  // Fewer rows are wanted than there are tokens.
  Feed feed = Feed::mixed(kLengths, 17, kVocabulary, /*allRows=*/false);
  forEachTarget(graph, feed, what, nextTarget(), [&](const Model &compiled, const Logits &expected) {
    EXPECT_LE(difference(run(compiled, feed, 2), expected), kModelTolerance);
  });
}

TEST(Blocks, OfTheWantedRows) {
  Graph graph;
  LinearKind plain = LinearKind::parse("f32");
  Graph::Value x = graph.selectRows(graph.embedding(50, 64));
  for (const char *layer : {"a", "b", "c"}) {
    Graph::Value normed = graph.rmsNorm(x, layer + std::string(".norm"));
    Graph::Value up = graph.activation("silu", graph.linear(normed, layer + std::string(".up"), 96, plain));
    x = graph.residual(x, graph.linear(up, layer + std::string(".down"), 64, plain));
  }
  checkGraph(graph, x, "blocks of the wanted rows");
}

/// A block of two values that it gives to the next: `x`, whose place its successor takes, and a sum.
struct Wiring {
  const char *name;
  void (*block)(Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum);
};

Graph::Value plainLinear(Graph &graph, Graph::Value input, const std::string &name) {
  return graph.linear(input, name, 64, LinearKind::parse("f32"));
}

// What a block is given is read in many ways beside that of the op that is written over it; where that is too late,
// blocks are not outlined, or a matmul does without an epilogue.
const Wiring kWirings[] = {
    {"another residual reads it before",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       Graph::Value normed = graph.rmsNorm(x, layer + ".norm"), bent = graph.activation("silu", normed);
       Graph::Value other = graph.residual(x, normed);
       x = graph.residual(x, bent);
       sum = graph.residual(sum, plainLinear(graph, other, layer + ".linear"));
     }},
    {"another residual reads it afterwards",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       Graph::Value normed = graph.rmsNorm(x, layer + ".norm"), bent = graph.activation("silu", normed);
       Graph::Value next = graph.residual(x, bent), other = graph.residual(x, normed);
       sum = graph.residual(sum, plainLinear(graph, other, layer + ".linear"));
       x = next;
     }},
    {"a slice of it is read afterwards",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       Graph::Value next = graph.residual(x, graph.activation("silu", graph.rmsNorm(x, layer + ".norm")));
       sum = graph.residual(sum, plainLinear(graph, graph.slice(x, 16, 32), layer + ".linear"));
       x = next;
     }},
    {"a slice of it is the residual",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       Graph::Value normed = graph.rmsNorm(x, layer + ".norm");
       sum = graph.residual(sum, plainLinear(graph, normed, layer + ".linear"));
       x = graph.residual(graph.slice(x, 0, 64), graph.activation("silu", normed));
     }},
    {"a gated product takes its place",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       Graph::Value normed = graph.rmsNorm(x, layer + ".norm");
       sum = graph.residual(sum, graph.activation("silu", normed));
       x = graph.gatedProduct("silu", x, normed);
     }},
    {"it is multiplied, and the residual",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       sum = graph.residual(sum, graph.activation("silu", graph.rmsNorm(x, layer + ".norm")));
       x = graph.residual(x, plainLinear(graph, x, layer + ".linear"));
     }},
    {"it is multiplied, and another the residual",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       Graph::Value normed = graph.rmsNorm(x, layer + ".norm");
       sum = graph.residual(sum, graph.activation("silu", normed));
       x = graph.residual(normed, plainLinear(graph, x, layer + ".linear"));
     }},
    {"it is multiplied, and bent",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       sum = graph.residual(sum, graph.activation("silu", graph.rmsNorm(x, layer + ".norm")));
       x = graph.activation("silu", plainLinear(graph, x, layer + ".linear"));
     }},
    {"it is multiplied before, and the product added afterwards",
     [](Graph &graph, const std::string &layer, Graph::Value &x, Graph::Value &sum) {
       Graph::Value normed = graph.rmsNorm(x, layer + ".norm"), product = plainLinear(graph, x, layer + ".linear");
       x = graph.residual(x, graph.activation("silu", normed));
       sum = graph.residual(sum, product);
     }},
};

TEST(Blocks, ThatReadWhatTheyReplace) {
  for (const Wiring &wiring : kWirings) {
    SCOPED_TRACE(wiring.name);
    Graph graph;
    Graph::Value x = graph.embedding(50, 64), sum = graph.rmsNorm(x, "first");
    for (const char *layer : {"a", "b", "c"})
      wiring.block(graph, layer, x, sum);
    checkGraph(graph, graph.selectRows(graph.residual(x, sum)), wiring.name);
  }
}

TEST(Graphs, WithResultsThatNobodyReads) {
  Graph graph;
  Graph::Value x = graph.embedding(50, 64);
  plainLinear(graph, x, "dead");
  graph.activation("silu", plainLinear(graph, x, "bent"));
  checkGraph(graph, graph.selectRows(x), "dead linears");
}

TEST(Graphs, WithTwoCacheUpdatesInARow) {
  Graph graph({.layers = 2, .heads = 1, .dim = 64});
  Graph::Value x = graph.embedding(50, 64), y = graph.rmsNorm(x, "norm");
  graph.cacheUpdate(0, x, y), graph.cacheUpdate(1, y, x);
  checkGraph(graph, graph.selectRows(graph.residual(graph.attention(0, x), graph.attention(1, y))), "two updates");
}

TEST(Graphs, WithManyRowOpsInARow) {
  Graph graph;
  Graph::Value x = graph.embedding(50, 64);
  for (int i = 0; i < 30; ++i)
    x = graph.residual(x, graph.activation("silu", x));
  checkGraph(graph, graph.rmsNorm(graph.selectRows(x), "norm"), "a long run");
}

/// Logits and final hidden states through the C ABI, as a program sees them, against the reference.
TEST(Models, HiddenStatesThroughTheCAbi) {
  for (const char *scheme : {"f32", "w4a16:g64", "w8a8:g64"}) {
    SCOPED_TRACE(scheme);
    ModelKind kind = modelOf(scheme, "f32");
    auto model = TestModel::make(makeModel(kind), nextTarget());
    ASSERT_TRUE(model);
    Feed feed = Feed::single(9, kind.vocabulary);
    const Step &step = feed.steps.front();

    qopt_error error = {};
    error.size = sizeof error;
    qopt_model *opened = nullptr;
    ASSERT_EQ(qopt_model_open(model->artifact().c_str(), nullptr, &opened, &error), QOPT_OK) << error.message;
    qopt_model_info info = {};
    info.size = sizeof info;
    ASSERT_EQ(qopt_model_get_info(opened, &info, &error), QOPT_OK);
    ASSERT_EQ(info.hidden, kind.hidden);
    ASSERT_EQ(info.vocabulary, kind.vocabulary);
    qopt_context_options options = {};
    options.size = sizeof options, options.threads = 2, options.chunk_tokens = 4;
    qopt_context *context = nullptr;
    ASSERT_EQ(qopt_context_create(opened, &options, &context, &error), QOPT_OK) << error.message;
    int64_t sequence = 0;
    ASSERT_EQ(qopt_sequence_create(context, &sequence, &error), QOPT_OK);
    std::vector<float> logits(step.rows.size() * kind.vocabulary), hidden(step.rows.size() * kind.hidden, NAN);
    qopt_batch batch = {.size = sizeof batch,
                        .num_tokens = static_cast<int64_t>(step.tokens.size()),
                        .tokens = step.tokens.data(),
                        .num_sequences = 1,
                        .sequences = &sequence,
                        .num_rows = static_cast<int64_t>(step.rows.size()),
                        .rows = step.rows.data(),
                        .logits = logits.data(),
                        .logits_capacity = static_cast<int64_t>(logits.size()),
                        .hidden = hidden.data(),
                        .hidden_capacity = static_cast<int64_t>(hidden.size())};
    EXPECT_EQ(qopt_forward(context, &batch, &error), QOPT_OK) << error.message;
    qopt_context_destroy(context);
    qopt_model_release(opened);

    double tolerance = modelTolerance(kind);
    EXPECT_LE(difference({hidden}, model->referenceHiddenStates(feed)), tolerance);
    EXPECT_LE(difference({logits}, model->reference(feed)), tolerance);
  }
}

//===----------------------------------------------------------------------===//
// The runtime: the same bits however a sequence is fed
//===----------------------------------------------------------------------===//

/// Feeds `tokens` to a new sequence of `context` in chunks; logits of every position, [tokens, vocabulary].
std::vector<float> feedAlone(Context &context, std::span<const int32_t> tokens, size_t chunk) {
  SequenceId sequence = *context.cache().createSequence();
  int64_t width = context.model().manifest().model.vocabulary;
  std::vector<float> logits(tokens.size() * width);
  for (size_t start = 0; start < tokens.size(); start += chunk) {
    size_t count = std::min(chunk, tokens.size() - start);
    std::vector<int32_t> rows(count);
    for (size_t i = 0; i < count; ++i)
      rows[i] = static_cast<int32_t>(i);
    auto outcome = context.forward({.tokens = tokens.subspan(start, count),
                                    .sequences = {&sequence, 1},
                                    .rows = rows,
                                    .logits = std::span(logits).subspan(start * width, count * width)});
    EXPECT_TRUE(outcome && *outcome == ForwardOutcome::Done);
  }
  EXPECT_TRUE(context.cache().freeSequence(sequence));
  return logits;
}

class Determinism : public testing::TestWithParam<const char *> {};

TEST_P(Determinism, SameBitsHoweverItIsFed) {
  ModelKind kind = modelOf(GetParam(), "f32");
  kind.window = std::string(GetParam()) == "w8a8:g64" ? 21 : 0;
  std::span<const Target> targets = nextTarget();
  auto model = TestModel::make(makeModel(kind), targets);
  ASSERT_TRUE(model);
  std::vector<int32_t> tokens, others;
  for (int32_t i = 0; i < 75; ++i)
    tokens.push_back((i * 31 + 7) % 50), others.push_back((i * 17 + 3) % 50);
  for (const Target &target : targets) {
    SCOPED_TRACE(target.name);
    auto compiled = model->open(target.name);
    ASSERT_TRUE(compiled);
    auto makeContext = [&](int threads, int64_t chunkTokens = 512) {
      return std::move(*Context::create(
          compiled, {.threads = threads, .contextTokens = 128, .cacheTokens = 1024, .chunkTokens = chunkTokens}));
    };
    auto one = makeContext(1);
    std::vector<float> expected = feedAlone(*one, tokens, tokens.size()), expectedOthers = feedAlone(*one, others, 75);
    int64_t width = model->outputs();
    auto rowsOf = [&](const std::vector<float> &logits, size_t first, size_t count) {
      return std::span(logits).subspan(first * width, count * width);
    };
    for (int threads : {1, 2, 4, 8}) {
      auto context = makeContext(threads);
      ASSERT_EQ(context->workers(), threads);
      for (size_t chunk : {1, 2, 3, 5, 7, 31, 32, 33})
        EXPECT_TRUE(sameBits(feedAlone(*context, tokens, chunk), expected)) << threads << " threads, chunk " << chunk;
      // The runtime's own chunks.
      EXPECT_TRUE(sameBits(feedAlone(*makeContext(threads, 11), tokens, tokens.size()), expected));

      // Two sequences in turns of one token, prefilled together before.
      SequenceId a = *context->cache().createSequence(), b = *context->cache().createSequence();
      std::vector<int32_t> mixed;
      std::vector<SequenceId> owners;
      for (int i = 0; i < 40; ++i) {
        mixed.push_back(tokens[i]), owners.push_back(a);
        if (i < 20)
          mixed.push_back(others[i]), owners.push_back(b);
      }
      ASSERT_TRUE(context->forward({.tokens = mixed, .sequences = owners}));
      std::vector<float> two(2 * width);
      for (int i = 0; i < 20; ++i) {
        int32_t next[] = {others[20 + i], tokens[40 + i]}, rows[] = {0, 1};
        SequenceId both[] = {b, a};
        ASSERT_TRUE(context->forward({.tokens = next, .sequences = both, .rows = rows, .logits = two}));
        EXPECT_TRUE(sameBits(std::span(two).first(width), rowsOf(expectedOthers, 20 + i, 1))) << i;
        EXPECT_TRUE(sameBits(std::span(two).last(width), rowsOf(expected, 40 + i, 1))) << i;
      }
      // A fork goes its own way, and the parent is as it was.
      SequenceId fork = *context->cache().fork(a);
      std::vector<float> onFork(15 * width);
      std::vector<int32_t> rows;
      for (int32_t i = 0; i < 15; ++i)
        rows.push_back(i);
      ASSERT_TRUE(context->forward({.tokens = std::span(others).first(15), .sequences = {&fork, 1}}));
      ASSERT_TRUE(context->forward(
          {.tokens = std::span(tokens).last(15), .sequences = {&a, 1}, .rows = rows, .logits = onFork}));
      EXPECT_TRUE(sameBits(onFork, rowsOf(expected, 60, 15)));
      ASSERT_TRUE(context->cache().truncate(fork, 60));
      ASSERT_TRUE(context->forward(
          {.tokens = std::span(tokens).last(15), .sequences = {&fork, 1}, .rows = rows, .logits = onFork}));
      EXPECT_TRUE(sameBits(onFork, rowsOf(expected, 60, 15)));
    }
  }
}

/// The real model, whose artifact the environment variable QOPT_TEST_ARTIFACT names: see tests/model/CMakeLists.txt.
TEST(RealModel, SameBitsHoweverItIsFed) {
  const char *path = std::getenv("QOPT_TEST_ARTIFACT");
  if (!path || !std::filesystem::exists(path))
    GTEST_SKIP() << "QOPT_TEST_ARTIFACT does not name an artifact";
  auto compiled = Model::open(path);
  ASSERT_TRUE(compiled) << compiled.error().format();
  auto makeContext = [&](int threads) {
    return std::move(*Context::create(*compiled, {.threads = threads, .contextTokens = 128, .cacheTokens = 512}));
  };
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 40; ++i)
    tokens.push_back((i * 3001 + 7) % static_cast<int32_t>((*compiled)->manifest().model.vocabulary));
  auto one = makeContext(1);
  std::vector<float> expected = feedAlone(*one, tokens, tokens.size());
  for (size_t chunk : {1, 3, 7, 33})
    EXPECT_TRUE(sameBits(feedAlone(*one, tokens, chunk), expected)) << "chunk " << chunk;
  for (int threads : {2, 4, 8}) {
    auto context = makeContext(threads);
    ASSERT_EQ(context->workers(), threads);
    EXPECT_TRUE(sameBits(feedAlone(*context, tokens, tokens.size()), expected)) << threads << " threads";
    EXPECT_TRUE(sameBits(feedAlone(*context, tokens, 13), expected)) << threads << " threads, chunks";
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, Determinism, testing::Values("f32", "w4a8:g32:asym", "w4a16:g64", "w8a8:g64"),
                         [](const auto &info) { return "Case" + std::to_string(info.index); });

} // namespace
