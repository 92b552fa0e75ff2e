#include "lib/Runtime/App/TokenizerFile.h"
#include "tests/unit/Runtime/FakeModel.h"

using namespace qopt;
using namespace qopt::fake;

extern "C" int qopt_c_text_check(const char *path, const char *without);

TEST(CApi, TextWorksFromC) {
  Folder folder;
  Result<std::optional<LoadedTokenizer>> loaded = loadTokenizer(QOPT_TEXT_FIXTURES "/gpt2.json");
  ASSERT_TRUE(loaded && *loaded);
  TokenizerSpec spec = (*loaded)->spec;
  spec.chatTemplate = "{% for message in messages %}"
                      "{% if message['role'] == 'nobody' %}{{ raise_exception('no such role') }}{% endif %}"
                      "[{{ message['role'] }}]{{ message['content'] }}{% endfor %}"
                      "{% if add_generation_prompt %}[assistant]{% endif %}";
  Parts with, without;
  with.description.tokenizer = spec.toJson();
  with.description.generation = R"({"stops":[1],"temperature":0.5,"top_k":3})";
  with.write(folder.file("with.qopt"));
  without.description.tokenizer = "{}";
  without.write(folder.file("without.qopt"));
  int line = qopt_c_text_check(folder.file("with.qopt").c_str(), folder.file("without.qopt").c_str());
  EXPECT_EQ(line, 0) << "c_text_test.c failed at this line";
}
