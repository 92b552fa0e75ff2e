#include "tests/unit/Runtime/FakeModel.h"

using namespace qopt;
using namespace qopt::fake;

extern "C" int qopt_c_api_check(const char *path, const float *expected, const int32_t *tokens);

TEST(CApi, WorksFromC) {
  Folder folder;
  Parts().write(folder.file("m.qopt"));
  std::vector<int32_t> tokens = {2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4};
  std::vector<float> expected;
  for (size_t i = 1; i <= tokens.size(); ++i) {
    std::vector<float> row = expectedLogits(std::span(tokens).first(i));
    expected.insert(expected.end(), row.begin(), row.end());
  }
  int line = qopt_c_api_check(folder.file("m.qopt").c_str(), expected.data(), tokens.data());
  EXPECT_EQ(line, 0) << "c_api_test.c failed at this line";
}
