// Encoding and decoding: against ids of the `tokenizers` package (fixtures by tools/dev/tokenizer_fixtures.py), round
// trips of broken UTF-8, streams, long runs.
#include "lib/Runtime/Text/Tokenizer.h"
#include "lib/Runtime/Text/ByteAlphabet.h"
#include "lib/Runtime/Text/StrictJson.h"
#include "lib/Runtime/Text/TokenizerLoaders.h"
#include "lib/Runtime/Text/Utf8.h"
#include "tests/unit/Text/Fixtures.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <set>
#include <sstream>
#include <thread>

using namespace qopt;

/// The tokenizer of a fixture, through the form that an artifact holds.
static Result<Tokenizer> loadFixture(const std::string &name) {
  const std::string json = readFixture(name);
  Result<TokenizerSpec> spec = loadHuggingFaceTokenizer({.tokenizer = json});
  if (!spec)
    return spec.takeError();
  Result<TokenizerSpec> again = TokenizerSpec::fromJson(spec->toJson());
  if (!again)
    return again.takeError();
  if (!(*again == *spec))
    return badInput("the spec changed on its way through JSON");
  return Tokenizer::create(std::move(*again));
}

class HuggingFaceIds : public testing::TestWithParam<const char *> {};

TEST_P(HuggingFaceIds, areEqual) {
  const std::string name = GetParam();
  Result<Tokenizer> tokenizer = loadFixture(name + ".json");
  ASSERT_TRUE(tokenizer) << tokenizer.error().format();
  std::istringstream lines(readFixture(name + ".ids.jsonl"));
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    auto parsed = parseStrictJson<nlohmann::json>(line, "line");
    ASSERT_TRUE(parsed);
    const auto text = (*parsed)[0].get<std::string>();
    const auto recognized = (*parsed)[1].get<std::vector<int32_t>>();
    Result<Encoding> first = tokenizer->encode(text);
    Result<Encoding> second = tokenizer->encode(text, {.recognizeSpecial = false, .addSpecial = true});
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->ids, recognized) << text;
    EXPECT_EQ(second->ids, (*parsed)[2].is_null() ? recognized : (*parsed)[2].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(first->droppedBytes, 0u);
  }
  EXPECT_GE(count, 250u);
}

INSTANTIATE_TEST_SUITE_P(Text, HuggingFaceIds, testing::Values("gpt2", "llama3"));

TEST(Tokenizer, brokenUtf8SurvivesTheRoundTrip) {
  for (const char *name : {"gpt2.json", "llama3.json"}) {
    Result<Tokenizer> tokenizer = loadFixture(name);
    ASSERT_TRUE(tokenizer);
    std::mt19937 random(5);
    const EncodeOptions plain{.recognizeSpecial = false, .addSpecial = false};
    for (int round = 0; round < 2000; ++round) {
      std::string text;
      const size_t length = random() % 40;
      while (text.size() < length) {
        switch (random() % 4) {
        case 0:
          text += static_cast<char>(random() % 256);
          break;
        case 1:
          text += static_cast<char>(0x80 + random() % 128);
          break;
        case 2:
          appendUtf8(text, random() % 0xD800);
          break;
        default:
          text += " a1'"[random() % 4];
        }
      }
      if (text.find("both") != std::string::npos || text.find("<plain>") != std::string::npos)
        continue;
      Result<Encoding> encoding = tokenizer->encode(text, plain);
      ASSERT_TRUE(encoding);
      EXPECT_EQ(encoding->droppedBytes, 0u);
      Result<std::string> back = tokenizer->decode(encoding->ids);
      ASSERT_TRUE(back);
      EXPECT_EQ(*back, text);

      std::set<size_t> boundaries = {0}; // where no character of the text is split
      for (size_t at = 0; at < text.size();)
        boundaries.insert(at += utf8Step(std::string_view(text).substr(at)).length);
      StreamDecoder stream(*tokenizer);
      std::string streamed;
      for (int32_t id : encoding->ids) {
        Result<std::string> piece = stream.push(id);
        ASSERT_TRUE(piece);
        streamed += *piece;
        EXPECT_TRUE(boundaries.contains(streamed.size())) << "round " << round << ", byte " << streamed.size();
      }
      EXPECT_EQ(streamed + stream.flush(), text);
      EXPECT_EQ(stream.flush(), "");
    }
  }
}

