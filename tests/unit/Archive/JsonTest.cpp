// JSON: what is read, what is refused and at which byte, and that large objects take linear time.
#include "lib/Archive/Json.h"

#include <chrono>
#include <gtest/gtest.h>

namespace qopt {
namespace {

TEST(Json, KeepsOrderAndTypes) {
  auto json =
      parseJson(R"( {"b": [1, -2, 1.5, true, null, "\u00e9\n"], "a": {"z": {}, "y": []}, "": 18446744073709551615} )");
  ASSERT_TRUE(json) << json.error().format();
  EXPECT_EQ(json->dump(), R"({"b":[1,-2,1.5,true,null,"é\n"],"a":{"z":{},"y":[]},"":18446744073709551615})");
  EXPECT_EQ(json->at("b")[1].get<int64_t>(), -2);
  EXPECT_EQ(json->at("").get<uint64_t>(), UINT64_MAX);
  for (const char *scalar : {"1", "\"a\"", "null", "[]", "{}"})
    EXPECT_EQ(parseJson(scalar)->dump(), scalar);
}

struct Refused {
  const char *name, *text, *rule, *where;
};

class JsonRefused : public testing::TestWithParam<Refused> {};

TEST_P(JsonRefused, NamesRuleAndByte) {
  auto json = parseJson(GetParam().text, {.maxBytes = 64, .maxDepth = 3, .maxValues = 10});
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().errorClass, ErrorClass::BadInput);
  EXPECT_NE(json.error().rule.find(GetParam().rule), std::string::npos) << json.error().rule;
  EXPECT_EQ(json.error().where, GetParam().where);
}

INSTANTIATE_TEST_SUITE_P(
    Json, JsonRefused,
    testing::Values(Refused{"Empty", "", "unexpected end of input", "byte 0"},
                    Refused{"Cut", "{\"a\": [1,", "unexpected end of input", "byte 9"},
                    Refused{"Syntax", "[1, }", "unexpected '}'", "byte 4"},
                    Refused{"Trailing", "{} x", "expected end of input", "byte 3"},
                    Refused{"SecondValue", "1 2", "expected end of input", "byte 2"},
                    Refused{"Comment", "// a\n1", "invalid literal", "byte 0"},
                    Refused{"Infinity", "[1e999]", "number overflow", "byte 5"},
                    Refused{"Duplicate", R"({"a":1,"b":2,"a":3})", "the key 'a' is given twice in one JSON object",
                            "byte 15"},
                    Refused{"DuplicateByEscape", R"({"a":1,"\u0061":3})",
                            "the key 'a' is given twice in one JSON object", "byte 14"},
                    Refused{"DuplicateInside", R"([{"k":{"a":1,"a":3}}])",
                            "the key 'a' is given twice in one JSON object", "byte 15"},
                    Refused{"Deep", "[[[[", "nested deeper than 3 levels", "byte 3"},
                    Refused{"Many", "[1,2,3,4,5,6,7,8,9,10]", "more than 10 JSON values", "byte 21"},
                    Refused{"BrokenUtf8", "[\"\xC3(\"]", "ill-formed UTF-8", "byte 3"},
                    Refused{"LoneSurrogate", R"(["\ud800"])", "surrogate", "byte 8"},
                    Refused{"Long", "[                                                                            ]",
                            "JSON of 78 bytes, where at most 64 are read", ""}),
    [](const auto &info) { return info.param.name; });

TEST(Json, SameKeyInTwoObjectsIsNoDuplicate) { EXPECT_TRUE(parseJson(R"([{"a":1},{"a":{"a":2}}])")); }

std::string vocabulary(int size) {
  std::string text = "{";
  for (int i = 0; i < size; ++i)
    text += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + "\":" + std::to_string(i);
  return text;
}

TEST(Json, LargeObjectsTakeLinearTime) {
  constexpr int size = 100'000; // by linear search for each key: a minute
  auto start = std::chrono::steady_clock::now();
  auto json = parseJson(vocabulary(size) + "}");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->size(), size_t{size});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)); // 0.03 s; generous for sanitizers
}

TEST(Json, FindsDuplicatesInLargeObjects) {
  auto json = parseJson(vocabulary(1000) + ",\"t7\":0}");
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().rule, "the key 't7' is given twice in one JSON object");
}

TEST(Json, EscapesWhatItQuotes) {
  auto json = parseJson("{\"\\u001b[2J\":1,\"\\u001b[2J\":2}");
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().rule, "the key '\\x1B[2J' is given twice in one JSON object");
}

} // namespace
} // namespace qopt
