// Loading tokenizers: what is read from GGUF metadata and Hugging Face files, and what is refused, by name.
#include "lib/Runtime/Text/TokenizerLoaders.h"
#include "lib/Runtime/Text/Regex.h"
#include "lib/Runtime/Text/StrictJson.h"
#include "lib/Runtime/Text/Tokenizer.h"
#include "tests/unit/Text/Fixtures.h"

#include <gtest/gtest.h>

#include <functional>

using namespace qopt;
using nlohmann::json;

//===--- Hugging Face ---------------------------------------------------------------------------------------------===//

static json fixture() {
  return json::parse(R"({"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 3, "content": "<e>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
              "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
              "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})");
}

static Result<TokenizerSpec> load(const json &document) {
  const std::string text = document.dump();
  return loadHuggingFaceTokenizer({.tokenizer = text});
}

TEST(HuggingFaceTokenizer, reads) {
  Result<TokenizerSpec> spec = load(fixture());
  ASSERT_TRUE(spec) << spec.error().format();
  EXPECT_EQ(spec->tokens, (std::vector<std::string>{"a", "b", "ab", "<e>"}));
  EXPECT_EQ(spec->merges, (std::vector<std::pair<int32_t, int32_t>>{{0, 1}}));
  ASSERT_EQ(spec->added.size(), 1u);
  EXPECT_TRUE(spec->added[0].special);
  EXPECT_TRUE(spec->preTokenizer.at(0).useRegex);
  json oldMerges = fixture();
  oldMerges["model"]["merges"] = {"a b"};
  EXPECT_EQ(load(oldMerges)->merges, spec->merges);
}

TEST(HuggingFaceTokenizer, readsTheFilesBeside) {
  const std::string text = fixture().dump();
  Result<TokenizerSpec> spec = loadHuggingFaceTokenizer(
      {.tokenizer = text,
       .tokenizerConfig = R"({"bos_token": {"content": "a"}, "eos_token": "<e>", "chat_template":
           [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})",
       .generationConfig = R"({"eos_token_id": [3, 0, 3]})"});
  ASSERT_TRUE(spec) << spec.error().format();
  EXPECT_EQ(spec->bos, 0);
  EXPECT_EQ(spec->eos, 3);
  EXPECT_EQ(spec->stops, (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(spec->chatTemplate, "d");
  EXPECT_FALSE(spec->addBos);
  EXPECT_EQ(*TokenizerSpec::fromJson(spec->toJson()), *spec);
  spec = loadHuggingFaceTokenizer(
      {.tokenizer = text, .tokenizerConfig = R"({"eos_token": "<e>", "chat_template": "c"})", .chatTemplate = "file"});
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->stops, std::vector<int32_t>{3});
  EXPECT_EQ(spec->chatTemplate, "file");
  for (const char *bad : {R"({"eos_token": "nowhere"})", R"({"eos_token": 3})", R"({"chat_template": 3})", "[]", "{",
                          R"({"chat_template": [{"name": "x", "template": "d"}]})"})
    EXPECT_FALSE(loadHuggingFaceTokenizer({.tokenizer = text, .tokenizerConfig = bad})) << bad;
  for (const char *bad : {R"({"eos_token_id": 4})", R"({"eos_token_id": -1})", R"({"eos_token_id": "x"})", "null"})
    EXPECT_FALSE(loadHuggingFaceTokenizer({.tokenizer = text, .generationConfig = bad})) << bad;
}

TEST(HuggingFaceTokenizer, postProcessor) {
  json document = fixture();
  document["post_processor"] = json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "<e>", "type_id": 0}}],
    "pair": [], "special_tokens": {"a": {"id": "a", "ids": [0], "tokens": ["a"]},
                                   "<e>": {"id": "<e>", "ids": [3], "tokens": ["<e>"]}}})");
  Result<TokenizerSpec> spec = load(document);
  ASSERT_TRUE(spec) << spec.error().format();
  EXPECT_TRUE(spec->addBos && spec->addEos);
  EXPECT_EQ(spec->bos, 0);
  EXPECT_EQ(spec->eos, 3);
  // A configuration that names another token is a contradiction, not a second opinion.
  const std::string text = document.dump();
  EXPECT_FALSE(loadHuggingFaceTokenizer({.tokenizer = text, .tokenizerConfig = R"({"bos_token": "b"})"}));
  document["post_processor"]["single"].insert(document["post_processor"]["single"].begin(),
                                              document["post_processor"]["single"][0]);
  EXPECT_FALSE(load(document));
}

