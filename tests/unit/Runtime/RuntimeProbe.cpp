//===-- RuntimeProbe.cpp - The measurements behind the runtime's decisions
//-------------------------------------------===//
//
//   runtime-probe make FILE MEGABYTES            an artifact of that many MB of random weights
//   runtime-probe settle FILE                    reads it into huge pages of the page cache
//   runtime-probe open FILE auto|mapped|huge N   opens it with N threads, then streams the weights as decoding does
//   runtime-probe barrier N                      N workers: one barrier's cost, with and without spinning
//
// docs/decisions/WeightPlacement.md and Waiting.md hold what it printed. Not a test: nothing here can fail.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Artifact/ArtifactWriter.h"
#include "lib/Artifact/PageCache.h"
#include "lib/Runtime/Model.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

using namespace qopt;
using Clock = std::chrono::steady_clock;

static double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

static int fail(const Error &error) {
  std::fputs(error.format().c_str(), stderr);
  return static_cast<int>(error.errorClass);
}

static int make(const std::string &path, uint64_t megabytes) {
  ArtifactDescription description;
  description.manifest.model = {"probe", "none", 1, 1, 0, 1};
  description.manifest.cache = {32, 64, "none"};
  description.manifest.targets = {{"any", hostCpu().architecture, {}, ""}};
  description.ledger = description.generation = description.tokenizer = "{}";
  std::ifstream file(QOPT_FAKE_MODEL, std::ios::binary);
  std::string code((std::istreambuf_iterator<char>(file)), {});
  std::span<const std::byte> image = std::as_bytes(std::span(code));
  description.code = {{image.begin(), image.end()}};
  description.weights = {{"all", megabytes << 20}};
  auto writer = ArtifactWriter::create(path, description);
  if (!writer)
    return fail(writer.error());
  std::mt19937_64 random(1);
  std::vector<uint64_t> piece((1 << 20) / sizeof(uint64_t));
  for (uint64_t i = 0; i < megabytes; ++i) {
    std::generate(piece.begin(), piece.end(), random);
    if (Status status = (*writer)->append(std::as_bytes(std::span(piece))); !status)
      return fail(status.error());
  }
  Status finished = (*writer)->finish();
  return finished ? 0 : fail(finished.error());
}

static long peakMegabytes() {
  std::ifstream file("/proc/self/status");
  long kilobytes = 0;
  for (std::string line; std::getline(file, line);)
    std::sscanf(line.c_str(), "VmHWM: %ld kB", &kilobytes);
  return kilobytes / 1024;
}

static int open(const std::string &path, const std::string &placement, int threads) {
  auto pool = ThreadPool::create(threads);
  if (!pool)
    return fail(pool.error());
  Clock::time_point start = Clock::now();
  auto model = Model::open(path, {.weights = placement == "mapped" ? WeightPlacement::Mapped
                                             : placement == "huge" ? WeightPlacement::HugePages
                                                                   : WeightPlacement::Auto,
                                  .threads = threads});
  double ready = millisecondsSince(start);
  if (!model)
    return fail(model.error());
  // Each worker reads a contiguous part, as decoding does.
  std::span<const std::byte> weights((*model)->weights(), (*model)->file().weights().size());
  using Vector [[gnu::vector_size(64), gnu::aligned(1)]] = uint64_t;
  std::vector<double> rates;
  std::atomic<uint64_t> keep{0};
  for (int pass = 0; pass < 9; ++pass) {
    start = Clock::now();
    (*pool)->runEach([&](int worker) {
      size_t first = weights.size() / threads * worker, end = first + weights.size() / threads;
      Vector sums[4] = {};
      for (size_t at = first; at + 256 <= end; at += 256)
        for (int i = 0; i < 4; ++i)
          sums[i] += *reinterpret_cast<const Vector *>(weights.data() + at + 64 * i);
      Vector sum = sums[0] + sums[1] + sums[2] + sums[3];
      keep += sum[0] + sum[7];
    });
    rates.push_back(static_cast<double>(weights.size()) / 1e6 / millisecondsSince(start));
  }
  std::sort(rates.begin(), rates.end());
  std::printf("%-6s -> %-6s  %d threads  ready %6.1f ms  peak %ld MB  stream %.1f GB/s (median of 9)\n",
              placement.c_str(), (*model)->weightPlacement() == WeightPlacement::Mapped ? "mapped" : "huge", threads,
              ready, peakMegabytes(), rates[rates.size() / 2]);
  return keep == 1 ? 1 : 0;
}

/// Microseconds per barrier where each worker does `work` additions in between.
static double barrierCost(ThreadPool &pool, int spin, int work) {
  Barrier barrier(pool.workers(), spin);
  constexpr int kSteps = 3000;
  Clock::time_point start = Clock::now();
  pool.runEach([&](int worker) {
    for (int step = 0; step < kSteps; ++step) {
      for (volatile int i = 0; i < work;)
        i = i + 1;
      barrier.wait();
    }
  });
  return millisecondsSince(start) * 1000 / kSteps;
}

static int barrier(int workers) {
  auto pool = ThreadPool::create(workers);
  if (!pool)
    return fail(pool.error());
  for (int spin : {0, 10, 50, 200, 2000})
    std::printf("%d workers, spin at most %4d us: %8.2f us per barrier, %8.2f us with about 20 us of work\n", workers,
                spin, barrierCost(**pool, spin, 0), barrierCost(**pool, spin, 15000));
  std::printf("chosen for %d workers here: %d us\n", workers, spinMicrosecondsFor(workers));
  return 0;
}

int main(int argc, char **argv) {
  std::string what = argc > 1 ? argv[1] : "";
  if (what == "make" && argc == 4)
    return make(argv[2], std::strtoull(argv[3], nullptr, 10));
  if (what == "settle" && argc == 3) {
    Clock::time_point start = Clock::now();
    readIntoHugePages(argv[2]);
    std::printf("settled in %.1f ms\n", millisecondsSince(start));
    return 0;
  }
  if (what == "open" && argc == 5)
    return open(argv[2], argv[3], std::atoi(argv[4]));
  if (what == "barrier" && argc == 3)
    return barrier(std::atoi(argv[2]));
  std::fputs(
      "usage: runtime-probe make FILE MEGABYTES | settle FILE | open FILE auto|mapped|huge THREADS | barrier WORKERS\n",
      stderr);
  return 1;
}
