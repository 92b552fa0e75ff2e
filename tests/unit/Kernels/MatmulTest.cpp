// Matmuls of every scheme and shape against the reference, by themselves and with what they take along. The input is a
// table of embeddings, read exactly, so kernel and reference multiply the same numbers.
#include "tests/unit/Kernels/Harness.h"
#include "tests/unit/Kernels/Tolerances.h"

#include <cmath>
#include <random>

using namespace qopt;
using namespace qopt::kerneltest;

namespace {

constexpr int64_t kVocabulary = 97;
/// Every body for a block of tokens, and every mixture of them.
constexpr int64_t kTokenCounts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 31, 32, 33};
constexpr int64_t kMostTokens = 64;

/// Compiles for some targets, compares 64 tokens with the reference and fewer tokens with those, bit for bit.
void check(const Graph &graph, double tolerance, const std::string &what,
           std::span<const Target> targets = nextTarget()) {
  Feed feed = Feed::single(kMostTokens, graph.tokens());
  forEachTarget(graph, feed, what, targets, [&](const Model &compiled, const Logits &expected) {
    Logits got = expectClose(compiled, feed, expected, tolerance);
    int64_t width = graph.outputs();
    for (int64_t tokens : kTokenCounts) {
      Logits fewer = run(compiled, Feed::single(tokens, graph.tokens()));
      EXPECT_TRUE(sameBits(fewer[0], std::span(got[0]).first(tokens * width))) << tokens << " tokens";
    }
  });
}

void checkLinear(const std::string &kind, int64_t inputs, int64_t outputs, bool bias, bool rowsFirst,
                 std::span<const Target> targets = nextTarget()) {
  Graph graph;
  Graph::Value x = graph.embedding(kVocabulary, inputs);
  if (rowsFirst)
    x = graph.selectRows(x);
  Graph::Value y = graph.linear(x, "w", outputs, LinearKind::parse(kind), bias);
  graph.returns(rowsFirst ? y : graph.selectRows(y));
  check(graph, linearTolerance(LinearKind::parse(kind)),
        kind + " " + std::to_string(inputs) + " to " + std::to_string(outputs) + (bias ? " with bias" : "") +
            (rowsFirst ? " over rows" : " over tokens"),
        targets);
}

struct Case {
  std::string kind;
  int64_t inputs, outputs;
};

std::vector<Case> allCases() {
  std::vector<Case> cases;
  for (const char *plain : {"f32", "f16", "bf16"})
    for (int64_t inputs : {2, 6, 30, 48, 100, 576})
      for (int64_t outputs : {1, 15, 16, 17, 50, 96})
        cases.push_back({plain, inputs, outputs});
  for (const char *bits : {"w2", "w3", "w4", "w5", "w6", "w8"})
    for (const char *activation : {"a8", "a8g32", "a16", "a32"})
      for (const char *group : {"g32", "g64", "g128", "g256", "channel"})
        for (const char *symmetry : {"sym", "asym"})
          for (const char *scale : {"f16", "bf16", "f32"})
            for (int64_t times : {1, 2, 3}) {
              std::string kind = std::string(bits) + activation + ":" + group + ":" + symmetry + ":" + scale;
              int64_t size = LinearKind::parse(kind).scheme->weights.groupSize(96);
              for (int64_t outputs : {7, 16, 17, 50, 80})
                cases.push_back({kind, size * times, outputs});
            }
  return cases;
}

/// A sample of the cases that is the same on every machine, and holds each value of each choice a few times.
std::vector<Case> sample(size_t count) {
  std::vector<Case> cases = allCases();
  std::mt19937 random(20);
  for (size_t i = 0; i < count; ++i)
    std::swap(cases[i], cases[i + random() % (cases.size() - i)]);
  cases.resize(count);
  return cases;
}

