// Artifacts around fake_model.c, and the model's answers computed a second time, in the plainest way.
#ifndef QOPT_TESTS_UNIT_RUNTIME_FAKEMODEL_H
#define QOPT_TESTS_UNIT_RUNTIME_FAKEMODEL_H

#include "lib/Artifact/ArtifactWriter.h"
#include "lib/Runtime/CpuFeatures.h"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <unistd.h>
#include <vector>

namespace qopt::fake {

inline constexpr int64_t kVocabulary = 101, kHidden = 8, kContext = 64;
inline constexpr int32_t kProbe = 100;

inline std::vector<std::byte> readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  auto *bytes = reinterpret_cast<const std::byte *>(text.data());
  return {bytes, bytes + text.size()};
}

inline void writeFile(const std::string &path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline uint32_t word(int64_t token) { return static_cast<uint32_t>(token * 2654435761u + 12345); }
inline uint8_t bias(int64_t v) { return static_cast<uint8_t>(v * 7 + 3); }

inline Manifest manifest() {
  Manifest m;
  m.model = {"fake", "integers", kVocabulary, kHidden, 2, kContext};
  m.cache = {4, 64, "u32"};
  m.arena = {64, 8, 8};
  m.counters = 5;
  m.schedule = {{1, {{"embed", false, 0, 0}, {"mix", false, 448, 10}}}, {2, {{"finish", true, 3, 7}}}};
  m.targets = {{"any", hostCpu().architecture, {}, ""}};
  m.provenance = {{"test", true}};
  return m;
}

/// What goes into the artifact; a test changes it as it likes. The third weight fills more than two pieces of 1 MiB.
struct Parts {
  ArtifactDescription description;
  std::vector<std::vector<std::byte>> weights;

  Parts() {
    description.manifest = manifest();
    description.ledger = R"({"rows":[]})";
    description.generation = R"({"eos":[2]})";
    description.tokenizer = R"({"model":"none"})";
    description.code = {readFile(QOPT_FAKE_MODEL)};
    std::vector<std::byte> words(kVocabulary * 4), biases(kVocabulary), filler((5 << 19) + 77);
    for (int64_t i = 0; i < kVocabulary; ++i) {
      uint32_t value = word(i);
      std::memcpy(words.data() + 4 * i, &value, 4);
      biases[i] = static_cast<std::byte>(bias(i));
    }
    for (size_t i = 0; i < filler.size(); ++i)
      filler[i] = static_cast<std::byte>(i * 2654435761u >> 13);
    weights = {words, biases, filler};
    description.weights = {{"words", words.size()}, {"bias", biases.size()}, {"filler", filler.size()}};
  }

  void write(const std::string &path) const {
    Result<std::unique_ptr<ArtifactWriter>> writer = ArtifactWriter::create(path, description);
    ASSERT_TRUE(writer) << writer.error().format();
    for (const std::vector<std::byte> &weight : weights) {
      // In two parts: weights arrive as a stream.
      Status first = (*writer)->append(std::span(weight).first(weight.size() / 2));
      ASSERT_TRUE(first) << first.error().format();
      Status second = (*writer)->append(std::span(weight).subspan(weight.size() / 2));
      ASSERT_TRUE(second) << second.error().format();
    }
    Status finished = (*writer)->finish();
    ASSERT_TRUE(finished) << finished.error().format();
  }
};

/// A folder that disappears with the test.
class Folder {
public:
  Folder() : path(testing::TempDir() + "qopt-" + std::to_string(getpid()) + "-" + unique()) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string &name) const { return path + "/" + name; }
  const std::string path;

private:
  static std::string unique() {
    const testing::TestInfo *test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = test ? std::string(test->test_suite_name()) + "-" + test->name() : "global";
    for (char &c : name)
      c = c == '/' ? '-' : c;
    return name;
  }
};

inline uint32_t mix(uint32_t hash, uint32_t value) {
  hash = (hash ^ value) * 0x9E3779B1u;
  return hash ^ (hash >> 15);
}

/// Logits after the last of `tokens`, without cache, batch or threads: [vocabulary].
inline std::vector<float> expectedLogits(std::span<const int32_t> tokens) {
  uint32_t first = 17, second = 17;
  for (size_t p = 0; p < tokens.size(); ++p) {
    first = mix(first, mix(word(tokens[p]), static_cast<uint32_t>(p)));
    second = mix(second, first);
  }
  std::vector<float> logits(kVocabulary);
  for (int64_t v = 0; v < kVocabulary; ++v)
    logits[v] = static_cast<float>(mix(second, static_cast<uint32_t>(v) + bias(v)) >> 8);
  return logits;
}

} // namespace qopt::fake

#endif // QOPT_TESTS_UNIT_RUNTIME_FAKEMODEL_H
