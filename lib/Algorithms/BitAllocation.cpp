// See BitAllocation.h.
#include "lib/Algorithms/BitAllocation.h"

#include <algorithm>
#include <limits>
#include <string>

using namespace qopt;

namespace {
using Choices = std::span<const std::vector<std::optional<BitChoice>>>;

struct Allocation {
  std::vector<size_t> chosen;
  int64_t bits = 0;
  double cost = 0;
};
} // namespace

static Allocation sumUp(Choices choices, std::vector<size_t> chosen) {
  Allocation all{std::move(chosen)};
  for (size_t i = 0; i < choices.size(); ++i) {
    all.bits += choices[i][all.chosen[i]]->bits;
    all.cost += choices[i][all.chosen[i]]->cost;
  }
  return all;
}

/// Each item's cheapest choice where a bit costs `price`; of equal ones that with fewer bits.
static Allocation atPrice(Choices choices, double price) {
  std::vector<size_t> chosen;
  for (const auto &item : choices) {
    auto worth = [&](const std::optional<BitChoice> &choice) {
      return choice ? choice->cost + price * static_cast<double>(choice->bits)
                    : std::numeric_limits<double>::infinity();
    };
    size_t best = 0;
    for (size_t j = 1; j < item.size(); ++j)
      if (worth(item[j]) < worth(item[best]) ||
          (worth(item[j]) == worth(item[best]) && item[j] && (!item[best] || item[j]->bits < item[best]->bits)))
        best = j;
    chosen.push_back(best);
  }
  return sumUp(choices, std::move(chosen));
}

/// Spends what is left of the budget, each time on the change that saves most for a bit.
static void upgrade(Choices choices, int64_t budget, Allocation &all) {
  while (true) {
    double best = 0;
    size_t item = 0, to = 0;
    for (size_t i = 0; i < choices.size(); ++i) {
      const BitChoice &now = *choices[i][all.chosen[i]];
      for (size_t j = 0; j < choices[i].size(); ++j) {
        const std::optional<BitChoice> &then = choices[i][j];
        if (!then || then->cost >= now.cost || all.bits - now.bits + then->bits > budget)
          continue;
        double saves = (now.cost - then->cost) / static_cast<double>(std::max<int64_t>(1, then->bits - now.bits));
        if (saves > best)
          best = saves, item = i, to = j;
      }
    }
    if (!(best > 0))
      return;
    std::vector<size_t> chosen = all.chosen;
    chosen[item] = to;
    all = sumUp(choices, std::move(chosen));
  }
}

int64_t qopt::leastBits(Choices choices) {
  int64_t least = 0;
  for (const auto &item : choices) {
    int64_t fewest = std::numeric_limits<int64_t>::max();
    for (const auto &choice : item)
      if (choice)
        fewest = std::min(fewest, choice->bits);
    least += fewest;
  }
  return least;
}

Result<std::vector<size_t>> qopt::allocateBits(Choices choices, int64_t budget) {
  for (size_t i = 0; i < choices.size(); ++i)
    if (std::ranges::none_of(choices[i], [](const auto &choice) { return choice.has_value(); }))
      return badInput("expected a form that fits each weight, but there is none for weight " + std::to_string(i))
          .withNext("allow another form, or keep this weight");
  // No price makes a choice with fewer bits dearer, so this is the least there is.
  double high = 1;
  for (const auto &item : choices)
    for (const auto &choice : item)
      if (choice)
        high += choice->cost;
  Allocation least = atPrice(choices, high);
  if (least.bits > budget)
    return badInput("expected a budget of at least " + std::to_string(least.bits) + " bits, but got " +
                    std::to_string(budget))
        .withNext("allow forms with fewer bits, or a larger budget");
  Allocation best = least;
  double low = 0;
  for (int step = 0; step < 100; ++step) {
    double price = step == 0 ? 0 : (low + high) / 2;
    Allocation now = atPrice(choices, price);
    if (now.bits > budget) {
      low = price;
      continue;
    }
    if (now.cost < best.cost || (now.cost == best.cost && now.bits < best.bits))
      best = std::move(now);
    if (price == 0)
      break; // all of what is best is within the budget
    high = price;
  }
  // One and the same choice for all is a start as well: costs that are not convex may make it a better one.
  size_t forms = choices.empty() ? 0 : choices[0].size();
  std::vector<Allocation> starts{best};
  for (size_t j = 0; j < forms; ++j)
    if (std::ranges::all_of(choices, [&](const auto &item) { return item[j].has_value(); }))
      if (Allocation same = sumUp(choices, std::vector<size_t>(choices.size(), j)); same.bits <= budget)
        starts.push_back(std::move(same));
  for (Allocation &start : starts) {
    upgrade(choices, budget, start);
    if (start.cost < best.cost)
      best = start;
  }
  return std::move(best.chosen);
}
