// Progress of what takes longer than two seconds: a line that is rewritten on a terminal, one line every ten seconds
// elsewhere. Goes to stderr.
#ifndef QOPT_LIB_RUNTIME_APP_PROGRESS_H
#define QOPT_LIB_RUNTIME_APP_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace qopt {

class Progress {
public:
  /// `unit` names what `scale` times a count is: Progress("quantize", "M weights", 1e-6).
  Progress(std::string what, std::string unit, double scale);
  ~Progress() { finish(); }
  /// Ends the line on a terminal, before anything else is printed.
  void finish();

  /// `done` of `total` are done; `doneLast` says what was done last. Cheap: prints at most ten times a second.
  void update(int64_t done, int64_t total, std::string_view doneLast = {});

private:
  using Clock = std::chrono::steady_clock;

  std::string what, unit;
  double scale;
  bool terminal, printed = false;
  Clock::time_point start, last;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_APP_PROGRESS_H
