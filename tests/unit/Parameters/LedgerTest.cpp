#include "lib/Parameters/Ledger.h"

#include <gtest/gtest.h>
#include <limits>

using namespace qopt;

static Ledger example() {
  Ledger ledger;
  ledger.rows.push_back({"a.weight",
                         LedgerStatus::Quantized,
                         "scheme",
                         "w4a8:g64:sym:f16",
                         "round to nearest",
                         4096,
                         2176,
                         4.25,
                         1.5e-2,
                         0.83,
                         0.0125,
                         0.03,
                         65536,
                         3,
                         {"a.awq", "b.awq"}});
  ledger.cancelled.push_back({"c.awq", "tied"});
  ledger.rows.push_back(
      {"b \"quoted\"\n", LedgerStatus::Waived, "b* (reason)", "f32", "", 10, 40, 32, 0, 0, 0, 0, 0, 0});
  ledger.rows.push_back({"c", LedgerStatus::Kept, "not a weight", "bf16", "", 7, 14, 16, 0, 0, 0, 0, 0, 0});
  return ledger;
}

TEST(Ledger, RoundTrip) {
  Ledger ledger = example();
  Result<Ledger> read = Ledger::parse(ledger.toJson());
  ASSERT_TRUE(read) << read.error().format();
  ASSERT_EQ(read->rows.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(read->rows[i] == ledger.rows[i]) << ledger.rows[i].name;
  EXPECT_EQ(read->cancelled, ledger.cancelled);
  EXPECT_EQ(read->toJson(), ledger.toJson());
}

TEST(Ledger, LengthDoesNotDependOnErrors) {
  Ledger ledger = example();
  size_t length = ledger.toJson().size();
  for (double value : {0.0, 1e-300, 1e-98, 3.25e-5, 1.0, 12345.6789, 1e98, 1e300}) {
    ledger.rows[0].relativeError = value;
    ledger.rows[0].worstError = ledger.rows[0].outputError = ledger.rows[0].damping = value * 2;
    EXPECT_EQ(ledger.toJson().size(), length) << value;
  }
}

TEST(Ledger, WhatIsNoNumberIsTheWorst) {
  Ledger ledger = example();
  size_t length = ledger.toJson().size();
  ledger.rows[0].worstError = std::numeric_limits<double>::quiet_NaN();
  ledger.rows[0].relativeError = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ledger.toJson().size(), length);
  Result<Ledger> read = Ledger::parse(ledger.toJson());
  ASSERT_TRUE(read) << read.error().format();
  EXPECT_GT(read->rows[0].worstError, 1e99);
  EXPECT_GT(read->rows[0].relativeError, 1e99);
}

TEST(Ledger, Refuses) {
  std::string good = example().toJson();
  auto replaced = [&](std::string from, std::string to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  ASSERT_TRUE(Ledger::parse(good));
  EXPECT_FALSE(Ledger::parse(""));
  EXPECT_FALSE(Ledger::parse("[]"));
  EXPECT_FALSE(Ledger::parse("{\"version\":4}"));
  EXPECT_FALSE(Ledger::parse(replaced("\"reason\"", "\"cause\"")));
  EXPECT_FALSE(Ledger::parse(replaced("\"scaled_by\":[\"a.awq\"", "\"scaled_by\":[3")));
  EXPECT_FALSE(Ledger::parse(replaced("\"scaled_by\"", "\"scaled\"")));
  EXPECT_FALSE(Ledger::parse(replaced("\"cancelled_scales\"", "\"cancelled\"")));
  EXPECT_FALSE(Ledger::parse("{\"version\":4,\"rows\":[3]}"));
  EXPECT_FALSE(Ledger::parse(replaced("\"version\":4", "\"version\":1")));
  EXPECT_FALSE(Ledger::parse(replaced("\"quantized\"", "\"squeezed\"")));
  EXPECT_FALSE(Ledger::parse(replaced("\"elements\":4096", "\"elements\":\"4096\"")));
  EXPECT_FALSE(Ledger::parse(replaced("\"bytes\":2176,", "")));
  EXPECT_FALSE(Ledger::parse(replaced("\"tokens\":", "\"token\":")));
}
