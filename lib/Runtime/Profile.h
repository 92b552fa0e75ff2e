// Where the time of forwards goes, by dispatch.
//
// A compiled forward has a barrier after each dispatch, and the manifest names the dispatches in that order: so a
// profile is read off a clock by worker 0 as it leaves each barrier, and the code that is profiled is the code that
// runs. A dispatch's time ends when the last worker is done with it; that of the first contains waking the workers.
#ifndef QOPT_LIB_RUNTIME_PROFILE_H
#define QOPT_LIB_RUNTIME_PROFILE_H

#include "lib/Artifact/Manifest.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// All calls of one kernel.
struct DispatchTime {
  std::string kernel;
  int64_t calls = 0;
  double seconds = 0;
  double weightBytes = 0; ///< of all calls, each counted once however often the call reads them
  double operations = 0;  ///< multiplications and additions with weights
};

/// The dispatches of any number of forwards. For one thread, or worker 0 while a forward runs.
class Profile {
public:
  explicit Profile(const Manifest &manifest);

  /// Called by Context: a chunk begins, a barrier was passed, the chunk is done.
  void begin(int64_t tokens, int64_t rows);
  void passBarrier() {
    Clock::time_point now = Clock::now();
    if (next < order.size()) {
      Entry &entry = entries[order[next]];
      entry.time.seconds += std::chrono::duration<double>(now - last).count();
      ++entry.time.calls;
    }
    last = now;
    ++next;
  }
  void end();

  /// Kernels by time, the longest first.
  std::vector<DispatchTime> byTime() const;
  /// All of the forwards' time; what exceeds the sum over kernels was spent before the first and after the last
  /// barrier.
  double seconds() const { return total; }
  /// Whether each forward had as many barriers as the manifest says; if not, names belong to other times.
  bool agrees() const { return consistent; }

private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    DispatchTime time;
    Manifest::Dispatch dispatch;
    int64_t times; ///< calls in one forward
  };
  std::vector<Entry> entries;
  std::vector<uint32_t> order; ///< of a forward's dispatches: indices into entries
  size_t next = 0;
  Clock::time_point start, last;
  double total = 0;
  bool consistent = true;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_PROFILE_H
