#include "lib/Archive/Checksum.h"
#include "lib/Artifact/ArtifactReader.h"
#include "lib/Artifact/Integrity.h"
#include "lib/Artifact/PageCache.h"
#include "tests/unit/Runtime/FakeModel.h"

#include <functional>

using namespace qopt;
using namespace qopt::fake;

namespace {

/// Opens and checks everything, as the runtime does.
Status openFully(const std::string &path) {
  Result<std::shared_ptr<const ArtifactReader>> reader = ArtifactReader::open(path);
  if (!reader)
    return reader.takeError();
  return (*reader)->verifyWeights();
}

std::string written(const Folder &folder, const Parts &parts) {
  std::string path = folder.file("m.qopt");
  parts.write(path);
  return path;
}

TEST(Artifact, ReadsWhatWasWritten) {
  Folder folder;
  Parts parts;
  Result<std::shared_ptr<const ArtifactReader>> reader = ArtifactReader::open(written(folder, parts));
  ASSERT_TRUE(reader) << reader.error().format();
  const ArtifactReader &file = **reader;
  EXPECT_EQ(file.manifest().model.name, "fake");
  EXPECT_EQ(file.manifest().cache.blockBytes, 64);
  EXPECT_EQ(file.manifest().provenance, nlohmann::ordered_json({{"test", true}}));
  EXPECT_EQ(file.text("qopt.ledger"), parts.description.ledger);
  EXPECT_EQ(file.text("qopt.generation"), parts.description.generation);
  EXPECT_EQ(file.tokenizer(), parts.description.tokenizer);
  EXPECT_EQ(file.text("format"), std::nullopt);
  EXPECT_TRUE(std::ranges::equal(file.code(0), parts.description.code[0]));

  Result<std::vector<uint64_t>> offsets = artifactWeightOffsets(parts.description.weights);
  ASSERT_TRUE(offsets);
  EXPECT_EQ(*offsets, (std::vector<uint64_t>{0, 448, 576})) << "404 and 101 bytes, each at a multiple of 64";
  for (size_t i = 0; i < parts.weights.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(file.weights().subspan((*offsets)[i], parts.weights[i].size()), parts.weights[i]));
  EXPECT_EQ(file.weights().size(), 576 + parts.weights[2].size());
  EXPECT_EQ((file.weights().data() - file.fileBytes().data()) % kArtifactDataAlignment, 0u);
  EXPECT_EQ(file.weightPieces(), 3u);
  Status verified = file.verifyWeights();
  EXPECT_TRUE(verified);
}

TEST(Artifact, SameInputsSameBytes) {
  Folder folder;
  Parts parts;
  parts.write(folder.file("a.qopt"));
  parts.write(folder.file("b.qopt"));
  EXPECT_EQ(readFile(folder.file("a.qopt")), readFile(folder.file("b.qopt")));
}

TEST(Artifact, WeightsOfAnySizeKeepTheirOffsets) {
  Folder folder;
  for (std::vector<size_t> sizes : {std::vector<size_t>{}, {0}, {0, 1, 0, 64, 65, 0}, {1 << 20}, {(1 << 20) + 1, 0}}) {
    Parts parts;
    parts.weights.clear();
    parts.description.weights.clear();
    for (size_t i = 0; i < sizes.size(); ++i) {
      parts.weights.emplace_back(sizes[i], std::byte(i + 1));
      parts.description.weights.push_back({std::to_string(i), sizes[i]});
    }
    std::string path = written(folder, parts);
    Status opened = openFully(path);
    ASSERT_TRUE(opened) << opened.error().format();
    std::vector<uint64_t> offsets = *artifactWeightOffsets(parts.description.weights);
    std::shared_ptr<const ArtifactReader> reader = *ArtifactReader::open(path);
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_EQ(offsets[i] % 64, 0u);
      EXPECT_TRUE(std::ranges::equal(reader->weights().subspan(offsets[i], sizes[i]), parts.weights[i]));
    }
  }
}

TEST(Artifact, ReadingItIntoHugePagesChangesNothing) {
  Folder folder;
  std::string path = written(folder, Parts());
  std::vector<std::byte> before = readFile(path);
  readIntoHugePages(path);
  EXPECT_EQ(readFile(path), before);
  EXPECT_TRUE(openFully(path));
  readIntoHugePages(folder.file("nothing"));
  readIntoHugePages(folder.path);
  EXPECT_FALSE(std::filesystem::exists(folder.file("nothing")));
}

