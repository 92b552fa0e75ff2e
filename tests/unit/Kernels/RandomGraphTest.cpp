// Graphs that nobody would write: random row ops, linears, slices, attention and carried values in blocks that repeat,
// compiled and compared with the reference. What outlining, fusion and the placing of buffers take for granted of each
// other shows here first.
//
// The same graphs on every machine; --gtest_random_seed=N draws others.
#include "tests/unit/Kernels/Harness.h"
#include "tests/unit/Kernels/Tolerances.h"

#include <random>

using namespace qopt;
using namespace qopt::kerneltest;

namespace {

constexpr int64_t kGraphs = 16, kWidth = 32, kVocabulary = 50, kMostAttentions = 6, kHead = 16;

class RandomGraph {
public:
  explicit RandomGraph(uint32_t seed) : random(seed), graph({.layers = kMostAttentions, .heads = 1, .dim = kHead}) {}

  Graph make() {
    Graph::Value base = graph.embedding(kVocabulary, kWidth);
    bool wantedRows = chance(6);
    if (wantedRows)
      base = graph.selectRows(base);
    draw(wantedRows);
    carried.clear();
    for (size_t i = 0; i < successors.size(); ++i)
      carried.push_back(i == 0 && chance(2) ? base : graph.rmsNorm(base, "first" + std::to_string(i)));
    std::vector<Graph::Value> shared;
    if (chance(2))
      shared.push_back(graph.activation("silu", base));
    for (int64_t block = 0, blocks = below(2) + 2; block < blocks; ++block)
      addBlock("b" + std::to_string(block) + ".", shared);
    Graph::Value sum = carried[0];
    for (size_t i = 1; i < carried.size(); ++i)
      sum = graph.residual(sum, carried[i]);
    sum = graph.rmsNorm(sum, "last");
    graph.returns(graph.linear(wantedRows ? sum : graph.selectRows(sum), "head", kVocabulary, plain));
    return graph;
  }

private:
  enum class Kind { Norm, Activation, Residual, GatedProduct, Linear, Quantized, OfSlice, Rotary, Attention, Last };
  /// An op of a block: all blocks have the same. Operands are numbers in [0, 1) of what is known by then.
  struct Op {
    Kind kind;
    double first, second;
  };
  struct Successor {
    double update;
    int64_t how;
    bool replacesCarried;
    double replaced;
  };

  int64_t below(int64_t end) { return std::uniform_int_distribution<int64_t>(0, end - 1)(random); }
  bool chance(int64_t oneIn) { return below(oneIn) == 0; }
  double part() { return std::uniform_real_distribution<double>(0, 1)(random); }

  void draw(bool wantedRows) {
    // Positions and caches are of tokens, not of wanted rows.
    int64_t kinds = static_cast<int64_t>(wantedRows ? Kind::Rotary : Kind::Last);
    for (int64_t i = 0, count = 3 + below(6); i < count; ++i)
      ops.push_back({static_cast<Kind>(below(kinds)), part(), part()});
    for (int64_t i = 0, count = 1 + below(3); i < count; ++i)
      successors.push_back({part(), below(3), !chance(4), part()});
  }

  void addBlock(const std::string &prefix, const std::vector<Graph::Value> &shared) {
    std::vector<Graph::Value> known = carried;
    known.insert(known.end(), shared.begin(), shared.end());
    size_t before = known.size();
    auto at = [&](double where) { return known[static_cast<size_t>(where * static_cast<double>(known.size()))]; };
    for (size_t i = 0; i < ops.size(); ++i)
      if (ops[i].kind != Kind::Attention || attentions < kMostAttentions)
        known.push_back(apply(ops[i].kind, at(ops[i].first), at(ops[i].second), prefix + std::to_string(i)));
    std::vector<Graph::Value> next;
    for (size_t i = 0; i < successors.size(); ++i) {
      const Successor &successor = successors[i];
      std::string name = prefix + "next" + std::to_string(i);
      Graph::Value replaced = successor.replacesCarried ? carried[i] : at(successor.replaced);
      Graph::Value update = at(successor.update);
      if (successor.how == 0)
        next.push_back(graph.residual(replaced, update));
      else if (successor.how == 1)
        next.push_back(graph.rmsNorm(graph.residual(replaced, update), name));
      else
        next.push_back(graph.residual(update, graph.linear(replaced, name, kWidth, plain)));
    }
    // All that the block has made counts.
    for (size_t i = before; i < known.size(); ++i)
      next.back() = graph.residual(next.back(), known[i]);
    carried = next;
  }

  Graph::Value apply(Kind kind, Graph::Value x, Graph::Value y, const std::string &name) {
    switch (kind) {
    case Kind::Norm:
      return graph.rmsNorm(x, name);
    case Kind::Activation:
      return graph.activation("silu", x);
    case Kind::Residual:
      return graph.residual(x, y);
    case Kind::GatedProduct:
      return graph.gatedProduct("silu", x, y);
    case Kind::Linear:
      return graph.linear(x, name, kWidth, plain);
    case Kind::Quantized:
      return graph.linear(x, name, kWidth, LinearKind::parse("w6a32:g32:asym"));
    case Kind::OfSlice:
      return graph.linear(graph.slice(x, 8, 16), name, kWidth, plain);
    case Kind::Rotary:
      return graph.rotary(x, kHead);
    case Kind::Attention:
    case Kind::Last:
      break;
    }
    int64_t layer = attentions++;
    graph.cacheUpdate(layer, graph.slice(x, 0, kHead), graph.slice(y, kHead, kHead));
    return graph.attention(layer, x);
  }

  std::mt19937 random;
  Graph graph;
  LinearKind plain = LinearKind::parse("f32");
  std::vector<Op> ops;
  std::vector<Successor> successors;
  std::vector<Graph::Value> carried;
  int64_t attentions = 0;
};

TEST(RandomGraphs, GiveWhatTheReferenceGives) {
  constexpr int64_t lengths[] = {19, 5};
  Feed feed = Feed::mixed(lengths, 7, kVocabulary, /*allRows=*/false);
  for (uint32_t i = 0; i < kGraphs && !HasFailure(); ++i) {
    uint32_t seed = static_cast<uint32_t>(GTEST_FLAG_GET(random_seed)) * kGraphs + i;
    forEachTarget(RandomGraph(seed).make(), feed, "graph " + std::to_string(seed), nextTarget(),
                  [&](const Model &compiled, const Logits &expected) {
                    EXPECT_LE(difference(run(compiled, feed, 2), expected), kRandomGraphTolerance);
                  });
  }
}

} // namespace