TEST(Tokenizer, streamsWholeCharacters) {
  Result<Tokenizer> tokenizer = loadFixture("gpt2.json");
  ASSERT_TRUE(tokenizer);
  StreamDecoder stream(*tokenizer, /*skipSpecial=*/true);
  std::vector<std::string> pieces;
  for (char byte : std::string("\xF0\x9F\x98\x80\xF0\x9F\x41")) { // a whole emoji, half of one, and a letter
    const std::string token = tokenOfBytes(std::string(1, byte));
    const std::optional<int32_t> id = tokenizer->findToken(token);
    ASSERT_TRUE(id);
    pieces.push_back(*stream.push(*id));
  }
  EXPECT_EQ(pieces, (std::vector<std::string>{"", "", "", "\xF0\x9F\x98\x80", "", "", "\xF0\x9F\x41"}));
  EXPECT_EQ(*stream.push(*tokenizer->findToken("<|end|>")), "");
  EXPECT_FALSE(stream.push(tokenizer->vocabularySize()));
  EXPECT_FALSE(stream.push(-1));
}

TEST(Tokenizer, specialTokens) {
  Result<Tokenizer> tokenizer = loadFixture("llama3.json");
  ASSERT_TRUE(tokenizer);
  const int32_t begin = *tokenizer->findToken("<|begin|>"), end = *tokenizer->findToken("<|end|>");
  EXPECT_EQ(tokenizer->encode("")->ids, std::vector<int32_t>{begin});
  EXPECT_EQ(tokenizer->encode("", {.recognizeSpecial = true, .addSpecial = false})->ids, std::vector<int32_t>{});
  EXPECT_EQ(tokenizer->encode("<|end|>")->ids, (std::vector<int32_t>{begin, end}));
  EXPECT_GT(tokenizer->encode("<|end|>", {.recognizeSpecial = false})->ids.size(), 3u);
  EXPECT_TRUE(tokenizer->isSpecial(end));
  const int32_t ids[] = {begin, *tokenizer->findToken("a"), end};
  EXPECT_EQ(*tokenizer->decode(ids), "<|begin|>a<|end|>");
  EXPECT_EQ(*tokenizer->decode(ids, /*skipSpecial=*/true), "a");
  const int32_t outside[] = {tokenizer->vocabularySize()};
  EXPECT_EQ(tokenizer->decode(outside).error().errorClass, ErrorClass::Usage);
}

TEST(Tokenizer, longRunsTakeNoQuadraticTime) {
  for (const char *name : {"gpt2.json", "llama3.json"}) {
    Result<Tokenizer> tokenizer = loadFixture(name);
    ASSERT_TRUE(tokenizer);
    for (const char *unit : {"a", " ", "\n", "=", "ab", "\xFF", "1", " \n", "'"}) {
      std::string text;
      while (text.size() < 1000000)
        text += unit;
      const auto start = std::chrono::steady_clock::now();
      Result<Encoding> encoding = tokenizer->encode(text, {.recognizeSpecial = true, .addSpecial = false});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      ASSERT_TRUE(encoding);
      EXPECT_EQ(*tokenizer->decode(encoding->ids), text);
      // Quadratic time would be hours; a sanitizer on a busy machine is still far below this.
      EXPECT_LT(seconds, 20) << escapeForMessage(unit);
    }
  }
}

