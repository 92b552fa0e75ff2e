#include "lib/Runtime/Model.h"

#include "lib/Runtime/Context.h"
#include "tests/unit/Runtime/FakeModel.h"

#include <algorithm>
#include <dirent.h>

using namespace qopt;
using namespace qopt::fake;

namespace {

std::vector<float> firstLogits(const std::shared_ptr<const Model> &model, std::span<const int32_t> tokens) {
  auto context = std::move(*Context::create(model, {.threads = 1}));
  SequenceId sequence = *context->cache().createSequence();
  auto row = static_cast<int32_t>(tokens.size() - 1);
  std::vector<float> logits(kVocabulary);
  EXPECT_TRUE(context->forward({.tokens = tokens, .sequences = {&sequence, 1}, .rows = {&row, 1}, .logits = logits}));
  return logits;
}

const std::vector<int32_t> kTokens = {9, 8, 7, 6, 5};

TEST(Model, RunsWithEveryPlacementAndVerification) {
  Folder folder;
  Parts().write(folder.file("m.qopt"));
  for (WeightPlacement placement : {WeightPlacement::Auto, WeightPlacement::Mapped, WeightPlacement::HugePages})
    for (Verify verify : {Verify::Full, Verify::None})
      for (int threads : {0, 1, 3}) {
        Result<std::shared_ptr<const Model>> model =
            Model::open(folder.file("m.qopt"), {.verify = verify, .weights = placement, .threads = threads});
        ASSERT_TRUE(model) << model.error().format();
        if (placement != WeightPlacement::Auto) {
          EXPECT_EQ((*model)->weightPlacement(), placement);
        }
        EXPECT_EQ(reinterpret_cast<uintptr_t>((*model)->weights()) % 64, 0u);
        EXPECT_EQ(
            std::memcmp((*model)->weights(), (*model)->file().weights().data(), (*model)->file().weights().size()), 0);
        EXPECT_EQ(firstLogits(*model, kTokens), expectedLogits(kTokens));
      }
}

TEST(Model, DamagedWeightsAreFoundUnlessNotAskedFor) {
  Folder folder;
  Parts().write(folder.file("m.qopt"));
  std::vector<std::byte> bytes = readFile(folder.file("m.qopt"));
  uint64_t second = 0;
  {
    Result<std::shared_ptr<const ArtifactReader>> file = ArtifactReader::open(folder.file("m.qopt"));
    ASSERT_TRUE(file);
    second = (*file)->weights().data() - (*file)->fileBytes().data() + (1 << 20) + 5; // in the second piece
  }
  bytes[second] ^= std::byte(0x10);
  bytes[second + (1 << 20)] ^= std::byte(0x01);
  writeFile(folder.file("bad.qopt"), bytes);
  for (WeightPlacement placement : {WeightPlacement::Auto, WeightPlacement::Mapped, WeightPlacement::HugePages}) {
    Result<std::shared_ptr<const Model>> model =
        Model::open(folder.file("bad.qopt"), {.verify = Verify::Full, .weights = placement, .threads = 3});
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().errorClass, ErrorClass::BadInput);
    EXPECT_NE(model.error().where.find("bytes " + std::to_string(second - 5)), std::string::npos)
        << "the first damaged piece is named: " << model.error().where;
    EXPECT_NE(model.error().where.find("weights.filler"), std::string::npos);
  }
  EXPECT_TRUE(Model::open(folder.file("bad.qopt"), {.verify = Verify::None}));
}

