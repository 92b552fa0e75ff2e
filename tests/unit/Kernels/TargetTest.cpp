// Several targets in one artifact: which one runs, and what happens where none can.
#include "tests/unit/Kernels/Harness.h"
#include "tests/unit/Kernels/Tolerances.h"

#include <array>
#include <cstdio>

using namespace qopt;
using namespace qopt::kerneltest;

namespace {

ModelKind tiny(const char *scheme) {
  ModelKind kind;
  kind.linears = kind.head = LinearKind::parse(scheme);
  return kind;
}

TEST(Targets, TheBestRunsUnlessAnotherIsNamed) {
  if (machine().runnable.size() < 2)
    GTEST_SKIP() << "this machine runs one target only";
  auto model = TestModel::make(makeModel(tiny("w4a8:g32")), machine().runnable);
  ASSERT_TRUE(model);
  auto best = model->open("");
  ASSERT_TRUE(best);
  EXPECT_EQ(best->target().name, machine().runnable.front().name);
  Feed feed = Feed::single(9, 50);
  Logits expected = model->reference(feed);
  for (const Target &target : machine().runnable) {
    auto forced = model->open(target.name);
    ASSERT_TRUE(forced);
    EXPECT_EQ(forced->target().name, target.name);
    EXPECT_LE(difference(run(*forced, feed), expected), kI8ModelTolerance);
  }
  auto missing = Model::open(model->artifact(), {.target = "generic-aarch64"});
  ASSERT_FALSE(missing);
}

/// Runs a command; its exit status and what it printed.
std::pair<int, std::string> shell(const std::string &command) {
  std::string output;
  std::FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), got);
  int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

bool present(const char *program) { return shell(std::string("command -v ") + program).first == 0; }

/// "target, tokens, logits" of qopt-logits; empty if it failed.
std::vector<float> logitsOf(const std::string &output, const std::string &target) {
  size_t at = output.find(target + "\n");
  if (at == std::string::npos)
    return {};
  at = output.find('\n', output.find('\n', at) + 1) + 1;
  std::vector<float> logits;
  for (const char *c = output.c_str() + at; *c != 0;) {
    char *end = nullptr;
    float value = std::strtof(c, &end);
    if (end == c)
      break;
    logits.push_back(value);
    c = end + 1;
  }
  return logits;
}

#if defined(__x86_64__)
TEST(Targets, AnOldProcessorTakesTheGenericCodeOrRefuses) {
  if (!present("qemu-x86_64"))
    GTEST_SKIP() << "qemu-x86_64 is not installed";
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer's shadow takes more memory than qemu can give";
#endif
  std::vector<Target> both{*findTarget("x86-64-v4+vnni"), *findTarget("generic-x86-64")}, one{both.front()};
  auto withGeneric = TestModel::make(makeModel(tiny("w4a8:g32")), both);
  auto without = TestModel::make(makeModel(tiny("w4a8:g32")), one);
  ASSERT_TRUE(withGeneric && without);
  std::string arguments = " auto 1 1 3 1 4 1 5 9 2 6";
  for (const char *cpu : {"Nehalem", "max"}) {
    SCOPED_TRACE(cpu);
    std::string emulator = std::string("qemu-x86_64 -cpu ") + cpu + " " QOPT_LOGITS " ";
    auto [status, output] = shell(emulator + withGeneric->artifact() + arguments);
    EXPECT_EQ(status, 0) << output;
    // The same code gives the same bits on any processor.
    auto native = shell(QOPT_LOGITS " " + withGeneric->artifact() + " generic-x86-64 1 1 3 1 4 1 5 9 2 6");
    EXPECT_EQ(native.first, 0) << native.second;
    std::vector<float> logits = logitsOf(output, "generic-x86-64");
    ASSERT_EQ(logits.size(), 50u) << output;
    EXPECT_TRUE(sameBits(logits, logitsOf(native.second, "generic-x86-64")));

    auto [refused, message] = shell(emulator + without->artifact() + arguments);
    EXPECT_NE(refused, 0);
    EXPECT_NE(refused, -1) << "killed by a signal: code ran";
    EXPECT_NE(message.find("avx512f"), std::string::npos) << message;
  }
}
#endif

/// The runtime and `qopt-logits` cross-built, under the emulator: QOPT_AARCH64_LOGITS is the command.
TEST(Targets, Aarch64UnderEmulation) {
  if (std::string(QOPT_AARCH64_LOGITS).empty())
    GTEST_SKIP() << "qemu-aarch64 or the cross libraries are missing (cmake/Aarch64Tests.cmake)";
  for (const char *scheme :
       {"f32", "w4a8:g32:asym", "w4a16:g32", "w8a8:g32", "w3a8:g32", "w2a16:g32:asym", "w5a16:g32", "w6a8:g32:asym"}) {
    SCOPED_TRACE(scheme);
    std::vector<Target> target{*findTarget("generic-aarch64")};
    auto model = TestModel::make(makeModel(tiny(scheme)), target);
    ASSERT_TRUE(model);
    Feed feed;
    feed.steps.push_back({{3, 1, 4, 1, 5, 9, 2, 6}, {0, 1, 2, 3, 4, 5, 6, 7}, std::vector<int32_t>(8, 0), {7}});
    Logits expected = model->reference(feed);
    std::vector<float> first;
    for (const char *threads : {"1", "2", "4"}) {
      SCOPED_TRACE(threads);
      auto [status, output] = shell("timeout -s KILL 60 " QOPT_AARCH64_LOGITS " " + model->artifact() + " auto " +
                                    threads + " 1 3 1 4 1 5 9 2 6");
      ASSERT_EQ(status, 0) << output;
      std::vector<float> logits = logitsOf(output, "generic-aarch64");
      EXPECT_LE(difference({logits}, expected), kI8ModelTolerance) << output;
      if (first.empty())
        first = logits;
      EXPECT_TRUE(sameBits(logits, first)) << "other bits than with one thread";
    }
  }
}

} // namespace
