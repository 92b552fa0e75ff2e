// barrier-stress WORKERS STEPS: what a compiled forward asks of the runtime's threads, as often as can be.
//
// Each step, workers claim the parts of an array from a counter, as emitted code does, and write them; after the
// barrier each reads parts that others wrote. The arrays are plain memory: if the barrier does not order them, a
// processor with a weak memory model (and ThreadSanitizer) shows it, which x86 cannot. A third of the runs is one step
// long, so that starting and ending a run is stressed as well; a worker that is late now and then makes the others
// sleep; the last run of each round is stopped halfway. A watchdog ends the program with the step that hangs.
//
// Exit code 0: all was as expected; 4: a value was wrong; 5: it hung.
#include "lib/Runtime/ThreadPool.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <vector>

using namespace qopt;

namespace {

constexpr int kParts = 64, kStepsPerRun = 50, kSecondsWithoutProgress = 60;

struct Stress {
  explicit Stress(int workers, int spin) : workers(workers), barrier(workers, spin) {}

  /// Step `step` (from 1) of one worker. False where the barrier said stop.
  bool step(int worker, int64_t step, std::atomic<int64_t> &claims) {
    for (int64_t part = claims.fetch_add(1, std::memory_order_acq_rel); part < kParts;
         part = claims.fetch_add(1, std::memory_order_acq_rel))
      parts[part] = step * kParts + part;
    if (step % 97 == worker) // late: the others have gone to sleep by then
      usleep(200);
    if (barrier.wait() != 0)
      return false;
    for (int part = 0; part < kParts; ++part)
      if (parts[part] != step * kParts + part)
        wrong.fetch_add(1, std::memory_order_relaxed);
    if (worker == 0)
      progress.store(step, std::memory_order_relaxed);
    return barrier.wait() == 0; // nobody writes before all have read
  }

  const int workers;
  Barrier barrier;
  int64_t parts[kParts] = {};
  std::atomic<int64_t> wrong{0}, progress{0};
};

} // namespace

int main(int argc, char **argv) {
  int workers = argc == 3 ? std::atoi(argv[1]) : 0;
  int64_t steps = argc == 3 ? std::atoll(argv[2]) : 0;
  if (workers < 1 || steps < 1) {
    std::fputs("usage: barrier-stress WORKERS STEPS\n", stderr);
    return 1;
  }
  auto pool = ThreadPool::create(workers);
  if (!pool) {
    std::fputs(pool.error().format().c_str(), stderr);
    return static_cast<int>(pool.error().errorClass);
  }
  int64_t wrong = 0;
  for (int spin : {0, 2, kSpinMicroseconds}) {
    Stress stress(workers, spin);
    std::atomic<bool> finished{false};
    std::thread watchdog([&] {
      for (int64_t last = -1, still = 0; !finished.load(); sleep(1)) {
        int64_t now = stress.progress.load();
        still = now == last ? still + 1 : 0, last = now;
        if (still > kSecondsWithoutProgress) {
          std::fprintf(stderr, "no progress for %d s after step %lld of %lld, %d workers, spinning at most %d us\n",
                       kSecondsWithoutProgress, static_cast<long long>(now), static_cast<long long>(steps), workers,
                       spin);
          std::_Exit(5);
        }
      }
    });
    int64_t step = 0;
    for (int64_t run = 0; step < steps; ++run) {
      int64_t count = run % 3 == 0 ? 1 : kStepsPerRun;
      std::vector<std::atomic<int64_t>> claims(static_cast<size_t>(count));
      (*pool)->runEach([&](int worker) {
        for (int64_t i = 0; i < count; ++i)
          stress.step(worker, step + i + 1, claims[static_cast<size_t>(i)]);
      });
      step += count;
    }
    // Stopped by one of them: all leave at the same barrier.
    for (int round = 0; round < 100; ++round) {
      stress.barrier.reset();
      std::vector<int> left(static_cast<size_t>(workers), -1);
      (*pool)->runEach([&](int worker) {
        for (int at = 0; at < 10; ++at) {
          if (worker == round % workers && at == round % 7)
            stress.barrier.stop();
          if (stress.barrier.wait() != 0) {
            left[static_cast<size_t>(worker)] = at;
            return;
          }
        }
      });
      for (int at : left)
        wrong += at != round % 7;
    }
    finished.store(true);
    watchdog.join();
    wrong += stress.wrong.load();
  }
  std::printf("%d workers, %lld steps at each of three spins: %lld wrong\n", workers, static_cast<long long>(steps),
              static_cast<long long>(wrong));
  return wrong == 0 ? 0 : 4;
}
