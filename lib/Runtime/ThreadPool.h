#ifndef QOPT_LIB_RUNTIME_THREADPOOL_H
#define QOPT_LIB_RUNTIME_THREADPOOL_H

#include "lib/Support/Error.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <type_traits>
#include <vector>

namespace qopt {

/// How long a wait spins before it sleeps, in microseconds, where every worker has a CPU of its own; where workers
/// outnumber usableCpus() it does not spin at all (docs/decisions/Waiting.md).
inline constexpr int kSpinMicroseconds = 50;

/// The spin time for `workers` threads on this machine now: kSpinMicroseconds, or 0 where they outnumber the usable
/// CPUs.
int spinMicrosecondsFor(int workers);

/// A number that threads wait on until it changes: bounded spinning, then a futex. How long it spins within the bound
/// follows from the waits before: spins that are in vain become shorter, those that meet the change longer.
class WaitWord {
public:
  uint32_t load() const { return value.load(std::memory_order_acquire); }
  /// Sets a new value and wakes all who wait for a change. What was written before is seen by them after.
  void advance();
  /// Returns when the value is not `old`. Spins for at most `mostSpinMicroseconds`.
  void waitWhile(uint32_t old, int mostSpinMicroseconds);

private:
  bool spinWhile(uint32_t old, int microseconds) const;

  std::atomic<uint32_t> value{0};
  std::atomic<uint32_t> sleepers{0};
  std::atomic<int> spinMicroseconds{kSpinMicroseconds}; // what the next wait begins with
};

/// A barrier for a fixed number of workers, used again and again, which also carries a decision to stop: once stop()
/// was called, the barrier that is then completed, and each one after it, answers 1 to all of its workers alike.
class Barrier {
public:
  Barrier(int workers, int spinMicroseconds) : workers(workers), spinMicroseconds(spinMicroseconds) {}

  /// Waits for all workers. What any of them wrote before is seen by all after. 0: go on, 1: stop.
  int32_t wait();
  void stop() { stopRequested.store(true, std::memory_order_relaxed); }
  /// Clears the decision to stop. Only while no worker is in wait().
  void reset() { stopRequested.store(false, std::memory_order_relaxed); }

private:
  const int workers;
  const int spinMicroseconds;
  alignas(64) std::atomic<int> arrived{0};
  std::atomic<bool> stopRequested{false};
  alignas(64) WaitWord generation;
  int32_t answer = 0; // written by the last to arrive, before the generation advances
};

/// Workers that run one function at once (SPMD): ours, or the caller's behind the C ABI.
class WorkerPool {
public:
  using Work = void (*)(void *argument, int worker);

  virtual ~WorkerPool() = default;
  virtual int workers() const = 0;
  /// Calls work(argument, w) for each w in [0, workers()) concurrently, each on a thread that may block in a Barrier,
  /// and returns when all have returned. What the workers wrote is seen after.
  virtual void run(Work work, void *argument) = 0;

  /// The same for a callable void(int worker).
  template <typename Function> void runEach(Function &&function) {
    using Callable = std::remove_reference_t<Function>;
    run([](void *argument, int worker) { (*static_cast<Callable *>(argument))(worker); },
        const_cast<void *>(static_cast<const void *>(&function)));
  }
};

/// Threads of our own. The caller of run() is worker 0, so a pool of n starts n-1 threads; they sleep between runs.
class ThreadPool final : public WorkerPool {
public:
  /// A pool of exactly `workers` (1 to 1024). Resource error where a thread cannot be started; never fewer silently.
  static Result<std::unique_ptr<ThreadPool>> create(int workers);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int workers() const override { return workerCount; }
  /// May be called from several threads; the runs come one after another. Not from inside of a run.
  void run(Work work, void *argument) override;

private:
  explicit ThreadPool(int workers);
  static void *threadMain(void *start);
  void serve(int worker);

  struct Start {
    ThreadPool *pool;
    int worker;
  };

  const int workerCount;
  const int spinMicroseconds;
  std::mutex oneRunAtATime;
  Work currentWork = nullptr; // null: shut down
  void *currentArgument = nullptr;
  alignas(64) WaitWord jobs;
  alignas(64) std::atomic<int> unfinished{0};
  WaitWord finished;
  std::vector<Start> starts;
  std::vector<pthread_t> threads;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_THREADPOOL_H
