// Kinds of files, temporary names, defaults of generation, ids on a command line.
#include "lib/Archive/TemporaryPath.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/FileKind.h"
#include "lib/Runtime/App/TokenizerFile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

using namespace qopt;

namespace {

std::string header(std::string_view json) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(json.size());
  return bytes + std::string(json);
}

TEST(FileKind, GoesByContents) {
  Result<TemporaryPath> name = TemporaryPath::create(".test");
  ASSERT_TRUE(name);
  auto kindOf = [&](std::string_view bytes) {
    std::ofstream(name->path(), std::ios::binary) << bytes;
    Result<FileKind> kind = classifyFile(name->path());
    EXPECT_TRUE(kind);
    return *kind;
  };
  EXPECT_EQ(kindOf("GGUF\3\0\0\0"), FileKind::Gguf);
  EXPECT_EQ(kindOf(header(R"({"__metadata__":{"qopt.manifest":"{}"}})")), FileKind::Artifact);
  EXPECT_EQ(kindOf(header(R"({"__metadata__":{"format":"pt"}})")), FileKind::Safetensors);
  EXPECT_EQ(kindOf(" {\"version\":\"1.0\"}"), FileKind::Json);
  EXPECT_EQ(kindOf("module {}"), FileKind::Ir);
  EXPECT_EQ(kindOf("{-# dialect_resources: {} #-}"), FileKind::Ir);
  EXPECT_EQ(*classifyFile("-"), FileKind::Ir);
  EXPECT_EQ(*classifyFile(std::filesystem::temp_directory_path().string()), FileKind::Directory);
  std::ofstream(name->path()).close(); // empty
  EXPECT_FALSE(classifyFile(name->path()));
  name->remove();
  EXPECT_FALSE(classifyFile(name->path()));
}

TEST(TemporaryPath, IsRemovedAndMayNeverHaveBeen) {
  std::string path;
  {
    Result<TemporaryPath> name = TemporaryPath::create(".test"), other = TemporaryPath::create(".test");
    ASSERT_TRUE(name && other);
    EXPECT_NE(name->path(), other->path());
    EXPECT_TRUE(name->path().ends_with(".test"));
    path = name->path();
    std::ofstream(path) << "x";
    TemporaryPath moved = std::move(*name);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(GenerationDefaults, RoundTrips) {
  GenerationDefaults defaults;
  defaults.stops = {2, 7};
  defaults.sampling = {.temperature = 0.5f, .topK = 40, .topP = 0.25f};
  Result<GenerationDefaults> read = GenerationDefaults::fromJson(defaults.toJson());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->stops, defaults.stops);
  EXPECT_EQ(read->sampling.temperature, 0.5f);
  EXPECT_EQ(read->sampling.topK, 40);
  EXPECT_EQ(read->sampling.topP, 0.25f);
  ASSERT_TRUE(GenerationDefaults::fromJson("{}"));
  EXPECT_EQ(GenerationDefaults::fromJson("{}")->sampling.temperature, 0);
}

TEST(GenerationDefaults, RefusesByKey) {
  for (const char *text : {"[]", "{\"colour\":1}", "{\"stops\":[-1]}", "{\"stops\":2}", "{\"temperature\":-1}",
                           "{\"top_p\":0}", "{\"top_k\":1.5}", "{\"top_k\":99999999999}", "{"}) {
    Result<GenerationDefaults> read = GenerationDefaults::fromJson(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().errorClass, ErrorClass::BadInput) << text;
    EXPECT_TRUE(read.error().where.starts_with("qopt.generation")) << text;
  }
}

TEST(ParseTokenIds, TakesSpacesAndCommas) {
  Result<std::vector<int32_t>> ids = parseTokenIds(" 1, 2\n3 ", 4, "here");
  ASSERT_TRUE(ids);
  EXPECT_EQ(*ids, (std::vector<int32_t>{1, 2, 3}));
  for (const char *text : {"", " ", "4", "-1", "1x", "99999999999", "0x1"}) {
    Result<std::vector<int32_t>> bad = parseTokenIds(text, 4, "here");
    ASSERT_FALSE(bad) << text;
    EXPECT_EQ(bad.error().errorClass, ErrorClass::Usage) << text;
  }
}

} // namespace
