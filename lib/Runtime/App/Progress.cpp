#include "lib/Runtime/App/Progress.h"

#include <cstdio>
#include <unistd.h>

using namespace qopt;

static double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Progress::Progress(std::string what, std::string unit, double scale)
    : what(std::move(what)), unit(std::move(unit)), scale(scale), terminal(::isatty(2) != 0), start(Clock::now()),
      last(start) {}

void Progress::finish() {
  if (terminal && printed)
    std::fputc('\n', stderr);
  printed = false;
}

void Progress::update(int64_t done, int64_t total, std::string_view doneLast) {
  Clock::time_point now = Clock::now();
  double elapsed = seconds(now - start), sinceLast = seconds(now - last);
  if (elapsed < 2 || done <= 0 || sinceLast < (terminal ? 0.1 : 10.0))
    return;
  last = now;
  printed = true;
  double rate = static_cast<double>(done) / elapsed, left = static_cast<double>(total - done) / rate;
  double of = static_cast<double>(total) * scale;
  bool isWhole = scale == 1 || of >= 10; // a small model has less than a million weights
  std::fprintf(stderr,
               isWhole ? "%s%s: %.0f of %.0f %s, %.3g/s, %.0f s left%s%.*s%s"
                       : "%s%s: %.2g of %.2g %s, %.3g/s, %.0f s left%s%.*s%s",
               terminal ? "\r\033[K" : "", what.c_str(), static_cast<double>(done) * scale, of, unit.c_str(),
               rate * scale, left, doneLast.empty() ? "" : "; ", static_cast<int>(doneLast.size()), doneLast.data(),
               terminal ? "" : "\n");
}