/// One flipped bit anywhere is found, and the message names the part that it is in.
TEST(Artifact, AFlippedBitInAnySectionIsFound) {
  Folder folder;
  std::string path = written(folder, Parts());
  std::vector<std::byte> bytes = readFile(path);
  struct Section {
    std::string name, in;
    uint64_t start, size;
  };
  std::vector<Section> sections;
  {
    std::shared_ptr<const ArtifactReader> reader = *ArtifactReader::open(path);
    uint64_t dataStart = reader->weights().data() - reader->fileBytes().data();
    sections.push_back({"header", "", 0, dataStart});
    sections.push_back({"spaces", "header", dataStart - 8, 8});
    for (const TensorEntry &tensor : reader->tensors())
      sections.push_back({tensor.name, tensor.name, tensor.offset, tensor.bytes});
  }
  ASSERT_GT(sections.size(), 8u) << "padding is among them";
  for (const Section &section : sections)
    for (uint64_t i = 0; i < 40; ++i) {
      uint64_t at =
          section.start + (i * 7919 * (section.size / 40 + 1) + (i == 1 ? section.size - 1 : 0)) % section.size;
      auto bit = std::byte(1 << (i % 8));
      bytes[at] ^= bit;
      writeFile(path, bytes);
      Status status = openFully(path);
      bytes[at] ^= bit;
      ASSERT_FALSE(status) << section.name << ": byte " << at;
      EXPECT_EQ(status.error().errorClass, ErrorClass::BadInput) << status.error().format();
      std::string text = status.error().format();
      EXPECT_NE(text.find(section.in), std::string::npos) << section.name << ": " << text;
    }
}

TEST(Artifact, ATruncatedOrExtendedFileIsRefused) {
  Folder folder;
  std::string path = written(folder, Parts());
  std::vector<std::byte> bytes = readFile(path);
  std::vector<uint64_t> lengths = {0, 1, 7, 8, 9, 100, 4095, 4096, 4097, bytes.size() - 1};
  {
    std::shared_ptr<const ArtifactReader> reader = *ArtifactReader::open(path);
    for (const TensorEntry &tensor : reader->tensors())
      lengths.insert(lengths.end(), {tensor.offset, tensor.offset + tensor.bytes / 2});
  }
  for (uint64_t length : lengths) {
    writeFile(path, std::span(bytes).first(length));
    Status status = openFully(path);
    ASSERT_FALSE(status) << length;
    EXPECT_EQ(status.error().errorClass, ErrorClass::BadInput);
    EXPECT_NE(status.error().where.find("m.qopt"), std::string::npos) << status.error().where;
  }
  bytes.push_back(std::byte(0));
  writeFile(path, bytes);
  EXPECT_FALSE(openFully(path));
}

/// A safetensors file that says of itself that it is an artifact: what a careless program might write. `change` alters
/// the pieces of a sound one before digests are taken, so that only the rule in question is broken.
struct Forgery {
  nlohmann::ordered_json manifest;
  std::vector<std::pair<std::string, std::vector<std::byte>>> tensors; // without integrity
  SafetensorsAlignment alignment{4096, 64};
  uint64_t weightBytes = 128;

  Forgery() {
    Manifest m = fake::manifest();
    m.targets[0].tensor = "code.0";
    m.weightBytes = 128;
    manifest = m.toJson();
    tensors = {{"weights.a", std::vector<std::byte>(128)},
               {"code.0", std::vector<std::byte>(64)},
               {"tokenizer", std::vector<std::byte>(2, std::byte('1'))}};
  }

  void write(const std::string &path, ElementFormat format = ElementFormat::U8) const {
    std::vector<TensorDeclaration> declared;
    IntegrityTable table;
    std::vector<std::byte> weights;
    for (const auto &[name, data] : tensors) {
      declared.push_back({name, format, {static_cast<int64_t>(data.size())}});
      if (name.starts_with("code.") || name == "tokenizer")
        table.sections.push_back(sha256(data));
    }
    table.checksums = checksums(std::vector<std::byte>(weightBytes));
    uint64_t size = IntegrityTable::encodedBytes(table.sections.size(), table.checksums.size());
    declared.push_back({"integrity", ElementFormat::U8, {static_cast<int64_t>(size)}});
    Result<SafetensorsPlan> plan = planSafetensors(declared, alignment);
    ASSERT_TRUE(plan) << plan.error().format();
    Result<SafetensorsWriter> writer = SafetensorsWriter::create(path, *plan, {{"qopt.manifest", manifest.dump()}});
    ASSERT_TRUE(writer) << writer.error().format();
    for (const auto &[name, data] : tensors)
      ASSERT_TRUE(writer->append(name, data));
    table.header = sha256(std::as_bytes(std::span(writer->header())));
    ASSERT_TRUE(writer->append("integrity", table.encode()));
    ASSERT_TRUE(writer->commit());
  }
};

