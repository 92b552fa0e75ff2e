// Compiles a graph, runs what came out, and evaluates the same graph with the reference.
//
// Compiled code is called through its ABI, in memory that is hostile: the arena, the cache, the logits and the counters
// lie between guards, and all of them but the counters are NaN before the first call. What a kernel reads without
// having written it shows in the result; what it writes beyond its buffers shows in the guards.
#ifndef QOPT_TESTS_UNIT_KERNELS_HARNESS_H
#define QOPT_TESTS_UNIT_KERNELS_HARNESS_H

#include "lib/Codegen/Target.h"
#include "lib/Runtime/Model.h"
#include "tests/unit/Kernels/Graph.h"

#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <span>

namespace qopt::kerneltest {

/// A folder that is gone at the end of the test.
class Folder {
public:
  Folder();
  ~Folder();
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  std::string file(const std::string &name) const { return (path / name).string(); }
  std::string name() const { return path.string(); }

private:
  std::filesystem::path path;
};

/// One call of forward: tokens of several sequences, and the rows whose logits are wanted.
struct Step {
  std::vector<int32_t> tokens, positions, sequences, rows;
};

/// Calls in their order, on one cache.
struct Feed {
  std::vector<Step> steps;
  int64_t sequences = 1, pagesPerSequence = 1;

  /// `count` tokens of one sequence at once, logits of all of them.
  static Feed single(int64_t count, int64_t vocabulary);
  /// Sequences of these lengths, fed in chunks of up to `chunk` tokens each (0: whole) with their tokens mixed; logits
  /// of all of them, or of each chunk's last.
  static Feed mixed(std::span<const int64_t> lengths, int64_t chunk, int64_t vocabulary, bool allRows = true);
  /// Block tables [sequences, pagesPerSequence]: pages in shuffled order.
  std::vector<int32_t> tables() const;
  int64_t pages() const { return sequences * pagesPerSequence + 1; }
};

/// Logits of each step, [rows, vocabulary].
using Logits = std::vector<std::vector<float>>;

/// Targets that this machine runs, and the names of those of its architecture that it does not.
struct Machine {
  std::vector<Target> runnable;
  std::vector<std::string> skipped;
};
const Machine &machine();
/// All runnable targets, or for quick tests one of them, in turns: code generation is what tests wait for.
std::span<const Target> everyTarget();
std::span<const Target> nextTarget();

class TestModel {
public:
  /// Makes up the parameters, writes them to an archive and compiles. On failure the diagnostics have been reported to
  /// GoogleTest and the result is null.
  static std::unique_ptr<TestModel> make(const Graph &graph, std::span<const Target> targets, uint64_t seed = 1);
  ~TestModel();

  std::string artifact() const { return folder.file("model.qopt"); }
  const std::string &moduleText() const { return text; }
  int64_t outputs() const { return graph.outputs(); }
  int64_t tokens() const { return graph.tokens(); }
  std::shared_ptr<const Model> open(const std::string &target) const;
  /// What the reference says; empty if it failed (reported).
  Logits reference(const Feed &feed) const;
  /// The same of the final hidden states, [rows, hidden].
  Logits referenceHiddenStates(const Feed &feed) const;

private:
  explicit TestModel(const Graph &graph, uint64_t seed) : graph(graph), seed(seed) {}
  bool writeArchive();
  Logits evaluate(const Feed &feed, bool hiddenStates) const;

  Folder folder;
  Graph graph;
  uint64_t seed;
  std::string text;
};

/// Runs compiled code in hostile memory.
Logits run(const Model &model, const Feed &feed, int workers = 1);

/// The greatest difference relative to the largest magnitude of what is expected; infinite where one is not finite.
double difference(const Logits &got, const Logits &expected);

/// The same bits.
bool sameBits(std::span<const float> a, std::span<const float> b);

/// Compiles `graph` for `targets` and hands what came out for each to `compare`, with the reference's logits of `feed`.
/// What fails in there is reported under `what` and the target's name.
void forEachTarget(const Graph &graph, const Feed &feed, const std::string &what, std::span<const Target> targets,
                   const std::function<void(const Model &compiled, const Logits &expected)> &compare);

/// Expects logits within `tolerance`, and of three workers those of one, bit for bit. Returns the logits of one.
Logits expectClose(const Model &compiled, const Feed &feed, const Logits &expected, double tolerance);

} // namespace qopt::kerneltest

#endif // QOPT_TESTS_UNIT_KERNELS_HARNESS_H