TEST(HuggingFaceTokenizer, refuses) {
  const struct {
    const char *pointer, *value, *message;
  } cases[] = {
      {"/model/type", R"("WordPiece")", "unsupported tokenizer model 'WordPiece'"},
      {"/model/dropout", "0.1", "unsupported dropout = '0.1'"},
      {"/model/byte_fallback", "true", "unsupported byte_fallback"},
      {"/model/continuing_subword_prefix", R"("##")", "unsupported continuing_subword_prefix"},
      {"/model/new_option", "1", "unknown key 'new_option'"},
      {"/model/unk_token", R"("?")", "unk_token '?' is not in the vocabulary"},
      {"/model/vocab/b", "7", "expected ids 0 to 2, each once, but token 'b' has 7"},
      {"/model/vocab/b", "0", "id 0 belongs to two tokens"},
      {"/model/vocab/b", "-1", "expected ids 0 to 2"},
      {"/model/vocab", "[]", "expected 'vocab' to be an object"},
      {"/model/merges", R"([["a", "x"]])", "merge of 'x', which is not in the vocabulary"},
      {"/model/merges", R"([["b", "a"]])", "make 'ba', which is not in the vocabulary"},
      {"/model/merges", R"([["a", "b"], ["a", "b"]])", "duplicate merge of 'a' and 'b'"},
      {"/model/merges", R"(["ab"])", "expected two tokens with a space between"},
      {"/model/merges", R"(["a b a"])", "expected two tokens with a space between"},
      {"/model/merges", R"([["a"]])", "expected two tokens"},
      {"/model/merges", "7", "expected 'merges' to be an array"},
      {"/normalizer", R"({"type": "NFC"})", "unsupported normalizer 'NFC'"},
      {"/decoder", "null", "unsupported decoder"},
      {"/decoder/type", R"("Metaspace")", "unsupported decoder 'Metaspace'"},
      {"/post_processor", R"({"type": "BertProcessing"})", "unsupported post-processor 'BertProcessing'"},
      {"/pre_tokenizer", "null", "unsupported pre-tokenizer"},
      {"/pre_tokenizer/type", R"("Metaspace")", "unsupported pre-tokenizer 'Metaspace'"},
      {"/pre_tokenizer", R"({"type": "Digits", "individual_digits": true})", "expected the pre-tokenizer's last step"},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "MergedWithNext", "invert": false})",
       "unsupported behavior"},
      {"/added_tokens/0/single_word", "true", "unsupported single_word"},
      {"/added_tokens/0/content", R"("ab")", "duplicate token: id 3, but also id 2"},
      {"/added_tokens/0/id", "9", "expected the next free id, 3, but got 9"},
      {"/added_tokens/0/id", "-3", "expected 'id' to be a token id"},
      {"/added_tokens/0/lstrip", R"("yes")", "expected 'lstrip' to be a boolean"},
      {"/version", R"("2.0")", "unsupported version"},
      {"/surprise", "1", "unknown key 'surprise'"},
  };
  for (const auto &one : cases) {
    json document = fixture();
    document[json::json_pointer(one.pointer)] = json::parse(one.value);
    Result<TokenizerSpec> spec = load(document);
    ASSERT_FALSE(spec) << one.pointer << " = " << one.value;
    EXPECT_NE(spec.error().rule.find(one.message), std::string::npos) << one.pointer << "\n" << spec.error().format();
    EXPECT_EQ(spec.error().where.find("tokenizer.json"), 0u) << spec.error().format();
  }
}