TEST(Artifact, EachRuleOfTheFormatIsChecked) {
  Folder folder;
  std::string path = folder.file("forged.qopt");
  auto refused = [&](const char *expected, const std::function<void(Forgery &)> &change,
                     ElementFormat format = ElementFormat::U8) {
    Forgery forgery;
    change(forgery);
    forgery.write(path, format);
    Status status = openFully(path);
    ASSERT_FALSE(status) << expected;
    EXPECT_EQ(status.error().errorClass, ErrorClass::BadInput);
    EXPECT_NE(status.error().format().find(expected), std::string::npos) << status.error().format();
  };
  {
    Forgery sound;
    sound.write(path);
    Status status = openFully(path);
    ASSERT_TRUE(status) << status.error().format();
  }
  // The file.
  refused("multiple of 4096", [](Forgery &f) { f.alignment = {64, 64}; });
  refused("multiple of 64", [](Forgery &f) {
    f.alignment = {4096, 1};
    f.tensors[0].second.resize(100);
    f.manifest["weights"]["bytes"] = f.weightBytes = 100;
  });
  refused("U8", [](Forgery &f) {}, ElementFormat::I8);
  refused("another name", [](Forgery &f) { f.tensors[0].first = "weight.a"; });
  refused("another name", [](Forgery &f) { std::swap(f.tensors[1], f.tensors[2]); });
  refused("another name", [](Forgery &f) { std::swap(f.tensors[0], f.tensors[1]); });
  refused("another name", [](Forgery &f) { f.tensors[1].first = "code.1"; });
  refused("another name", [](Forgery &f) { f.tensors.pop_back(); });
  refused("targets", [](Forgery &f) { f.tensors.insert(f.tensors.begin() + 2, {"code.1", {}}); });
  refused("weights of 64 bytes, but got 128", [](Forgery &f) { f.manifest["weights"]["bytes"] = 64; });
  refused("integrity table of", [](Forgery &f) { f.weightBytes = 2 << 20; });
  refused("they are damaged", [](Forgery &f) { f.tensors[0].second[5] = std::byte(1); });
  refused("weights.a", [](Forgery &f) { f.tensors[0].second[5] = std::byte(1); });
  // The manifest.
  refused("format version 1 and ABI version 2, but got 2 and 2", [](Forgery &f) { f.manifest["format_version"] = 2; });
  refused("but got 1 and 7", [](Forgery &f) { f.manifest["abi_version"] = 7; });
  refused("missing key", [](Forgery &f) { f.manifest.erase("arena"); });
  refused("inputs", [](Forgery &f) { f.manifest["inputs"] = 3; });
  refused("outputs[0].channels", [](Forgery &f) { f.manifest["outputs"] = {{{"name", "x"}, {"channels", 0}}}; });
  refused("model.vocabulary", [](Forgery &f) { f.manifest["model"]["vocabulary"] = 0; });
  refused("model.vocabulary", [](Forgery &f) { f.manifest["model"]["vocabulary"] = 1.5; });
  refused("model.context", [](Forgery &f) { f.manifest["model"]["context"] = uint64_t(1) << 63; });
  refused("model.name", [](Forgery &f) { f.manifest["model"]["name"] = 3; });
  refused("unknown key \"colour\"", [](Forgery &f) { f.manifest["model"]["colour"] = 3; });
  refused("unknown key \"colour\"", [](Forgery &f) { f.manifest["colour"] = 3; });
  refused("cache.block_bytes", [](Forgery &f) { f.manifest["cache"]["block_bytes"] = 96; });
  refused("cache.block_tokens", [](Forgery &f) { f.manifest["cache"]["block_tokens"] = -1; });
  refused("arena.per_token", [](Forgery &f) { f.manifest["arena"]["per_token"] = int64_t(1) << 40; });
  refused("counters", [](Forgery &f) { f.manifest["counters"] = int64_t(1) << 40; });
  refused("missing key", [](Forgery &f) { f.manifest.erase("schedule"); });
  refused("schedule[0].times", [](Forgery &f) { f.manifest["schedule"] = {{{"times", 0}, {"dispatches", {}}}}; });
  refused("schedule[0].dispatches", [](Forgery &f) { f.manifest["schedule"] = {{{"times", 1}, {"dispatches", 3}}}; });
  refused("expected \"tokens\" or \"rows\"",
          [](Forgery &f) { f.manifest["schedule"][0]["dispatches"][0]["over"] = "x"; });
  refused("dispatches in all", [](Forgery &f) { f.manifest["schedule"][0]["times"] = 1 << 20; });
  refused("entry", [](Forgery &f) { f.manifest["entry"] = "system(1)"; });
  refused("targets", [](Forgery &f) { f.manifest["targets"] = nlohmann::ordered_json::array(); });
  refused("targets[0].features", [](Forgery &f) { f.manifest["targets"][0]["features"] = {1, 2}; });
  refused("targets[0].tensor", [](Forgery &f) { f.manifest["targets"][0]["tensor"] = "code.3"; });
  refused("provenance", [](Forgery &f) { f.manifest["provenance"] = 3; });
  refused("expected an object", [](Forgery &f) { f.manifest["model"] = {1}; });
  refused("expected an object", [](Forgery &f) { f.manifest = {1}; });
}