TEST(Matmul, MachineRunsTheseTargets) {
  for (const Target &target : machine().runnable)
    std::printf("runs %s\n", target.name.c_str());
  EXPECT_FALSE(machine().runnable.empty());
  if (!machine().skipped.empty())
    GTEST_SKIP() << "this machine does not run " << machine().skipped.front() << " and " << machine().skipped.size() - 1
                 << " more";
}

TEST(Matmul, PlainWeights) {
  checkLinear("f32", 30, 50, true, false, everyTarget());
  checkLinear("f32", 576, 17, false, true);
  checkLinear("f16", 100, 33, false, false);
  checkLinear("bf16", 48, 50, true, true);
  checkLinear("bf16", 6, 15, false, false);
}

TEST(Matmul, EverySchemeOnce) {
  int64_t index = 0;
  for (const char *bits : {"w2", "w3", "w4", "w5", "w6", "w8"})
    for (const char *activation : {"a8", "a8g32", "a16", "a32"})
      for (const char *symmetry : {"sym", "asym"}) {
        const char *groups[] = {"g32", "g64", "g128", "channel"}, *scales[] = {"f16", "bf16", "f32"};
        std::string kind =
            std::string(bits) + activation + ":" + groups[index % 4] + ":" + symmetry + ":" + scales[index % 3];
        checkLinear(kind, 128 * (1 + index % 2), 33 + 16 * (index % 3), index % 2, index % 3 == 0);
        ++index;
      }
}

/// A quarter of the inputs lies beyond the range, and is clamped; sums of codes are needed or not.
TEST(Matmul, StaticActivations) {
  checkLinear("w8a8s:channel", 576, 33, false, false, everyTarget());
  checkLinear("w8a8s:g32:asym", 96, 17, true, true, everyTarget());
  checkLinear("w4a8s:g64:asym:bf16", 192, 50, false, true);
  checkLinear("w3a8s:g32", 64, 16, true, false);
  checkLinear("w6a8s:g32:asym", 64, 17, true, false);
}

/// Sums of all products would overflow an i32: codes of 8 bits lie above their zero points, which are below 16, both of
/// weights and of the table that activations come from.
TEST(Matmul, RowsLongerThanAnI32Sums) {
  LinearKind kind = LinearKind::parse("w8a8:channel:asym");
  Graph graph;
  Graph::Value x = graph.embedding(17, 557056, LinearKind::parse("w8a16:channel:asym"));
  graph.returns(graph.linear(graph.selectRows(x), "w", 17, kind));
  Feed feed = Feed::single(5, 3);
  forEachTarget(graph, feed, "557056 inputs", nextTarget(), [&](const Model &compiled, const Logits &expected) {
    expectClose(compiled, feed, expected, linearTolerance(kind));
  });
}

/// So many inputs that a few tokens are all that panels go over at a time: 64 tokens are several portions and a rest.
TEST(Matmul, ActivationsLargerThanCaches) {
  checkLinear("f32", 12288, 33, true, false);
  checkLinear("w4a16:g64", 20480, 17, false, false);
  checkLinear("w8a8:channel", 32768, 33, false, false);
}