TEST(HuggingFaceTokenizer, refusesMalformedJson) {
  const std::string good = fixture().dump();
  for (size_t length = 0; length < good.size(); length += 7)
    EXPECT_FALSE(loadHuggingFaceTokenizer({.tokenizer = std::string_view(good).substr(0, length)}));
  EXPECT_FALSE(loadHuggingFaceTokenizer({.tokenizer = std::string(1000000, '[')}));
  std::string deep;
  for (int i = 0; i < 100000; ++i)
    deep += "{\"a\":";
  Result<TokenizerSpec> spec = loadHuggingFaceTokenizer({.tokenizer = deep});
  ASSERT_FALSE(spec);
  EXPECT_NE(spec.error().rule.find("nesting deeper than 64"), std::string::npos) << spec.error().format();
  EXPECT_FALSE(loadHuggingFaceTokenizer({.tokenizer = good + " x"}));
  spec = loadHuggingFaceTokenizer({.tokenizer = R"({"model": 1, "model": 2})"});
  ASSERT_FALSE(spec);
  EXPECT_NE(spec.error().rule.find("duplicate key 'model'"), std::string::npos);
  EXPECT_FALSE(loadHuggingFaceTokenizer({.tokenizer = "{\"model\": \"\xFF\"}"}));
}

TEST(StrictJson, boundsTheNumberOfValues) {
  const StrictJsonLimits three{.values = 3};
  for (const char *text : {"[1, 2]", R"({"a": 1, "b": {}})", "[[[]]]", R"([null, "x"])"})
    EXPECT_TRUE(parseStrictJson<json>(text, "text", three)) << text;
  for (const char *text : {"[1, 2, 3]", R"({"a": 1, "b": {}, "c": []})", "[[[[]]]]", R"([null, "x", 1.5])"}) {
    Result<json> parsed = parseStrictJson<json>(text, "text", three);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().rule, "more than 3 values");
    EXPECT_EQ(parsed.error().where, "text");
  }
  // Under a key that nobody reads, which is refused before that is known.
  std::string many = R"({"surprise": [[])";
  for (int i = 0; i < 5'000'000; ++i)
    many += ",[]";
  Result<TokenizerSpec> spec = loadHuggingFaceTokenizer({.tokenizer = many + "]}"});
  ASSERT_FALSE(spec);
  EXPECT_NE(spec.error().rule.find("more than 4194304 values"), std::string::npos) << spec.error().format();
  // A vocabulary of 256k and 500k merges as pairs, the largest there are.
  std::string large = R"({"vocab": [0)";
  for (int i = 1; i < 256'000; ++i)
    large += ",0";
  large += R"(], "merges": [["",""])";
  for (int i = 1; i < 500'000; ++i)
    large += R"(,["",""])";
  EXPECT_TRUE(parseStrictJson<json>(large + "]}", "text"));
}

/// Every value of every place replaced by every kind of value: an error or a tokenizer, never a crash or an exception.
TEST(HuggingFaceTokenizer, survivesWrongTypes) {
  json full = fixture();
  full["post_processor"] = json::parse(R"({"type": "Sequence", "processors": [{"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"a": {"id": "a", "ids": [0], "tokens": ["a"]}}}]})");
  full["pre_tokenizer"] = json::parse(R"({"type": "Sequence", "pretokenizers": [
    {"type": "Digits", "individual_digits": true},
    {"type": "Split", "pattern": {"String": "a.b"}, "behavior": "Removed", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]})");
  ASSERT_TRUE(load(full)) << load(full).error().format();
  const json flat = full.flatten();
  const json values[] = {nullptr,
                         true,
                         0,
                         -1,
                         18446744073709551615u,
                         1.5,
                         "",
                         "x",
                         json::array(),
                         json::object(),
                         json::array({json::object()}),
                         json::object({{"type", 1}})};
  for (auto item = flat.begin(); item != flat.end(); ++item)
    for (json::json_pointer place(item.key()); !place.empty(); place.pop_back())
      for (const json &value : values) {
        json broken = full;
        broken[place] = value;
        Result<TokenizerSpec> spec = load(broken);
        EXPECT_TRUE(spec || !spec.error().rule.empty());
        if (spec)
          (void)Tokenizer::create(std::move(*spec));
      }
}