TEST(Artifact, OtherFilesAreRefusedByWhatTheyLack) {
  Folder folder;
  auto plan = planSafetensors({{"a", ElementFormat::F32, {1}}});
  auto writer = SafetensorsWriter::create(folder.file("plain.safetensors"), *plan, {});
  std::vector<std::byte> four(4);
  ASSERT_TRUE(writer->append("a", four));
  ASSERT_TRUE(writer->commit());
  Status status = openFully(folder.file("plain.safetensors"));
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().rule.find("no qopt.manifest"), std::string::npos);
  EXPECT_NE(status.error().next.find("qopt build"), std::string::npos);
  EXPECT_FALSE(openFully(folder.path)) << "a folder";
  EXPECT_FALSE(openFully(folder.file("nothing")));
}

/// So many objects within each other.
nlohmann::ordered_json nested(int levels) {
  nlohmann::ordered_json value = 1;
  for (int level = 0; level < levels; ++level) {
    nlohmann::ordered_json outer = nlohmann::ordered_json::object();
    outer["in"] = std::move(value);
    value = std::move(outer);
  }
  return value;
}

TEST(ArtifactWriter, RefusesWhatTheReaderWouldRefuse) {
  Folder folder;
  auto refused = [&](ErrorClass expected, const std::function<void(ArtifactDescription &)> &change) {
    Parts parts;
    change(parts.description);
    Result<std::unique_ptr<ArtifactWriter>> writer = ArtifactWriter::create(folder.file("m.qopt"), parts.description);
    ASSERT_FALSE(writer);
    EXPECT_EQ(writer.error().errorClass, expected) << writer.error().format();
    EXPECT_FALSE(std::filesystem::exists(folder.file("m.qopt")));
  };
  refused(ErrorClass::BadInput, [](ArtifactDescription &d) { d.manifest.model.vocabulary = 0; });
  refused(ErrorClass::BadInput, [](ArtifactDescription &d) { d.tokenizer = "{"; });
  refused(ErrorClass::BadInput, [](ArtifactDescription &d) { d.ledger = ""; });
  refused(ErrorClass::BadInput, [](ArtifactDescription &d) { d.weights[1].name = d.weights[0].name; });
  refused(ErrorClass::Bug, [](ArtifactDescription &d) { d.code.clear(); });
  // What the text of the manifest breaks: its depth, and a name that replacing broken UTF-8 made longer.
  refused(ErrorClass::BadInput, [](ArtifactDescription &d) { d.manifest.provenance = nested(32); });
  refused(ErrorClass::BadInput, [](ArtifactDescription &d) { d.manifest.model.name = std::string(2000, '\xFF'); });
}

TEST(ArtifactWriter, WritesProvenanceAsDeepAsTheReaderTakes) {
  Folder folder;
  Parts parts;
  parts.description.manifest.provenance = nested(31);
  Result<std::shared_ptr<const ArtifactReader>> reader = ArtifactReader::open(written(folder, parts));
  ASSERT_TRUE(reader) << reader.error().format();
  EXPECT_EQ((*reader)->manifest().provenance, nested(31));
}

TEST(ArtifactWriter, LeavesNothingWhereWeightsAreMissingOrTooMany) {
  Folder folder;
  Parts parts;
  {
    auto writer = std::move(*ArtifactWriter::create(folder.file("m.qopt"), parts.description));
    ASSERT_TRUE(writer->append(parts.weights[0]));
    Status finished = writer->finish();
    ASSERT_FALSE(finished);
    EXPECT_NE(finished.error().rule.find("weights.bias"), std::string::npos) << finished.error().rule;
  }
  {
    auto writer = std::move(*ArtifactWriter::create(folder.file("m.qopt"), parts.description));
    for (const std::vector<std::byte> &weight : parts.weights)
      ASSERT_TRUE(writer->append(weight));
    EXPECT_FALSE(writer->append(std::vector<std::byte>(1)));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
}

} // namespace