/// Short and long pieces take different ways to the same merges.
TEST(Tokenizer, longPiecesMergeAsShortOnesDo) {
  TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.emplace_back();
    appendUtf8(spec.tokens.back(), byteToCharacter(static_cast<uint8_t>(byte)));
  }
  std::mt19937 random(11);
  std::vector<int32_t> made = {'a', 'b', 'c'};
  while (spec.merges.size() < 200) {
    const int32_t left = made[random() % made.size()], right = made[random() % made.size()];
    const std::string text = spec.tokens[left] + spec.tokens[right];
    if (text.size() > 20 || std::find(spec.tokens.begin(), spec.tokens.end(), text) != spec.tokens.end())
      continue;
    made.push_back(static_cast<int32_t>(spec.tokens.size()));
    spec.tokens.push_back(text);
    spec.merges.emplace_back(left, right);
  }
  spec.preTokenizer.resize(1);
  spec.preTokenizer[0].kind = PreTokenizerStep::Kind::ByteLevel; // no expression: the text is one piece
  Result<Tokenizer> tokenizer = Tokenizer::create(spec);
  ASSERT_TRUE(tokenizer) << tokenizer.error().format();
  for (int round = 0; round < 500; ++round) {
    std::vector<int32_t> symbols;
    std::string text;
    for (size_t i = 0, length = 1 + random() % 120; i < length; ++i)
      text += "abc"[random() % 3];
    for (char c : text)
      symbols.push_back(c);
    for (;;) { // the definition, word for word
      size_t bestRank = spec.merges.size(), bestAt = 0;
      for (size_t i = 0; i + 1 < symbols.size(); ++i)
        for (size_t rank = 0; rank < bestRank; ++rank)
          if (spec.merges[rank] == std::pair(symbols[i], symbols[i + 1])) {
            bestRank = rank;
            bestAt = i;
          }
      if (bestRank == spec.merges.size())
        break;
      symbols[bestAt] = static_cast<int32_t>(256 + bestRank);
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(bestAt) + 1);
    }
    EXPECT_EQ(tokenizer->encode(text)->ids, symbols) << text;
  }
}

TEST(Tokenizer, countsBytesWithoutTokens) {
  TokenizerSpec spec;
  spec.tokens = {"a", "b", "ab", "<unk>"};
  spec.merges = {{0, 1}};
  spec.preTokenizer.resize(1);
  spec.preTokenizer[0].kind = PreTokenizerStep::Kind::ByteLevel;
  Result<Tokenizer> dropping = Tokenizer::create(spec);
  ASSERT_TRUE(dropping);
  for (int round = 0; round < 2; ++round) { // also when the word has been seen before
    Result<Encoding> encoding = dropping->encode("axxb");
    EXPECT_EQ(encoding->ids, std::vector<int32_t>{2}); // as in Hugging Face, the neighbours of a dropped byte merge
    EXPECT_EQ(encoding->droppedBytes, 2u);
  }
  spec.unknown = 3;
  EXPECT_EQ(Tokenizer::create(spec)->encode("axxb")->ids, (std::vector<int32_t>{0, 3, 3, 1}));
  spec.fuseUnknown = true;
  EXPECT_EQ(Tokenizer::create(spec)->encode("axxb")->ids, (std::vector<int32_t>{0, 3, 1}));
}

TEST(Tokenizer, prefixSpace) {
  const std::string json = readFixture("gpt2.json");
  Result<TokenizerSpec> spec = loadHuggingFaceTokenizer({.tokenizer = json});
  ASSERT_TRUE(spec);
  Result<Tokenizer> without = Tokenizer::create(*spec);
  spec->preTokenizer.erase(spec->preTokenizer.begin()); // Digits, whose pieces would each get a space
  spec->preTokenizer.back().addPrefixSpace = true;
  Result<Tokenizer> with = Tokenizer::create(*spec);
  ASSERT_TRUE(with && without);
  EXPECT_EQ(with->encode("word and word")->ids, without->encode(" word and word")->ids);
  EXPECT_EQ(with->encode(" word")->ids, without->encode(" word")->ids);
}

TEST(Tokenizer, runsOnManyThreads) {
  Result<Tokenizer> tokenizer = loadFixture("gpt2.json");
  ASSERT_TRUE(tokenizer);
  const std::string text = readFixture("chat_templates.json").substr(0, 50000);
  const std::vector<int32_t> expected = tokenizer->encode(text)->ids;
  std::vector<std::thread> threads;
  std::atomic<int> different = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round)
        different += tokenizer->encode(text)->ids != expected;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(different, 0);
}