TEST(Model, ChoosesTheFirstTargetThatThisProcessorRuns) {
  Folder folder;
  Parts parts;
  std::string here = hostCpu().architecture;
  parts.description.manifest.targets = {{"future", here, {"no-such-feature"}, ""},
                                        {"elsewhere", here == "aarch64" ? "x86-64" : "aarch64", {}, ""},
                                        {"generic", here, {}, ""}};
  parts.description.code = {parts.description.code[0], {}, parts.description.code[0]};
  parts.description.code[1].resize(100, std::byte(1));
  parts.write(folder.file("m.qopt"));
  Result<std::shared_ptr<const Model>> model = Model::open(folder.file("m.qopt"));
  ASSERT_TRUE(model) << model.error().format();
  EXPECT_EQ((*model)->target().name, "generic");
  EXPECT_EQ(firstLogits(*model, kTokens), expectedLogits(kTokens));

  Result<std::shared_ptr<const Model>> forced = Model::open(folder.file("m.qopt"), {.target = "future"});
  ASSERT_FALSE(forced);
  EXPECT_EQ(forced.error().errorClass, ErrorClass::Resource);
  EXPECT_NE(forced.error().rule.find("future needs no-such-feature"), std::string::npos) << forced.error().rule;
  Result<std::shared_ptr<const Model>> unknown = Model::open(folder.file("m.qopt"), {.target = "generik"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().errorClass, ErrorClass::Usage);
}

/// The code here is no code at all: had anyone tried to load it, the error would be another.
TEST(Model, MissingFeatureIsAnErrorBeforeAnyCodeIsLoaded) {
  Folder folder;
  Parts parts;
  std::string here = hostCpu().architecture;
  parts.description.manifest.targets = {{"a", here, {"no-such-feature", "nor-this"}, ""}, {"b", "mips", {}, ""}};
  parts.description.code = {std::vector<std::byte>(100), std::vector<std::byte>(100)};
  parts.write(folder.file("m.qopt"));
  Result<std::shared_ptr<const Model>> model = Model::open(folder.file("m.qopt"));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().errorClass, ErrorClass::Resource);
  EXPECT_NE(model.error().rule.find("a needs no-such-feature, nor-this; b is for mips"), std::string::npos)
      << model.error().rule;
  EXPECT_EQ(model.error().outcome, "no code of the model was run");
}

TEST(Model, CodeThatIsNoneOrLacksTheEntryIsRefused) {
  Folder folder;
  Parts parts;
  parts.description.code[0] = std::vector<std::byte>(4000, std::byte(1));
  parts.write(folder.file("a.qopt"));
  Result<std::shared_ptr<const Model>> model = Model::open(folder.file("a.qopt"));
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().rule.find("ELF"), std::string::npos);

  Parts truncated;
  truncated.description.code[0].resize(70);
  truncated.write(folder.file("b.qopt"));
  model = Model::open(folder.file("b.qopt"));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().errorClass, ErrorClass::BadInput);

  Parts other;
  other.description.manifest.entry = "no_such_function";
  other.write(folder.file("c.qopt"));
  model = Model::open(folder.file("c.qopt"));
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().rule.find("no_such_function"), std::string::npos);
}

/// The dynamic loader knows objects by path: two models must not be given one's code for the other.
TEST(Model, ManyModelsOneAfterTheOtherKeepTheirOwnCode) {
  Folder folder;
  for (int answer : {1, 2, 3}) {
    Parts parts;
    parts.description.manifest.entry = "qopt_forward_constant";
    std::vector<std::byte> &image = parts.description.code[0];
    uint64_t marker = 0x51F0A7C3D2E41B01u;
    auto *pattern = reinterpret_cast<const std::byte *>(&marker);
    auto found = std::search(image.begin(), image.end(), pattern, pattern + sizeof marker);
    ASSERT_NE(found, image.end());
    *found = static_cast<std::byte>(answer);
    parts.write(folder.file("answer-" + std::to_string(answer) + ".qopt"));
  }
  auto open = [&](int answer) {
    return std::move(*Model::open(folder.file("answer-" + std::to_string(answer) + ".qopt")));
  };
  auto expect = [](const std::shared_ptr<const Model> &model, int answer) {
    EXPECT_EQ(firstLogits(model, kTokens), std::vector<float>(kVocabulary, static_cast<float>(-answer)));
  };
  auto descriptors = [] {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
      ++count;
    closedir(directory);
    return count;
  };
  int before = descriptors();
  for (int round = 0; round < 5; ++round) {
    auto first = open(1), second = open(2);
    expect(first, 1);
    expect(second, 2);
    first.reset();
    auto third = open(3);
    expect(second, 2);
    expect(third, 3);
  }
  EXPECT_EQ(descriptors(), before) << "a file descriptor leaked";
}

TEST(Model, ContextKeepsItsModelAlive) {
  Folder folder;
  Parts().write(folder.file("m.qopt"));
  auto model = std::move(*Model::open(folder.file("m.qopt")));
  auto context = std::move(*Context::create(model, {.threads = 2}));
  model.reset();
  SequenceId sequence = *context->cache().createSequence();
  int32_t row = 4;
  std::vector<float> logits(kVocabulary);
  ASSERT_TRUE(context->forward({.tokens = kTokens, .sequences = {&sequence, 1}, .rows = {&row, 1}, .logits = logits}));
  EXPECT_EQ(logits, expectedLogits(kTokens));
}

} // namespace