TEST(TokenizerSpecJson, isStrictAndStable) {
  Result<TokenizerSpec> spec = load(fixture());
  ASSERT_TRUE(spec);
  spec->chatTemplate = "{{ 'é\n' }}";
  spec->preTokenizer.insert(spec->preTokenizer.begin(), 2, PreTokenizerStep());
  spec->preTokenizer[0].pattern = "a+";
  spec->preTokenizer[0].behavior = PreTokenizerStep::Behavior::Contiguous;
  spec->preTokenizer[1].kind = PreTokenizerStep::Kind::Digits;
  spec->preTokenizer[1].individual = true;
  const std::string text = spec->toJson();
  Result<TokenizerSpec> again = TokenizerSpec::fromJson(text);
  ASSERT_TRUE(again) << again.error().format();
  EXPECT_EQ(*again, *spec);
  EXPECT_EQ(again->toJson(), text);

  const json document = json::parse(text);
  for (auto item = document.begin(); item != document.end(); ++item) {
    json missing = document;
    missing.erase(item.key());
    Result<TokenizerSpec> broken = TokenizerSpec::fromJson(missing.dump());
    ASSERT_FALSE(broken) << item.key();
    EXPECT_NE(broken.error().rule.find("missing key '" + item.key() + "'"), std::string::npos)
        << broken.error().format();
  }
  json surplus = document;
  surplus["more"] = 1;
  EXPECT_NE(TokenizerSpec::fromJson(surplus.dump()).error().rule.find("unknown key 'more'"), std::string::npos);
  const json flat = document.flatten();
  const json values[] = {nullptr, true, -1, 4294967296, 1.5, "x", json::array(), json::object(), json::array({1})};
  size_t refused = 0;
  for (auto item = flat.begin(); item != flat.end(); ++item)
    for (json::json_pointer place(item.key()); !place.empty(); place.pop_back())
      for (const json &value : values) {
        json broken = document;
        broken[place] = value;
        Result<TokenizerSpec> parsed = TokenizerSpec::fromJson(broken.dump());
        refused += !parsed || !Tokenizer::create(std::move(*parsed));
      }
  EXPECT_GT(refused, 400u);
}

TEST(Regex, refusesWhatEnginesDisagreeOn) {
  for (const char *pattern : {"\\w+",
                              "\\bfoo",
                              "a[\\W]",
                              "[a&&b]",
                              "[[:alpha:]]",
                              "\\X",
                              "\\R",
                              "a*",
                              "(",
                              "\\K",
                              "\\1",
                              "[]a]",
                              "a\\",
                              "\\h",
                              "\xFF",
                              "(?:a|b*)",
                              "\\s++$",
                              "^a",
                              "\\p{N}{1,3}+",
                              "(?m)a",
                              "(?is:a)",
                              "(?P<n>a)",
                              "\\p{Alphabetic}",
                              "\\p{Nowhere}",
                              "\\p{L",
                              "h{,2}e",
                              "h{,}e",
                              "h{1}?e",
                              "\\p{N}{13}?",
                              "h(?i)e|l",
                              "(?:(?i)e)",
                              "(?i)h(?-i)e",
                              "(?i)(?)e",
                              "[\\s-X]",
                              "[a\\d-X]",
                              "[\\p{L}-\\x{ff}]",
                              "[\\s-\\s]",
                              "[\\x01-\\s]",
                              "[ab-\\p{L}]",
                              "(*SKIP)l|o",
                              "a(*ACCEPT)b",
                              "(*UCP)a",
                              "(?#[)^a",
                              "\\xe9"}) {
    TokenizerSpec spec = *load(fixture());
    spec.preTokenizer.insert(spec.preTokenizer.begin(), PreTokenizerStep());
    spec.preTokenizer[0].pattern = pattern;
    Result<Tokenizer> tokenizer = Tokenizer::create(spec);
    ASSERT_FALSE(tokenizer) << pattern;
    EXPECT_NE(tokenizer.error().rule.find("unsupported regular expression"), std::string::npos)
        << tokenizer.error().format();
  }
}

