// The knapsack against all combinations of small instances.
#include "lib/Algorithms/BitAllocation.h"

#include <gtest/gtest.h>
#include <random>

using namespace qopt;

namespace {
using Items = std::vector<std::vector<std::optional<BitChoice>>>;

struct Sum {
  int64_t bits = 0;
  double cost = 0;
};

Sum sumOf(const Items &items, const std::vector<size_t> &chosen) {
  Sum sum;
  for (size_t i = 0; i < items.size(); ++i) {
    sum.bits += items[i][chosen[i]]->bits;
    sum.cost += items[i][chosen[i]]->cost;
  }
  return sum;
}

/// The least cost within the budget, by trying everything.
double leastCost(const Items &items, int64_t budget, size_t from = 0, Sum sum = {}) {
  if (sum.bits > budget)
    return std::numeric_limits<double>::infinity();
  if (from == items.size())
    return sum.cost;
  double least = std::numeric_limits<double>::infinity();
  for (const auto &choice : items[from])
    if (choice)
      least = std::min(least, leastCost(items, budget, from + 1, {sum.bits + choice->bits, sum.cost + choice->cost}));
  return least;
}
} // namespace

TEST(BitAllocation, IsWithinTheBudgetAndNearTheBest) {
  std::mt19937 generator(1);
  auto uniform = [&] { return std::uniform_real_distribution<double>(0, 1)(generator); };
  for (int round = 0; round < 300; ++round) {
    Items items;
    double dearest = 0;
    for (int i = 0; i < 6; ++i) {
      int64_t weights = 1 + static_cast<int64_t>(uniform() * 20);
      double sensitivity = uniform();
      auto &item = items.emplace_back();
      for (int bits : {2, 3, 4, 8}) {
        double cost = sensitivity * static_cast<double>(weights) * std::exp2(-2 * bits) * (0.5 + uniform());
        item.push_back(i == 3 && bits == 2 ? std::nullopt : std::optional(BitChoice{weights * bits, cost}));
        dearest = std::max(dearest, cost);
      }
    }
    for (double bits : {2.5, 3.0, 3.7, 4.0, 6.1, 9.0}) {
      int64_t weights = 0;
      for (const auto &item : items)
        weights += item[3]->bits / 8;
      auto budget = static_cast<int64_t>(bits * static_cast<double>(weights));
      Result<std::vector<size_t>> chosen = allocateBits(items, budget);
      double least = leastCost(items, budget);
      ASSERT_EQ(static_cast<bool>(chosen), std::isfinite(least));
      if (!chosen)
        continue;
      Sum sum = sumOf(items, *chosen);
      EXPECT_LE(sum.bits, budget);
      EXPECT_LE(sum.cost, least + dearest);
      for (size_t form = 1; form < 4; ++form) // which all items have
        if (Sum same = sumOf(items, std::vector<size_t>(items.size(), form)); same.bits <= budget)
          EXPECT_LE(sum.cost, same.cost * (1 + 1e-12));
    }
  }
}

TEST(BitAllocation, SpendsWhatItCan) {
  Items items{{BitChoice{2, 9}, BitChoice{4, 1}}, {BitChoice{2, 5}, BitChoice{4, 4}}};
  EXPECT_EQ(*allocateBits(items, 4), (std::vector<size_t>{0, 0}));
  EXPECT_EQ(*allocateBits(items, 7), (std::vector<size_t>{1, 0}));
  EXPECT_EQ(*allocateBits(items, 8), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(*allocateBits(items, 1000), (std::vector<size_t>{1, 1}));
  // The dear form of the second item is cheaper at the same bits: it is free.
  Items free{{BitChoice{2, 9}}, {BitChoice{4, 5}, BitChoice{4, 4}}};
  EXPECT_EQ(*allocateBits(free, 6), (std::vector<size_t>{0, 1}));
}

TEST(BitAllocation, Refuses) {
  Items items{{BitChoice{2, 9}, BitChoice{4, 1}}, {BitChoice{3, 5}, BitChoice{4, 4}}};
  Result<std::vector<size_t>> small = allocateBits(items, 4);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().rule, "expected a budget of at least 5 bits, but got 4");
  items.push_back({std::nullopt, std::nullopt});
  ASSERT_FALSE(allocateBits(items, 100));
}