/// A value that is not finite shows in every output of its token, whatever form activations take; other tokens have
/// what they have without it.
TEST(Matmul, WhatIsNotFiniteShows) {
  constexpr int64_t kInputs = 192, kOutputs = 33, kTokens = 4;
  Feed feed;
  feed.steps.push_back({{0, 1, 2, 3}, {0, 1, 2, 3}, {0, 0, 0, 0}, {0, 1, 2, 3}});
  for (const char *kind : {"f32", "bf16", "w4a32:g32", "w4a16:g64:asym", "w8a8:channel", "w4a8:g64:asym", "w4a8g32:g32",
                           "w8a8s:channel", "w4a8s:g64:asym"}) {
    Graph graph;
    Graph::Value x = graph.embedding(kVocabulary, kInputs),
                 y = graph.embedding(kVocabulary, kInputs, ElementFormat::F32, "other");
    x = graph.residual(graph.residual(x, x), graph.residual(y, y));
    graph.returns(graph.selectRows(graph.linear(x, "w", kOutputs, LinearKind::parse(kind))));
    std::span<const Target> targets = nextTarget();
    auto whole = TestModel::make(graph, targets);
    // Weights have to be finite: what doubles to infinity, and infinities of both signs in one place.
    graph.give("embed", 1 * kInputs + 37, 3e38f), graph.give("other", 1 * kInputs + 37, -3e38f);
    graph.give("embed", 2 * kInputs + 191, -3e38f);
    graph.give("other", 3 * kInputs, 3e38f);
    auto broken = TestModel::make(graph, targets);
    ASSERT_TRUE(whole && broken) << kind;
    const std::string &target = targets.front().name;
    Logits expected = run(*whole->open(target), feed), got = run(*broken->open(target), feed),
           reference = broken->reference(feed);
    EXPECT_TRUE(sameBits(std::span(got[0]).first(kOutputs), std::span(expected[0]).first(kOutputs))) << kind;
    for (int64_t i = kOutputs; i < kTokens * kOutputs; ++i) {
      EXPECT_FALSE(std::isfinite(got[0][i])) << kind << ", token " << i / kOutputs;
      EXPECT_FALSE(std::isfinite(reference[0][i])) << kind << ", token " << i / kOutputs << ", by the reference";
    }
  }
}

TEST(Matmul, SampleOfShapesAndSchemes) {
  int64_t index = 0;
  for (const Case &next : sample(16))
    checkLinear(next.kind, next.inputs, next.outputs, index % 2 == 0, index % 3 == 0), ++index;
}

/// Minutes, not seconds: ctest runs it under the label "slow".
TEST(Matmul, DISABLED_AllShapesAndSchemes) {
  int64_t index = 0;
  for (const Case &next : sample(allCases().size() / 4))
    checkLinear(next.kind, next.inputs, next.outputs, index % 2 == 0, index % 3 == 0, everyTarget()), ++index;
}

/// f32 in tiles of bf16, as statistics are computed: empty where this processor has none.
std::vector<Target> tilesTarget() {
  Result<Target> target = statisticsTarget();
  return target && target->bf16Tiles ? std::vector<Target>{*target} : std::vector<Target>();
}

TEST(Matmul, TilesOfBf16) {
  std::vector<Target> tiles = tilesTarget();
  if (tiles.empty())
    GTEST_SKIP() << "this processor has no AMX, or the kernel does not let us use it";
  // One step of inputs, and more than caches keep at a time, with a rest and without; a panel, pairs, a part of one.
  // The last two have no tiles.
  for (const Case &c :
       {Case{"f32", 32, 1}, Case{"f32", 288, 16}, Case{"f32", 320, 33}, Case{"f32", 576, 50}, Case{"f16", 608, 96},
        Case{"f32", 1536, 17}, Case{"f32", 7168, 33}, Case{"f32", 100, 33}, Case{"f32", 7200, 17}}) {
    Graph graph;
    Graph::Value x = graph.embedding(kVocabulary, c.inputs);
    graph.returns(graph.selectRows(graph.linear(x, "w", c.outputs, LinearKind::parse(c.kind), c.inputs != 576)));
    check(graph, kTilesTolerance, c.kind + " " + std::to_string(c.inputs) + " to " + std::to_string(c.outputs), tiles);
  }
}

