// What the hot loops of emitted code consist of, read off the assembly: no processor is needed that runs it.
#include "lib/Compile/Compile.h"
#include "passes/Pipelines/Registration.h"
#include "tests/unit/Kernels/Graph.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

using namespace qopt;
using namespace qopt::kerneltest;

namespace {

std::string assemblyOf(const Graph &graph, const Target &target) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  std::string text = "module {\n  transformer.archive @archive \"none.safetensors\" size 1024 header \"sha256:00\"\n" +
                     graph.text() + "}";
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  CompileOptions options;
  options.targets = {target};
  Result<std::string> assembly = compileToStage(*module, options, Emit::Assembly);
  EXPECT_TRUE(assembly) << assembly.error().format();
  return assembly ? *assembly : std::string();
}

std::string assemblyOf(const Graph &graph, const std::string &target) { return assemblyOf(graph, *findTarget(target)); }

/// A straight run of instructions between labels and jumps.
using Body = std::vector<std::string>;

/// The bodies of the function whose name ends in `suffix`.
std::vector<Body> bodiesOf(const std::string &assembly, const std::string &suffix) {
  std::vector<Body> bodies;
  std::istringstream lines(assembly);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#')
      continue;
    if (line[0] != '\t' && line[0] != ' ') { // a label
      std::string label = line.substr(0, line.find(':'));
      std::erase(label, '"');
      if (label.starts_with("forward") || label.starts_with("qopt_"))
        inside = label.ends_with(suffix);
      bodies.emplace_back();
      continue;
    }
    if (!inside || line.starts_with("\t."))
      continue;
    if (bodies.empty())
      bodies.emplace_back();
    bodies.back().push_back(line);
    bool jump =
        line.starts_with("\tj") || line.starts_with("\tb.") || line.starts_with("\tcb") || line.starts_with("\tb\t");
    if (jump)
      bodies.emplace_back();
  }
  std::erase_if(bodies, [](const Body &body) { return body.empty(); });
  return bodies;
}

int64_t count(const Body &body, const std::string &what) {
  return std::ranges::count_if(body, [&](const std::string &line) { return line.find(what) != std::string::npos; });
}

/// The loop over inputs for one token: of the bodies that multiply, the one that does so least.
Body oneToken(const std::string &assembly, const std::string &suffix, const std::string &instruction) {
  Body best;
  for (const Body &body : bodiesOf(assembly, suffix))
    if (int64_t here = count(body, instruction); here != 0)
      if (best.empty() || here < count(best, instruction))
        best = body;
  return best;
}

Graph linear(const char *kind) {
  Graph graph;
  graph.returns(graph.linear(graph.selectRows(graph.embedding(97, 512)), "w", 64, LinearKind::parse(kind)));
  return graph;
}

int64_t calls(const std::string &assembly, const std::string &name) {
  int64_t found = 0;
  for (size_t at = assembly.find(name); at != std::string::npos; at = assembly.find(name, at + 1))
    ++found;
  return found;
}

TEST(Assembly, W4A8MultipliesWithVnniAndKeepsItsSumsInRegisters) {
  for (const char *target : {"x86-64-v4+vnni", "x86-64-v4+vnni+bf16"}) {
    Body body = oneToken(assemblyOf(linear("w4a8:g64"), target), "matmul", "vpdpbusd");
    ASSERT_FALSE(body.empty()) << target;
    int64_t dots = count(body, "vpdpbusd");
    // Half a load, half a shift, a mask and a dot for each four inputs: the rest must stay small.
    std::printf("%s: %zu instructions for %lld dots\n", target, body.size(), static_cast<long long>(dots));
    EXPECT_GE(dots, 16);
    EXPECT_LE(static_cast<int64_t>(body.size()), 4 * dots + 30);
    EXPECT_EQ(count(body, "(%rsp"), 0) << "a spill in the loop for one token";
    EXPECT_EQ(count(body, "call"), 0);
  }
}

/// Two panels of 12 tokens: an activation is loaded once for two multiplications, and what is summed stays in
/// registers.
TEST(Assembly, PromptsLoadActivationsOnceForTwoPanels) {
  for (auto [kind, product] : {std::pair("w4a8:g64", "vpdpbusd"), {"w8a8:channel", "vpdpbusd"}, {"f32", "vfmadd"}}) {
    bool found = false;
    for (const Body &body : bodiesOf(assemblyOf(linear(kind), "x86-64-v4+vnni+bf16"), "matmul")) {
      int64_t products = count(body, product),
              loads = count(body, "{1to16}") + count(body, "vbroadcastss") + count(body, "vpbroadcastd");
      bool spills = std::ranges::any_of(body, [](const std::string &line) {
        return line.find("(%rsp") != std::string::npos && line.find("zmm") != std::string::npos;
      });
      found |= products >= 24 && products % 24 == 0 && loads * 2 == products && !spills;
    }
    EXPECT_TRUE(found) << kind;
  }
}

