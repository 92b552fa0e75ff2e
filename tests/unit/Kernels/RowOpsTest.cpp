// Ops on one token at a time, and attention, against the reference: their inputs are tables of embeddings, read
// exactly.
#include "tests/unit/Kernels/Harness.h"
#include "tests/unit/Kernels/Tolerances.h"

using namespace qopt;
using namespace qopt::kerneltest;

namespace {

constexpr int64_t kVocabulary = 1031; // at least as many as the widest result has channels: those are "logits"

void check(const Graph &graph, const Feed &feed, double tolerance, const std::string &what) {
  forEachTarget(graph, feed, what, nextTarget(), [&](const Model &compiled, const Logits &expected) {
    expectClose(compiled, feed, expected, tolerance);
  });
}

Feed tokens(int64_t count) { return Feed::single(count, kVocabulary); }

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

TEST(RowOps, RmsNorm) {
  for (auto [width, format] : {std::pair{1, ElementFormat::F32},
                               {7, ElementFormat::BF16},
                               {16, ElementFormat::F16},
                               {31, ElementFormat::F32},
                               {576, ElementFormat::F32}}) {
    Graph graph;
    graph.returns(graph.rmsNorm(graph.selectRows(graph.embedding(kVocabulary, width)), "w", format));
    check(graph, tokens(5), kElementwiseTolerance, "rms norm of " + std::to_string(width));
  }
}

TEST(RowOps, LayerNorm) {
  for (auto [width, bias] : {std::pair{7, true}, {96, false}, {100, true}}) {
    Graph graph;
    graph.returns(graph.selectRows(graph.layerNorm(graph.embedding(kVocabulary, width), "w", bias)));
    check(graph, tokens(5), kElementwiseTolerance, "layer norm of " + std::to_string(width));
  }
}

TEST(RowOps, ActivationsAndProducts) {
  for (const char *kind : {"silu", "gelu", "gelu_tanh", "relu"}) {
    Graph graph;
    Graph::Value x = graph.embedding(kVocabulary, 27), y = graph.embedding(kVocabulary, 27, ElementFormat::F16, "y");
    graph.returns(graph.selectRows(graph.residual(graph.activation(kind, x), graph.gatedProduct(kind, y, x))));
    check(graph, tokens(3), kElementwiseTolerance, kind);
  }
}

TEST(RowOps, ActivationsFarFromZero) {
  // Norm weights and a layer norm spread one channel over many units: exponentials must neither overflow nor vanish.
  for (const char *kind : {"silu", "gelu", "gelu_tanh"}) {
    Graph graph;
    Graph::Value x = graph.layerNorm(graph.embedding(kVocabulary, 1024), "w", false);
    for (int i = 0; i < 5; ++i)
      x = graph.residual(x, x); // up to about ±150
    graph.returns(graph.selectRows(graph.activation(kind, x)));
    check(graph, tokens(3), kElementwiseTolerance, kind);
  }
}

TEST(RowOps, Rotary) {
  for (int64_t dim : {2, 6, 16, 48, 80})
    for (bool scaled : {false, true}) {
      Graph graph;
      Graph::Value x = graph.embedding(kVocabulary, 3 * dim);
      graph.returns(graph.selectRows(graph.rotary(x, dim, scaled)));
      check(graph, tokens(200), kElementwiseTolerance, "rotary of " + std::to_string(dim));
    }
}

TEST(RowOps, EmbeddingsOfEveryFormat) {
  for (const char *kind : {"f32", "f16", "bf16", "w4a8:g32:asym:f32", "w8a16:channel:sym:bf16", "w3a8:g32:asym",
                           "w2a8:channel", "w5a8:g32:asym", "w6a8:channel"}) {
    Graph graph;
    graph.returns(graph.selectRows(graph.embedding(kVocabulary, 96, LinearKind::parse(kind))));
    check(graph, tokens(60), 0.0, kind);
  }
}

TEST(RowOps, TiedEmbeddings) {
  for (const char *kind :
       {"f32", "f16", "bf16", "w4a8:g32:asym", "w8a8g32:g64", "w4a16:g64:asym", "w8a32:g32", "w3a8:g32:asym",
        "w3a16:g64", "w2a8:g32", "w2a16:g64:asym", "w5a16:g64:asym", "w5a8:g32", "w6a16:g64", "w6a8:g32:asym"}) {
    Graph graph;
    Graph::Value x = graph.embedding(kVocabulary, 64, LinearKind::parse(kind));
    graph.returns(graph.linear(graph.selectRows(x), "embed", kVocabulary, LinearKind::parse(kind)));
    check(graph, tokens(20), linearTolerance(LinearKind::parse(kind)), kind);
  }
}

TEST(RowOps, SelectedRowsOfAFew) {
  Graph graph;
  graph.returns(graph.rmsNorm(graph.selectRows(graph.embedding(kVocabulary, 20)), "w"));
  Feed feed = tokens(40);
  feed.steps[0].rows = {0, 7, 8, 39};
  check(graph, feed, kElementwiseTolerance, "four rows");
  feed.steps[0].rows = {};
  check(graph, feed, kElementwiseTolerance, "no rows");
}

TEST(RowOps, SelectedRowsOfASlice) {
  for (bool norm : {false, true}) {
    Graph graph;
    Graph::Value x = graph.embedding(kVocabulary, 48);
    Graph::Value selected = graph.selectRows(graph.slice(graph.slice(x, 4, 40), 7, 20));
    graph.returns(norm ? graph.rmsNorm(selected, "w") : selected);
    Feed feed = tokens(40);
    feed.steps[0].rows = {0, 7, 8, 39};
    check(graph, feed, norm ? kElementwiseTolerance : 0.0, norm ? "the norm of a slice's rows" : "a slice's rows");
  }
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

struct AttentionCase {
  int64_t heads, keyValueHeads, dim;
  ElementFormat format = ElementFormat::F16;
  int64_t window = 0;
};

Graph attentionGraph(const AttentionCase &kind) {
  Graph graph({2, kind.keyValueHeads, kind.dim, kind.format});
  Graph::Value q = graph.embedding(kVocabulary, kind.heads * kind.dim, ElementFormat::F32, "q");
  Graph::Value k = graph.embedding(kVocabulary, kind.keyValueHeads * kind.dim, ElementFormat::F32, "k");
  Graph::Value v = graph.embedding(kVocabulary, kind.keyValueHeads * kind.dim, ElementFormat::F32, "v");
  // Scores of several units: the maximum, the rescaling and the window must matter.
  for (int i = 0; i < 2; ++i)
    q = graph.residual(q, q), k = graph.residual(k, k);
  q = graph.rmsNorm(q, "sharp");
  graph.cacheUpdate(1, k, v);
  graph.returns(graph.selectRows(graph.attention(1, q, kind.window)));
  return graph;
}

void checkAttention(const AttentionCase &kind, const Feed &feed, const std::string &what) {
  check(attentionGraph(kind), feed, kElementwiseTolerance,
        what + ": " + std::to_string(kind.heads) + " heads on " + std::to_string(kind.keyValueHeads) + " of " +
            std::to_string(kind.dim));
}

constexpr int64_t kLengths[] = {70, 33, 1, 32};

TEST(Attention, HeadsAndDimensions) {
  Feed feed = Feed::mixed(kLengths, 0, kVocabulary);
  for (AttentionCase kind : {AttentionCase{9, 3, 64},
                             {1, 1, 16},
                             {4, 4, 32, ElementFormat::F32},
                             {8, 1, 48},
                             {6, 2, 80, ElementFormat::F32},
                             {5, 1, 128},
                             {3, 1, 20},
                             {7, 7, 6, ElementFormat::F32}})
    checkAttention(kind, feed, "whole");
}

TEST(Attention, Windows) {
  Feed feed = Feed::mixed(kLengths, 0, kVocabulary);
  for (int64_t window : {1, 5, 31, 32, 33, 40, 1000})
    checkAttention({4, 2, 16, ElementFormat::F16, window}, feed, "window " + std::to_string(window));
}

TEST(Attention, ChunksAndBatchesGiveTheSameBits) {
  for (AttentionCase kind : {AttentionCase{9, 3, 64}, {4, 1, 48, ElementFormat::F32, 37}}) {
    auto model = TestModel::make(attentionGraph(kind), machine().runnable);
    ASSERT_TRUE(model);
    for (const Target &target : machine().runnable) {
      SCOPED_TRACE(target.name);
      auto compiled = model->open(target.name);
      ASSERT_TRUE(compiled);
      // By sequence and position.
      auto byPlace = [&](const Feed &feed) {
        std::map<std::pair<int32_t, int32_t>, std::vector<float>> places;
        Logits logits = run(*compiled, feed, 2);
        int64_t width = model->outputs();
        for (size_t s = 0; s < feed.steps.size(); ++s)
          for (size_t row = 0; row < feed.steps[s].rows.size(); ++row) {
            int32_t token = feed.steps[s].rows[row];
            auto begin = logits[s].begin() + static_cast<int64_t>(row) * width;
            places[{feed.steps[s].sequences[token], feed.steps[s].positions[token]}] = {begin, begin + width};
          }
        return places;
      };
      auto expected = byPlace(Feed::mixed(kLengths, 0, kVocabulary));
      for (int64_t chunk : {1, 2, 7, 31, 32, 33})
        for (auto &[place, logits] : byPlace(Feed::mixed(kLengths, chunk, kVocabulary)))
          ASSERT_TRUE(sameBits(logits, expected[place]))
              << "chunks of " << chunk << ", sequence " << place.first << ", position " << place.second;
    }
  }
}

} // namespace