/// What looks like something that is refused, and what known tokenizers use.
TEST(Regex, takesWhatEnginesAgreeOn) {
  const struct {
    const char *pattern, *text;
    size_t start, end; ///< of the first match
  } cases[] = {
      {R"(h\{,2}e)", "he h{,2}e", 3, 9},
      {R"([{,]+)", "a{,", 1, 3},
      {R"(h{1,2}?e)", "hhe", 0, 3},
      {R"(h{1,}?)", "hhe", 0, 1},
      {R"(h{2}e)", "hhe", 0, 3},
      {R"(\(*a)", "((a", 0, 3},
      {R"(\(\*a)", "(*a", 0, 3},
      {R"([(*]+)", "a(*", 1, 3},
      {R"([(?i)]+)", "a(?i)", 1, 5},
      {R"((?i)he|l)", "L", 0, 1},
      {R"(h(?i:e)|l)", "LhE", 1, 3},
      {R"((?i-:e))", "E", 0, 1},
      {R"([\s-]+)", "a- -", 1, 4},
      {R"([-\s]+)", "a- -", 1, 4},
      {R"([^-\s]+)", "- a", 2, 3},
      {R"([\s\-X]+)", "W-X", 1, 3},
      {R"([a\-\s]+)", "b-a ", 1, 4},
      {R"([a-c\s]+)", "-b ", 1, 3},
      {R"(\s-X)", " -X", 0, 3},
      {R"(\x{41}?b)", "Ab", 0, 2},
      {R"(\x{41}+)", "AA", 0, 2},
      {R"(\x41)", "A", 0, 1},
      {R"(\p{L}{1}\pN)", "a1", 0, 2},
      {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", " it", 0, 3}, // gpt-2
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       "'S", 0, 2}, // llama 3
      {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
       R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
       R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       "It's it", 0, 4}, // o200k
      {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s+)",
       "-ab", 0, 3}, // deepseek v3
  };
  for (const auto &one : cases) {
    Result<Regex> regex = Regex::compile(one.pattern);
    ASSERT_TRUE(regex) << regex.error().format();
    Regex::Matcher matcher = regex->matcher();
    Regex::Match match{0, 0};
    bool failed = false;
    ASSERT_TRUE(matcher.find(one.text, 0, match, failed)) << one.pattern;
    EXPECT_EQ(match.start, one.start) << one.pattern;
    EXPECT_EQ(match.end, one.end) << one.pattern;
  }
}

TEST(Regex, scriptsAreWithoutTheirExtensions) {
  const std::string text = "\u597d\u3001\u597d"; // the comma is used with Han, and is of no script
  for (const char *pattern : {"\\p{Han}+", "[\\p{Han}]+", "\\p{L}{1,3}"}) {
    Result<Regex> regex = Regex::compile(pattern);
    ASSERT_TRUE(regex) << regex.error().format();
    Regex::Matcher matcher = regex->matcher();
    Regex::Match match;
    bool failed = false;
    ASSERT_TRUE(matcher.find(text, 0, match, failed)) << pattern;
    EXPECT_EQ(match.end - match.start, 3u) << pattern;
  }
  Result<Regex> rest = Regex::compile("\\P{Han}+");
  ASSERT_TRUE(rest) << rest.error().format();
  Regex::Matcher matcher = rest->matcher();
  Regex::Match match;
  bool failed = false;
  ASSERT_TRUE(matcher.find(text, 0, match, failed));
  EXPECT_EQ(match.start, 3u);
}

//===--- GGUF -----------------------------------------------------------------------------------------------------===//

namespace {
struct Gguf {
  std::vector<std::string> tokens = {"a", "b", "ab", "<e>", "<u>"};
  std::vector<int32_t> types = {1, 1, 1, 3, 4};
  std::vector<std::string> merges = {"a b"};
  GgufTokenizerMetadata metadata;

  Gguf() {
    metadata.model = "gpt2";
    metadata.pre = "smollm";
    metadata.eos = 3;
  }
  Result<TokenizerSpec> load() {
    metadata.tokens = tokens;
    metadata.tokenTypes = types;
    metadata.merges = merges;
    return loadGgufTokenizer(metadata);
  }
};
} // namespace

