//===-- ThreadPool.cpp - SPMD workers and the barrier between dependent steps
//----------------------------------------===//
//
// A compiled forward passes some hundred barriers per token, each a few tens of microseconds of work apart. A sleeping
// partner costs a system call and a scheduler's delay, a spinning one costs its CPU. So a wait spins for about as long
// as the work between two barriers takes, then sleeps; and where workers outnumber CPUs it sleeps at once, since the
// one waited for may need this very CPU.
//
// The sleep follows the pattern of Drepper, "Futexes are tricky": the sleeper counts itself before it asks the kernel
// to compare the value; the waker changes the value before it reads the count. Both are sequentially consistent, so
// either the waker sees the sleeper or the kernel sees the new value.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/ThreadPool.h"

#include "lib/Runtime/UsableCpus.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstring>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace qopt {

static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free, "a futex is 4 bytes");

int spinMicrosecondsFor(int workers) { return workers > usableCpus() ? 0 : kSpinMicroseconds; }

/// The least that a shortened spin lasts: what a wait costs that is over almost at once.
static constexpr int kLeastSpinMicroseconds = 2;

static void pauseCpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory"); // "yield" is a no-op on most cores; isb waits some tens of cycles
#endif
}

void WaitWord::advance() {
  value.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) != 0)
    syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// True if the value changed within `microseconds`.
bool WaitWord::spinWhile(uint32_t old, int microseconds) const {
  auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds);
  do {
    for (int i = 0; i < 32; ++i) {
      pauseCpu();
      if (load() != old)
        return true;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

void WaitWord::waitWhile(uint32_t old, int mostSpinMicroseconds) {
  if (load() != old)
    return;
  if (mostSpinMicroseconds > 0) {
    // Values are counted up, so this is each 32nd wait: it spins in full, to notice that spinning pays again.
    bool probe = old % 32 == 0;
    int now = std::min(spinMicroseconds.load(std::memory_order_relaxed), mostSpinMicroseconds);
    bool met = spinWhile(old, probe ? mostSpinMicroseconds : now);
    int next = met ? (probe ? mostSpinMicroseconds : std::min(2 * now, mostSpinMicroseconds))
                   : std::max(now / 2, kLeastSpinMicroseconds);
    if (next != now)
      spinMicroseconds.store(next, std::memory_order_relaxed);
    if (met)
      return;
  }
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (value.load(std::memory_order_seq_cst) == old)
    syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, old, nullptr, nullptr, 0);
  sleepers.fetch_sub(1, std::memory_order_relaxed);
}

int32_t Barrier::wait() {
  uint32_t current = generation.load();
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == workers) {
    // The last one: the others cannot leave before the generation advances, nor arrive again before they left.
    answer = stopRequested.load(std::memory_order_relaxed) ? 1 : 0;
    arrived.store(0, std::memory_order_relaxed);
    generation.advance();
  } else {
    generation.waitWhile(current, spinMicroseconds);
  }
  return answer;
}

ThreadPool::ThreadPool(int workers) : workerCount(workers), spinMicroseconds(spinMicrosecondsFor(workers)) {}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int workers) {
  if (workers < 1 || workers > 1024)
    return usageError("expected 1 to 1024 threads, but got " + std::to_string(workers));
  std::unique_ptr<ThreadPool> pool(new ThreadPool(workers));
  pool->starts.reserve(workers); // threads keep pointers into it
  pool->threads.reserve(workers);
  // Signals are for the application's threads: ours start with all of them blocked.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failure = 0;
  for (int worker = 1; worker < workers && failure == 0; ++worker) {
    pool->starts.push_back({pool.get(), worker});
    pthread_t thread;
    failure = pthread_create(&thread, nullptr, threadMain, &pool->starts.back());
    if (failure == 0) {
      pool->threads.push_back(thread);
      pthread_setname_np(thread, "qopt-worker");
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failure != 0)
    return resourceError("could not start thread " + std::to_string(pool->threads.size() + 2) + " of " +
                         std::to_string(workers) + ": " + std::strerror(failure))
        .withNext("ask for fewer threads, or raise the limit on processes (ulimit -u)");
  return pool;
}

ThreadPool::~ThreadPool() {
  currentWork = nullptr;
  jobs.advance();
  for (pthread_t thread : threads)
    pthread_join(thread, nullptr);
}

void *ThreadPool::threadMain(void *start) {
  auto *self = static_cast<Start *>(start);
  self->pool->serve(self->worker);
  return nullptr;
}

void ThreadPool::serve(int worker) {
  // Jobs are numbered from 1 and a new one is not given before this one is finished by all: none is ever missed.
  for (uint32_t seen = 0;; ++seen) {
    jobs.waitWhile(seen, spinMicroseconds);
    if (!currentWork)
      return;
    currentWork(currentArgument, worker);
    if (unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1)
      finished.advance();
  }
}

void ThreadPool::run(Work work, void *argument) {
  std::lock_guard lock(oneRunAtATime);
  if (workerCount == 1)
    return work(argument, 0);
  uint32_t before = finished.load();
  currentWork = work;
  currentArgument = argument;
  unfinished.store(workerCount - 1, std::memory_order_relaxed);
  jobs.advance();
  work(argument, 0);
  finished.waitWhile(before, spinMicroseconds);
}

} // namespace qopt
