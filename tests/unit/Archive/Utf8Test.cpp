// UTF-8 at the edges of every range.
#include "lib/Archive/Utf8.h"

#include <gtest/gtest.h>

namespace qopt {
namespace {

TEST(Utf8, WellFormed) {
  for (std::string_view text : {"", "abc", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                                "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(isUtf8(text)) << text;
  EXPECT_TRUE(isUtf8(std::string_view("a\0b", 3)));
}

TEST(Utf8, IllFormed) {
  for (std::string_view text : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xC2\xC0", "\xE0\x9F\xBF",
                                "\xE1\x80", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF4\x90\x80\x80",
                                "\xF5\x80\x80\x80", "\xFF", "ab\xC2", "\xE2\x82\xC2"})
    EXPECT_FALSE(isUtf8(text)) << text;
}

} // namespace
} // namespace qopt