TEST(GgufTokenizer, reads) {
  Gguf gguf;
  gguf.metadata.bos = 0;
  gguf.metadata.otherStops = {4, 3};
  gguf.metadata.chatTemplate = "t";
  Result<TokenizerSpec> spec = gguf.load();
  ASSERT_TRUE(spec) << spec.error().format();
  EXPECT_EQ(spec->merges, (std::vector<std::pair<int32_t, int32_t>>{{0, 1}}));
  ASSERT_EQ(spec->added.size(), 2u);
  EXPECT_TRUE(spec->added[0].special && !spec->added[1].special);
  EXPECT_EQ(spec->stops, (std::vector<int32_t>{3, 4}));
  EXPECT_EQ(spec->chatTemplate, "t");
  EXPECT_FALSE(spec->addBos || spec->ignoreMerges);
  EXPECT_EQ(spec->preTokenizer.size(), 3u);
  for (std::string_view pre : knownGgufPreTokenizers()) {
    gguf.metadata.pre = pre;
    Result<TokenizerSpec> known = gguf.load();
    ASSERT_TRUE(known) << pre;
    EXPECT_EQ(known->addBos, pre.starts_with("llama")) << pre;
    EXPECT_TRUE(Tokenizer::create(*known)) << pre;
  }
}

TEST(GgufTokenizer, refuses) {
  const struct {
    std::function<void(Gguf &)> change;
    std::string_view message, where;
  } cases[] = {
      {[](Gguf &g) { g.metadata.model = "llama"; }, "unsupported tokenizer model 'llama'", "tokenizer.ggml.model"},
      {[](Gguf &g) { g.metadata.pre = "tekken"; }, "unsupported pre-tokenizer 'tekken'", "tokenizer.ggml.pre"},
      {[](Gguf &g) { g.metadata.pre = ""; }, "missing pre-tokenizer name", "tokenizer.ggml.pre"},
      {[](Gguf &g) { g.metadata.addSpacePrefix = true; }, "expected false", "tokenizer.ggml.add_space_prefix"},
      {[](Gguf &g) { g.types.pop_back(); }, "expected 5 token types", "tokenizer.ggml.token_type"},
      {[](Gguf &g) { g.types[0] = 6; }, "unsupported type 6", "tokenizer.ggml.token_type"},
      {[](Gguf &g) { g.tokens[1] = "a"; }, "duplicate token 'a' with ids 0 and 1", "tokenizer.ggml.tokens"},
      {[](Gguf &g) {
         g.tokens[1] = "\xFF";
         g.merges.clear();
       },
       "expected UTF-8", "vocabulary"},
      {[](Gguf &g) { g.merges[0] = "a c"; }, "merge of 'c'", "tokenizer.ggml.merges 0"},
      {[](Gguf &g) { g.merges[0] = "b a"; }, "make 'ba', which is not in the vocabulary", "merge 0"},
      {[](Gguf &g) { g.merges[0] = "ab"; }, "expected two tokens", "tokenizer.ggml.merges 0"},
      {[](Gguf &g) { g.merges[0] = " ab"; }, "expected two tokens", "tokenizer.ggml.merges 0"},
      {[](Gguf &g) { g.merges.push_back("a b"); }, "duplicate merge", "merges"},
      {[](Gguf &g) { g.metadata.eos = 5; }, "expected a token id below 5", "tokenizer.ggml.eos_token_id"},
      {[](Gguf &g) { g.metadata.bos = -1; }, "expected a token id below 5", "tokenizer.ggml.bos_token_id"},
      {[](Gguf &g) { g.metadata.otherStops = {1ll << 40}; }, "expected a token id", "eot_token_id"},
      {[](Gguf &g) { g.metadata.addBos = true; }, "expected a beginning-of-text id", "bos"},
      {[](Gguf &g) {
         g.tokens.clear();
         g.types.clear();
         g.merges.clear();
         g.metadata.eos = {};
       },
       "expected 1 to", "vocabulary"},
      {[](Gguf &g) { g.tokens[3] = ""; }, "expected a text, but token 3 is empty", "added tokens"},
  };
  for (const auto &one : cases) {
    Gguf gguf;
    one.change(gguf);
    Result<TokenizerSpec> spec = gguf.load();
    ASSERT_FALSE(spec) << one.message;
    EXPECT_NE(spec.error().rule.find(one.message), std::string::npos) << spec.error().format();
    EXPECT_NE(spec.error().where.find(one.where), std::string::npos) << spec.error().format();
  }
}
