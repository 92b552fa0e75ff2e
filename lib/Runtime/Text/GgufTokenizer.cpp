// GGUF metadata to a TokenizerSpec. GGUF names a pre-tokenizer instead of describing it; the table below gives each
// name the steps of the Hugging Face tokenizer that it stands for. See TokenizerLoaders.h.
#include "lib/Runtime/Text/TokenizerLoaders.h"

#include "lib/Runtime/Text/TokenTable.h"

#include <algorithm>
#include <limits>

namespace qopt {
namespace {

/// GGUF's token types (gguf-py: TokenType).
enum class TokenType : int32_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

/// One way to cut, and the names for it.
struct PreTokenizerFamily {
  std::vector<std::string_view> names;
  std::vector<PreTokenizerStep> steps; ///< before the final ByteLevel without an expression
  bool ignoreMerges = false;
  bool addBos = false; ///< where the file does not say
};

} // namespace

static PreTokenizerStep splitStep(std::string_view pattern) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::Split;
  step.pattern = pattern;
  return step;
}

static PreTokenizerStep digitsStep() {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::Digits;
  step.individual = true;
  return step;
}

static std::vector<PreTokenizerFamily> families() {
  const PreTokenizerStep gpt2 = splitStep(gpt2SplitPattern);
  const PreTokenizerStep llama3 =
      splitStep(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
                R"(|\s*[\r\n]+|\s+(?!\S)|\s+)");
  const PreTokenizerStep qwen2 =
      splitStep(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
                R"(|\s*[\r\n]+|\s+(?!\S)|\s+)");
  // What converters wrote before there were names: punctuation apart, GPT-2's words, numbers in threes.
  const std::vector<PreTokenizerStep> unnamed = {
      splitStep(R"([\p{P}\$\+<=>\^~\|]+)"),
      splitStep(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"), splitStep(R"(\p{N}+)"),
      splitStep("[0-9][0-9][0-9]")};
  return {
      {{"gpt-2", "phi-2", "mpt", "olmo", "jais"}, {gpt2}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell"}, {digitsStep(), gpt2}},
      {{"llama-bpe", "llama-v3", "llama3"}, {llama3}, /*ignoreMerges=*/true, /*addBos=*/true},
      {{"qwen2"}, {qwen2}},
      {{"default"}, unnamed},
  };
}

std::vector<std::string_view> knownGgufPreTokenizers() {
  std::vector<std::string_view> names;
  for (const PreTokenizerFamily &family : families())
    names.insert(names.end(), family.names.begin(), family.names.end());
  return names;
}

static Status readTokenTypes(const GgufTokenizerMetadata &metadata, TokenizerSpec &spec) {
  const std::string where = "tokenizer.ggml.token_type";
  if (metadata.tokenTypes.size() != metadata.tokens.size())
    return badInput("expected " + std::to_string(metadata.tokens.size()) +
                        " token types, one for each token, but got " + std::to_string(metadata.tokenTypes.size()),
                    where);
  for (size_t id = 0; id < metadata.tokenTypes.size(); ++id) {
    switch (static_cast<TokenType>(metadata.tokenTypes[id])) {
    case TokenType::Normal:
    case TokenType::Unused:
      break;
    case TokenType::Unknown:
    case TokenType::Control:
      spec.added.push_back({.id = static_cast<int32_t>(id), .special = true});
      break;
    case TokenType::UserDefined:
      spec.added.push_back({.id = static_cast<int32_t>(id)});
      break;
    default: // Byte tokens belong to SentencePiece vocabularies
      return badInput("unsupported type " + std::to_string(metadata.tokenTypes[id]) + " of token " +
                          std::to_string(id) + " '" + escapeForMessage(metadata.tokens[id]) + "'",
                      where);
    }
  }
  return {};
}

static Status readMerges(const GgufTokenizerMetadata &metadata, TokenizerSpec &spec) {
  TokenTable ids(spec.tokens);
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (const int32_t other = ids.insert(static_cast<int32_t>(id)); other >= 0)
      return badInput("duplicate token '" + escapeForMessage(spec.tokens[id]) + "' with ids " + std::to_string(other) +
                          " and " + std::to_string(id),
                      "tokenizer.ggml.tokens");
  spec.merges.reserve(metadata.merges.size());
  for (size_t i = 0; i < metadata.merges.size(); ++i) {
    const std::string_view line = metadata.merges[i];
    const std::string where = "tokenizer.ggml.merges " + std::to_string(i);
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos)
      return badInput("expected two tokens with a space between, but got '" + escapeForMessage(line) + "'", where);
    int32_t parts[2];
    const std::string_view texts[2] = {line.substr(0, space), line.substr(space + 1)};
    for (int side = 0; side < 2; ++side) {
      parts[side] = ids.find(texts[side]);
      if (parts[side] < 0)
        return badInput("merge of '" + escapeForMessage(texts[side]) + "', which is not in the vocabulary", where);
    }
    spec.merges.emplace_back(parts[0], parts[1]);
  }
  return {};
}

Result<TokenizerSpec> loadGgufTokenizer(const GgufTokenizerMetadata &metadata) {
  if (metadata.model != "gpt2")
    return badInput("unsupported tokenizer model '" + escapeForMessage(metadata.model) +
                        "': byte-level BPE, 'gpt2', is implemented",
                    "tokenizer.ggml.model");
  const std::vector<PreTokenizerFamily> all = families();
  const auto family = std::find_if(all.begin(), all.end(), [&](const PreTokenizerFamily &candidate) {
    return std::find(candidate.names.begin(), candidate.names.end(), metadata.pre) != candidate.names.end();
  });
  if (family == all.end()) {
    std::string names;
    for (std::string_view name : knownGgufPreTokenizers())
      names += (names.empty() ? "" : ", ") + std::string(name);
    return badInput((metadata.pre.empty() ? "missing pre-tokenizer name"
                                          : "unsupported pre-tokenizer '" + escapeForMessage(metadata.pre) + "'") +
                        "; implemented: " + names,
                    "tokenizer.ggml.pre");
  }
  if (metadata.addSpacePrefix.value_or(false))
    return badInput("expected false: a prefix space is not implemented for tokenizers from GGUF",
                    "tokenizer.ggml.add_space_prefix");

  TokenizerSpec spec;
  spec.tokens.assign(metadata.tokens.begin(), metadata.tokens.end());
  spec.ignoreMerges = family->ignoreMerges;
  spec.preTokenizer = family->steps;
  spec.preTokenizer.emplace_back().kind = PreTokenizerStep::Kind::ByteLevel;
  if (Status status = readTokenTypes(metadata, spec); !status)
    return status.takeError();
  if (Status status = readMerges(metadata, spec); !status)
    return status.takeError();

  const auto count = static_cast<int64_t>(spec.tokens.size());
  auto checkId = [&](int64_t id, std::string_view key) -> Status {
    if (id < 0 || id >= count)
      return badInput("expected a token id below " + std::to_string(count) + ", but got " + std::to_string(id),
                      std::string(key));
    return {};
  };
  auto readId = [&](std::optional<int64_t> id, std::string_view key, std::optional<int32_t> &out) -> Status {
    if (!id)
      return {};
    if (Status status = checkId(*id, key); !status)
      return status;
    out = static_cast<int32_t>(*id);
    return {};
  };
  if (Status status = readId(metadata.bos, "tokenizer.ggml.bos_token_id", spec.bos); !status)
    return status.takeError();
  if (Status status = readId(metadata.eos, "tokenizer.ggml.eos_token_id", spec.eos); !status)
    return status.takeError();
  for (int64_t id : metadata.otherStops) {
    if (Status status = checkId(id, "tokenizer.ggml.eot_token_id or eom_token_id"); !status)
      return status.takeError();
    spec.stops.push_back(static_cast<int32_t>(id));
  }
  if (spec.eos)
    spec.stops.push_back(*spec.eos);
  std::sort(spec.stops.begin(), spec.stops.end());
  spec.stops.erase(std::unique(spec.stops.begin(), spec.stops.end()), spec.stops.end());
  spec.addBos = metadata.addBos.value_or(family->addBos);
  spec.addEos = metadata.addEos.value_or(false);
  spec.chatTemplate = metadata.chatTemplate.value_or(std::string_view());
  if (Result<std::vector<int32_t>> results = spec.validate(); !results)
    return results.takeError();
  return spec;
}

} // namespace qopt
