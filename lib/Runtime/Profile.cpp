#include "lib/Runtime/Profile.h"

#include <algorithm>

namespace qopt {

Profile::Profile(const Manifest &manifest) {
  for (const Manifest::Steps &steps : manifest.schedule) {
    auto first = static_cast<uint32_t>(entries.size());
    for (const Manifest::Dispatch &dispatch : steps.dispatches)
      entries.push_back({{.kernel = dispatch.kernel}, dispatch, steps.times});
    for (int64_t i = 0; i < steps.times; ++i)
      for (uint32_t j = 0; j < steps.dispatches.size(); ++j)
        order.push_back(first + j);
  }
}

void Profile::begin(int64_t tokens, int64_t rows) {
  next = 0;
  for (Entry &entry : entries) {
    auto times = static_cast<double>(entry.times);
    auto extent = static_cast<double>(entry.dispatch.overRows ? rows : tokens);
    entry.time.operations += times * extent * static_cast<double>(entry.dispatch.operations);
    if (extent > 0) // else there is nothing to multiply with
      entry.time.weightBytes += times * static_cast<double>(entry.dispatch.weightBytes);
  }
  start = last = Clock::now();
}

void Profile::end() {
  total += std::chrono::duration<double>(Clock::now() - start).count();
  consistent &= next == order.size();
}

std::vector<DispatchTime> Profile::byTime() const {
  std::vector<DispatchTime> times;
  times.reserve(entries.size());
  for (const Entry &entry : entries)
    times.push_back(entry.time);
  std::ranges::sort(times, [](const DispatchTime &a, const DispatchTime &b) {
    return a.seconds != b.seconds ? a.seconds > b.seconds : a.kernel < b.kernel;
  });
  return times;
}

} // namespace qopt
