// Checkpoints of one file and of many, and indices that disagree with their shards.
#include "lib/Archive/ShardedCheckpoint.h"

#include "tests/unit/Archive/ArchiveFixtures.h"

namespace qopt {
namespace {

using test::described;
using test::safetensors;
using test::TemporaryDirectory;

/// A shard with one byte-tensor for each name, which holds the name's first letter.
std::string shard(const std::vector<std::string> &names) {
  std::string header = "{", data;
  for (const std::string &name : names) {
    header +=
        (data.empty() ? "" : ",") +
        described(name, "U8", "[1]", "[" + std::to_string(data.size()) + "," + std::to_string(data.size() + 1) + "]");
    data += name[0];
  }
  return safetensors(header + "}", data);
}

class ShardedCheckpointTest : public testing::Test {
protected:
  void SetUp() override {
    folder.write("x-1.safetensors", shard({"a.weight", "b.weight"}));
    folder.write("x-2.safetensors", shard({"c.weight"}));
  }
  std::string index(const std::string &weightMap) {
    return folder.write("model.safetensors.index.json",
                        "{\"metadata\":{\"total_size\":1},\"weight_map\":" + weightMap + "}");
  }
  void refuse(const std::string &path, std::string_view rule, std::string_view where) {
    auto checkpoint = ShardedCheckpoint::open(path);
    ASSERT_FALSE(checkpoint) << rule;
    const Error &error = checkpoint.error();
    EXPECT_EQ(error.errorClass, ErrorClass::BadInput);
    EXPECT_NE(error.rule.find(rule), std::string::npos) << error.format();
    EXPECT_NE(error.where.find(where), std::string::npos) << error.format();
    EXPECT_FALSE(error.outcome.empty());
    EXPECT_FALSE(error.next.empty());
  }

  TemporaryDirectory folder;
  const std::string good =
      R"({"c.weight":"x-2.safetensors","a.weight":"x-1.safetensors","b.weight":"x-1.safetensors"})";
};

TEST_F(ShardedCheckpointTest, OpensShards) {
  for (std::string path : {index(good), folder / "."}) {
    auto checkpoint = ShardedCheckpoint::open(path);
    ASSERT_TRUE(checkpoint) << checkpoint.error().format();
    EXPECT_EQ(checkpoint->archives().size(), 2u);
    EXPECT_EQ(checkpoint->tensors().size(), 3u);
    EXPECT_EQ(checkpoint->get("c.weight")->bytes()[0], std::byte{'c'});
    EXPECT_EQ(checkpoint->get("c.weight")->archive->path(), checkpoint->archives()[1]->path());
    EXPECT_FALSE(checkpoint->find("d.weight"));
    EXPECT_EQ(checkpoint->get("c.wight").error().rule, "the checkpoint has no tensor 'c.wight'");
    EXPECT_EQ(checkpoint->get("c.wight").error().next, "the nearest name in it is 'c.weight'");
  }
}

TEST_F(ShardedCheckpointTest, ASingleFileComesFirst) {
  index(good);
  folder.write("model.safetensors", shard({"z"}));
  for (std::string path : {folder / ".", folder / "model.safetensors"}) {
    auto checkpoint = ShardedCheckpoint::open(path);
    ASSERT_TRUE(checkpoint) << checkpoint.error().format();
    EXPECT_EQ(checkpoint->archives().size(), 1u);
    EXPECT_TRUE(checkpoint->find("z"));
  }
}

TEST_F(ShardedCheckpointTest, RefusesAnIndexThatDisagrees) {
  refuse(index(R"({"a.weight":"x-1.safetensors","c.weight":"x-2.safetensors"})"),
         "holds a tensor that the index does not place in it", "x-1.safetensors: tensor 'b.weight'");
  refuse(index(R"({"a.weight":"x-1.safetensors","b.weight":"x-1.safetensors","c.weight":"x-1.safetensors"})"),
         "lacks a tensor that the index places in it", "x-1.safetensors: tensor 'c.weight'");
  refuse(index(R"({"a.weight":"x-1.safetensors","a.weight":"x-1.safetensors"})"), "the key 'a.weight' is given twice",
         "index.json");
}

TEST_F(ShardedCheckpointTest, RefusesOtherForms) {
  refuse(index("[]"), "expected an object with an object 'weight_map'", "index.json");
  refuse(index("{}"), "the weight_map is empty", "index.json");
  refuse(index(R"({"a.weight":1})"), "expected the name of a shard, but got number", "tensor 'a.weight'");
  refuse(folder.write("a.index.json", "{\"weight_map\""), "not valid JSON", "a.index.json");
  refuse(folder.write("b.index.json", "[]"), "expected an object with an object 'weight_map'", "b.index.json");
  refuse(index(R"({"a.weight":"broken"})"), "cannot read", "broken");
}

TEST_F(ShardedCheckpointTest, RefusesPaths) {
  for (const char *name : {"../x-1.safetensors", "/etc/passwd", "", ".", "..", "a/b", "a\\u0000b"})
    refuse(index("{\"a.weight\":\"" + std::string(name) + "\"}"), "expected the name of a file beside the index",
           "tensor 'a.weight'");
}

TEST_F(ShardedCheckpointTest, RefusesAShardThatIsGguf) {
  folder.write("g", test::GgufBuilder().tensor("a.weight", {1}, 24, 0).bytes() + "x");
  refuse(index(R"({"a.weight":"g"})"), "expected the shards of an index to be safetensors files, but got GGUF", "g");
}

TEST_F(ShardedCheckpointTest, RefusesAnEmptyDirectory) {
  TemporaryDirectory empty;
  refuse(empty / ".", "holds neither model.safetensors nor model.safetensors.index.json", "");
}

} // namespace
} // namespace qopt
