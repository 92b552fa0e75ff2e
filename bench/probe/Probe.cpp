// What this machine can do right now, at 1 thread and at N: bytes per second read from memory, int8 dot products, f32
// multiply-adds. Run right before and right after each measurement: on shared or virtual machines these limits move by
// the minute (the bandwidth of two threads by a factor of two), and a figure means something only beside them.
//
//   read      each thread streams a buffer of its own, far larger than the caches, in 2 MiB pages
//   int8_dot  register to register, 512 bits where VNNI has them: one multiply-add counts as 2 operations; absent
//             where the processor lacks VNNI
//   bf16_dot  the same for pairs of bf16 summed in f32; absent where the processor lacks AVX512-BF16
//   f32_fma   the same for f32
//
// Each is the median of several short rounds. One line of JSON. About half a second.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

constexpr size_t kBufferBytes = size_t(256) << 20; // of one thread; eight times the largest last-level cache we met
constexpr int kRounds = 5;
constexpr int kAccumulators = 16; // hides the latency of any multiply-add we know: 4 cycles, 2 a cycle, twice over
constexpr int64_t kDotSteps = 1'000'000;

#if defined(__AVX512F__)
constexpr size_t kRegisterBytes = 64;
#elif defined(__AVX__)
constexpr size_t kRegisterBytes = 32;
#else
constexpr size_t kRegisterBytes = 16;
#endif
using Floats = float __attribute__((vector_size(kRegisterBytes)));
using Words = uint64_t __attribute__((vector_size(kRegisterBytes)));

/// Makes the compiler believe that `value`, in a vector register, is read and changed here.
template <typename T> void keep(T &value) {
#if defined(__AVX512F__)
  asm volatile("" : "+v"(value)); // any of the 32
#elif defined(__x86_64__)
  asm volatile("" : "+x"(value));
#else
  asm volatile("" : "+w"(value));
#endif
}

volatile uint64_t sink;

void readMemory(const std::byte *from) {
  Words sums[8] = {};
  for (size_t at = 0; at < kBufferBytes; at += sizeof sums)
    for (int i = 0; i < 8; ++i) {
      Words line;
      std::memcpy(&line, from + at + sizeof line * static_cast<size_t>(i), sizeof line);
      sums[i] += line;
    }
  for (int i = 1; i < 8; ++i)
    sums[0] += sums[i];
  sink = sums[0][0] + sums[0][1];
}

void multiplyFloats() {
  Floats sums[kAccumulators] = {}, x = {}, y = {};
  keep(x);
  keep(y);
  for (int64_t step = 0; step < kDotSteps; ++step)
#pragma clang loop unroll(full)
    for (int i = 0; i < kAccumulators; ++i) {
      sums[i] = x * y + sums[i];
      keep(sums[i]);
    }
}
constexpr double kFloatOperations = 2.0 * (kRegisterBytes / sizeof(float)) * kAccumulators * kDotSteps;

#if defined(__AVX512VNNI__)
void multiplyBytes() {
  __m512i sums[kAccumulators] = {}, x = _mm512_set1_epi8(1), y = x;
  keep(x);
  keep(y);
  for (int64_t step = 0; step < kDotSteps; ++step)
#pragma clang loop unroll(full)
    for (int i = 0; i < kAccumulators; ++i) {
      sums[i] = _mm512_dpbusd_epi32(sums[i], x, y);
      keep(sums[i]);
    }
}
constexpr double kByteOperations = 2.0 * 64 * kAccumulators * kDotSteps;
#endif

#if defined(__AVX512BF16__)
void multiplyBrainFloats() {
  __m512 sums[kAccumulators] = {};
  __m512bh x = {}, y = {};
  keep(x);
  keep(y);
  for (int64_t step = 0; step < kDotSteps; ++step)
#pragma clang loop unroll(full)
    for (int i = 0; i < kAccumulators; ++i) {
      sums[i] = _mm512_dpbf16_ps(sums[i], x, y);
      keep(sums[i]);
    }
}
constexpr double kBrainFloatOperations = 2.0 * 32 * kAccumulators * kDotSteps;
#endif

/// Seconds that `work(thread)` takes on `threads` threads, all begun together, from the first to
/// start to the last to end: the median of the rounds.
double medianSeconds(int threads, const std::function<void(int)> &work, int rounds = kRounds) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Clock::time_point> starts(threads), ends(threads);
    std::atomic<int> waiting{threads};
    auto body = [&](int thread) {
      if (waiting.fetch_sub(1) == 1)
        waiting = -1;
      while (waiting.load() >= 0)
        ; // a sleeping thread would begin late
      starts[thread] = Clock::now();
      work(thread);
      ends[thread] = Clock::now();
    };
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; ++thread)
      others.emplace_back(body, thread);
    body(0);
    for (std::thread &other : others)
      other.join();
    seconds.push_back(std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) -
                                                    *std::min_element(starts.begin(), starts.end()))
                          .count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[rounds / 2];
}

std::string field(const char *name, const std::vector<int> &counts, double amount,
                  const std::function<void(int)> &work) {
  std::string text = std::string("\"") + name + "\":{";
  for (size_t i = 0; i < counts.size(); ++i)
    text += (i ? ",\"" : "\"") + std::to_string(counts[i]) +
            "\":" + std::to_string(amount * counts[i] / medianSeconds(counts[i], work) * 1e-9);
  return text + "}";
}

} // namespace

int main(int argc, char **argv) {
  int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  if (threads < 1 || threads > 256) {
    std::fprintf(stderr, "usage: %s [THREADS]\nMeasures at 1 thread and at THREADS (default 2).\n", argv[0]);
    return 1;
  }
  size_t bytes = kBufferBytes * static_cast<size_t>(threads);
  void *mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    std::perror("no memory for the probe");
    return 3;
  }
  madvise(mapped, bytes, MADV_HUGEPAGE);
  auto *buffer = static_cast<std::byte *>(mapped);
  std::vector<int> counts{1};
  if (threads > 1)
    counts.push_back(threads);
  medianSeconds(
      threads,
      [&](int thread) { // written by who reads it, so that pages lie near
        std::memset(buffer + kBufferBytes * static_cast<size_t>(thread), 1, kBufferBytes);
      },
      1);
  std::string line = "{" + field("read_gb_s", counts, static_cast<double>(kBufferBytes),
                                 [&](int thread) { readMemory(buffer + kBufferBytes * static_cast<size_t>(thread)); });
#if defined(__AVX512VNNI__)
  line += "," + field("int8_dot_gops", counts, kByteOperations, [](int) { multiplyBytes(); });
#endif
#if defined(__AVX512BF16__)
  line += "," + field("bf16_dot_gflops", counts, kBrainFloatOperations, [](int) { multiplyBrainFloats(); });
#endif
  line += "," + field("f32_fma_gflops", counts, kFloatOperations, [](int) { multiplyFloats(); });
  std::printf("%s}\n", line.c_str());
  return 0;
}