/// Codes leave their planes by shifts and masks of whole registers, whatever multiplies them.
TEST(Assembly, NarrowCodesAreUnpackedInRegisters) {
  struct Case {
    const char *kind, *dot;
    int64_t perDot; ///< instructions: shifts, masks, the dot, a share of loads
  };
  for (Case c : {Case{"w3a8:g64", "vpdpbusd", 6},
                 {"w2a8:g64", "vpdpbusd", 4},
                 {"w3a16:g64", "vdpbf16ps", 7},
                 {"w2a16:g64", "vdpbf16ps", 5},
                 {"w5a8:g64", "vpdpbusd", 6},
                 {"w6a8:g64", "vpdpbusd", 6},
                 {"w5a16:g64", "vdpbf16ps", 7},
                 {"w6a16:g64", "vdpbf16ps", 8}}) {
    Body body = oneToken(assemblyOf(linear(c.kind), "x86-64-v4+vnni+bf16"), "matmul", c.dot);
    ASSERT_FALSE(body.empty()) << c.kind;
    int64_t dots = count(body, c.dot);
    std::printf("%s: %zu instructions for %lld dots\n", c.kind, body.size(), static_cast<long long>(dots));
    EXPECT_GE(dots, 16) << c.kind;
    EXPECT_LE(static_cast<int64_t>(body.size()), c.perDot * dots + 30) << c.kind;
    for (const char *word : {"(%rsp", "movzb", "\tshr", "pshuf", "call"})
      EXPECT_EQ(count(body, word), 0) << c.kind << " " << word;
  }
}

TEST(Assembly, W4A16MultipliesPairsOfBf16) {
  Body body = oneToken(assemblyOf(linear("w4a16:g64"), "x86-64-v4+vnni+bf16"), "matmul", "vdpbf16ps");
  ASSERT_FALSE(body.empty());
  EXPECT_EQ(count(body, "(%rsp"), 0);
}

/// Twelve products for eight tiles that are loaded, and none that is put aside.
TEST(Assembly, TilesOfBf16StayInRegisters) {
  Target tiles = withMatrixTiles(*findTarget("x86-64-v4+vnni+bf16"));
  int64_t found = 0;
  for (const Body &body : bodiesOf(assemblyOf(linear("f32"), tiles), "matmul"))
    if (count(body, "tdpbf16ps") != 0) {
      ++found;
      EXPECT_EQ(count(body, "tdpbf16ps"), 12);
      EXPECT_EQ(count(body, "tileloadd"), 8);
      EXPECT_EQ(count(body, "tilestored"), 0);
      EXPECT_EQ(count(body, "vmov"), 0);
    }
  EXPECT_GE(found, 1);
}

/// The maximum and the sum of a vector's lanes: four steps of halves each, not sixteen of lanes one after the other.
TEST(Assembly, AttentionReducesLanesByHalves) {
  ModelKind kind;
  int64_t maxima = 0, vectorMaxima = 0, sums = 0, unordered = 0;
  for (const Body &body : bodiesOf(assemblyOf(makeModel(kind), "x86-64-v4+vnni"), "attention")) {
    maxima += count(body, "vmaxss"), vectorMaxima += count(body, "vmaxps"), sums += count(body, "vaddss");
    unordered += count(body, "vcmpunord");
  }
  ASSERT_GT(maxima, 0);
  EXPECT_GT(vectorMaxima, maxima);
  EXPECT_LE(sums, 2 * maxima); // of each maximum's chunk, and of the running ones
  EXPECT_EQ(unordered, 0);     // a maximum is one instruction
}

/// SSE2 and NEON: multiply-adds of whole registers, no scalar arithmetic on codes.
TEST(Assembly, GenericTargetsWorkOnVectors) {
  for (const char *kind : {"w2a8:g64", "w3a8:g64", "w4a8:g64", "w5a8:g64", "w6a8:g64"}) {
    Body x86 = oneToken(assemblyOf(linear(kind), "generic-x86-64"), "matmul", "pmaddwd");
    ASSERT_FALSE(x86.empty()) << kind;
    EXPECT_EQ(count(x86, "imul"), 0) << kind;
    EXPECT_EQ(count(x86, "movzbl"), 0) << kind;
    EXPECT_EQ(count(x86, "call"), 0) << kind;

    Body arm = oneToken(assemblyOf(linear(kind), "generic-aarch64"), "matmul", "\tmla\tv");
    ASSERT_FALSE(arm.empty()) << kind;
    EXPECT_EQ(count(arm, "\tldrb\t"), 0) << kind;
    EXPECT_EQ(count(arm, "\tmadd\t"), 0) << kind;
    EXPECT_EQ(count(arm, "\tbl\t"), 0) << kind;
  }

  Body floats = oneToken(assemblyOf(linear("f32"), "generic-aarch64"), "matmul", "\tfmla\tv");
  EXPECT_FALSE(floats.empty());
}

/// Exponentials, roundings and conversions are inline; angles' sines and cosines are the C library's, per token.
TEST(Assembly, WholeModelsCallTheLibraryForAnglesOnly) {
  for (const char *target : {"generic-x86-64", "x86-64-v4+vnni", "generic-aarch64"})
    for (const char *scheme : {"w8a16:g32:asym"}) {
      ModelKind kind;
      kind.linears = kind.head = LinearKind::parse(scheme);
      kind.activation = "gelu_tanh";
      std::string assembly = assemblyOf(makeModel(kind), target);
      for (const char *name : {"floorf", "roundevenf", "rintf", "fmaf", "expf", "tanhf", "erff", "fmaxf", "fminf",
                               "__extendhfsf2", "__truncsfhf2", "__truncsfbf2", "__gnu_"})
        EXPECT_EQ(calls(assembly, name), 0) << name << " for " << target << " and " << scheme;
    }
}

} // namespace