TEST(Matmul, TilesTakeAlongWhatFollows) {
  std::vector<Target> tiles = tilesTarget();
  if (tiles.empty())
    GTEST_SKIP() << "this processor has no AMX, or the kernel does not let us use it";
  LinearKind f32 = LinearKind::parse("f32");
  auto withInput = [](auto &&build) {
    Graph graph;
    graph.returns(graph.selectRows(build(graph, graph.embedding(kVocabulary, 96))));
    return graph;
  };
  check(withInput([&](Graph &graph, Graph::Value x) {
          return graph.residual(graph.embedding(kVocabulary, 50, ElementFormat::F32, "h"),
                                graph.linear(x, "w", 50, f32));
        }),
        kTilesTolerance, "residual", tiles);
  check(withInput([&](Graph &graph, Graph::Value x) {
          return graph.activation("gelu", graph.linear(x, "w", 41, f32, true));
        }),
        kTilesTolerance, "activation", tiles);
  check(withInput([&](Graph &graph, Graph::Value x) {
          return graph.gatedProduct("silu", graph.linear(x, "gate", 48, f32, true),
                                    graph.linear(x, "up", 48, f32, true));
        }),
        kTilesTolerance, "gated product", tiles);
  // A slice that is read as it lies, and another that is added.
  check(withInput([&](Graph &graph, Graph::Value x) {
          Graph::Value a = graph.linear(x, "a", 48, f32), b = graph.linear(x, "b", 32, f32);
          return graph.residual(a, graph.linear(b, "w", 48, f32));
        }),
        kTilesTolerance, "slices", tiles);
}

//===----------------------------------------------------------------------===//
// With an epilogue
//===----------------------------------------------------------------------===//

TEST(Matmul, TakesTheResidualAlong) {
  for (bool first : {true, false})
    for (const char *kind : {"f32", "w4a8:g32", "w8a16:g32:asym", "w3a8:g32"}) {
      Graph graph;
      Graph::Value x = graph.embedding(kVocabulary, 96), h = graph.embedding(kVocabulary, 50, ElementFormat::F32, "h");
      Graph::Value y = graph.linear(x, "w", 50, LinearKind::parse(kind), first);
      graph.returns(graph.selectRows(first ? graph.residual(h, y) : graph.residual(y, h)));
      check(graph, linearTolerance(LinearKind::parse(kind)), std::string("residual ") + kind);
    }
}

TEST(Matmul, TakesTheActivationAlong) {
  for (const char *activation : {"silu", "gelu", "gelu_tanh", "relu"}) {
    Graph graph;
    Graph::Value x = graph.embedding(kVocabulary, 64);
    Graph::Value y = graph.linear(x, "w", 41, LinearKind::parse("f32"));
    graph.returns(graph.selectRows(graph.activation(activation, y)));
    check(graph, kFloatTolerance, activation);
  }
}

TEST(Matmul, TakesTheGatedProductAlong) {
  for (const char *activation : {"silu", "gelu", "gelu_tanh", "relu"})
    for (const char *kind : {"bf16", "w4a8:g32:asym"}) {
      for (int64_t outputs : {48, 40}) { // 40: two linears and a product of their own
        Graph graph;
        Graph::Value x = graph.embedding(kVocabulary, 64);
        Graph::Value gate = graph.linear(x, "gate", outputs, LinearKind::parse(kind));
        Graph::Value up = graph.linear(x, "up", outputs, LinearKind::parse(kind));
        graph.returns(graph.selectRows(graph.gatedProduct(activation, gate, up)));
        check(graph, kFloatTolerance, std::string(activation) + " " + kind);
      }
      if (std::string(activation) != "silu")
        break;
    }
}

TEST(Matmul, FusedProjectionsAreSlices) {
  for (const char *kind : {"f32", "w4a8:g32", "w3a8:g32", "w8a8s:channel"})
    for (bool bias : {true, false}) {
      Graph graph;
      Graph::Value x = graph.embedding(kVocabulary, 64);
      Graph::Value a = graph.linear(x, "a", 48, LinearKind::parse(kind), bias);
      Graph::Value b = graph.linear(x, "b", 16, LinearKind::parse(kind), bias);
      Graph::Value c = graph.linear(x, "c", 48, LinearKind::parse(kind), bias);
      // The matmul reads one slice as it lies, and adds another.
      Graph::Value y = graph.linear(a, "w", 48, LinearKind::parse("f32"));
      Graph::Value z = graph.linear(b, "v", 48, LinearKind::parse("bf16"));
      graph.returns(graph.selectRows(graph.residual(graph.residual(c, y), z)));
      check(graph, kIntegerTolerance * 10, std::string("slices ") + kind);
    }
}

} // namespace
