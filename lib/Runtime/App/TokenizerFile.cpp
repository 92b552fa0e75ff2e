#include "lib/Runtime/App/TokenizerFile.h"

#include "lib/Archive/Json.h"
#include "lib/Archive/Sha256.h"
#include "lib/Artifact/ArtifactReader.h"
#include "lib/Runtime/App/FileKind.h"
#include "lib/Runtime/Text/ChatTemplate.h"
#include "lib/Runtime/Text/Tokenizer.h"
#include "lib/Runtime/Text/TokenizerLoaders.h"

#include <algorithm>
#include <filesystem>

namespace qopt {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

/// What Hugging Face's generate() takes where do_sample is set and nothing else.
static constexpr int32_t kHuggingFaceTopK = 50;

std::string GenerationDefaults::toJson() const {
  Json json;
  json["stops"] = stops;
  json["temperature"] = sampling.temperature;
  json["top_k"] = sampling.topK;
  json["top_p"] = sampling.topP;
  return json.dump();
}

Result<GenerationDefaults> GenerationDefaults::fromJson(std::string_view text) {
  GenerationDefaults defaults;
  Result<Json> json = parseJson(text, {.maxBytes = 1 << 20, .maxDepth = 4, .maxValues = 1 << 16});
  if (!json)
    return json.takeError().in("qopt.generation");
  if (!json->is_object())
    return badInput("expected an object", "qopt.generation");
  for (const auto &[key, value] : json->items()) {
    auto refuse = [&](const char *wanted) {
      return badInput(std::string("expected ") + wanted, "qopt.generation: " + escapeForMessage(key));
    };
    if (key == "stops") {
      if (!value.is_array())
        return refuse("token ids");
      for (const Json &id : value) {
        if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX)
          return refuse("token ids");
        defaults.stops.push_back(id.get<int32_t>());
      }
    } else if (key == "temperature" && value.is_number()) {
      defaults.sampling.temperature = value.get<float>();
    } else if (key == "top_k" && value.is_number_unsigned() && value.get<uint64_t>() <= INT32_MAX) {
      defaults.sampling.topK = value.get<int32_t>();
    } else if (key == "top_p" && value.is_number()) {
      defaults.sampling.topP = value.get<float>();
    } else {
      return refuse("only stops, temperature, top_k and top_p, with values of their types");
    }
  }
  if (Result<Sampler> sampler = Sampler::create(defaults.sampling); !sampler)
    return badInput(sampler.error().rule, "qopt.generation");
  return defaults;
}

/// Something that a generation_config.json asks for, as LoadedTokenizer::notApplied has it.
static std::string describeAsked(std::string_view key, const Json &value) {
  return escapeForMessage(key, 60) + " " + escapeForMessage(value.dump(-1, ' ', true), 40);
}

/// The sampling that a generation_config.json asks for. Values that we would refuse are left at their defaults and
/// added to `notApplied`: they are a convenience, and the command line has the last word.
static SamplerOptions samplingOf(const Json &config, std::vector<std::string> &notApplied) {
  SamplerOptions options;
  auto boolean = [&](const char *key) { return config.contains(key) && config[key] == true; };
  if (!config.is_object() || !boolean("do_sample"))
    return options;
  options.temperature = 1;
  options.topK = kHuggingFaceTopK;
  auto number = [&](const char *key, bool (*fits)(double)) -> std::optional<double> {
    auto value = config.find(key);
    if (value == config.end() || value->is_null())
      return std::nullopt;
    if (value->is_number() && fits(value->get<double>()))
      return value->get<double>();
    notApplied.push_back(describeAsked(key, *value));
    return std::nullopt;
  };
  if (auto value = number("temperature", [](double value) { return value >= 0 && value < 1e6; }))
    options.temperature = static_cast<float>(*value);
  if (auto value = number("top_k", [](double value) { return value >= 0 && value <= INT32_MAX; }))
    options.topK = static_cast<int32_t>(*value);
  else if (config.contains("top_k") && config["top_k"].is_null())
    options.topK = 0; // said to be none, which is not the same as not said
  // As a float, which is what the artifact has, a small double may be 0.
  if (auto value = number("top_p", [](double value) { return static_cast<float>(value) > 0 && value <= 1; }))
    options.topP = static_cast<float>(*value);
  return options;
}

/// Whether a key of generation_config.json is read here, or says nothing of which token comes next: how long an answer
/// may be (the command line's), caches, what generate() returns, how it guesses ahead, where the file came from.
static bool isAppliedOrHarmless(std::string_view key) {
  static constexpr std::string_view known[] = {
      "bos_token_id",
      "eos_token_id",
      "pad_token_id",
      "do_sample",
      "temperature",
      "top_k",
      "top_p",
      "max_length",
      "max_new_tokens",
      "use_cache",
      "cache_implementation",
      "cache_config",
      "return_legacy_cache",
      "return_dict_in_generate",
      "prefill_chunk_size",
      "compile_config",
      "disable_compile",
      "low_memory",
      "is_assistant",
      "num_assistant_tokens",
      "num_assistant_tokens_schedule",
      "assistant_confidence_threshold",
      "assistant_early_exit",
      "assistant_lookbehind",
      "target_lookbehind",
      "prompt_lookup_num_tokens",
      "max_matching_ngram_size",
      "transformers_version",
  };
  return key.starts_with("_") || key.starts_with("output_") || std::ranges::find(known, key) != std::end(known);
}

/// Whether a value asks for nothing, which null, false and what is empty do under any key.
static bool asksForNothing(std::string_view key, const Json &value) {
  static constexpr std::pair<std::string_view, double> neutral[] = {
      {"repetition_penalty", 1},
      {"encoder_repetition_penalty", 1},
      {"length_penalty", 1},
      {"guidance_scale", 1},
      {"typical_p", 1},
      {"num_beams", 1},
      {"num_beam_groups", 1},
      {"num_return_sequences", 1},
      {"min_p", 0},
      {"epsilon_cutoff", 0},
      {"eta_cutoff", 0},
      {"penalty_alpha", 0},
      {"diversity_penalty", 0},
      {"no_repeat_ngram_size", 0},
      {"encoder_no_repeat_ngram_size", 0},
      {"min_length", 0},
      {"min_new_tokens", 0},
  };
  if (value.empty() || value == false || value == "") // null is empty to nlohmann, a string never is
    return true;
  return value.is_number() && std::ranges::any_of(neutral, [&](const auto &entry) {
           return entry.first == key && value.get<double>() == entry.second;
         });
}

/// Adds what a generation_config.json asks for and runs do not do. Keys that we have not heard of count as that: what
/// they change is not known.
static void addNotApplied(const Json &config, std::vector<std::string> &notApplied) {
  if (!config.is_object())
    return;
  for (const auto &[key, value] : config.items())
    if (!isAppliedOrHarmless(key) && !asksForNothing(key, value))
      notApplied.push_back(describeAsked(key, value));
}

static Result<std::string> readSmallFile(const fs::path &path) {
  Result<MappedFile> file = MappedFile::open(path.string());
  if (!file)
    return file.takeError();
  return std::string(reinterpret_cast<const char *>(file->bytes().data()), file->size());
}

/// The text of a file that need not be there.
static Result<std::optional<std::string>> readIfThere(const fs::path &path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    return std::optional<std::string>();
  Result<std::string> text = readSmallFile(path);
  if (!text)
    return text.takeError();
  return std::optional(std::move(*text));
}

/// What generation_config.json would say, had it been saved: older checkpoints have these ids in config.json alone.
static std::optional<std::string> generationFromConfig(const std::string &config) {
  Result<Json> json = parseJson(config, {.maxBytes = 1 << 20, .maxDepth = 32, .maxValues = 1 << 16});
  if (!json || !json->is_object() || !json->contains("eos_token_id"))
    return std::nullopt;
  return Json{{"eos_token_id", (*json)["eos_token_id"]}}.dump();
}

static Result<std::optional<LoadedTokenizer>> loadFromDirectory(const fs::path &directory, const fs::path &main) {
  std::error_code ignored;
  if (!fs::exists(main, ignored))
    return std::optional<LoadedTokenizer>();
  Result<std::string> tokenizer = readSmallFile(main);
  if (!tokenizer)
    return tokenizer.takeError();
  auto config = readIfThere(directory / "tokenizer_config.json");
  auto generation = readIfThere(directory / "generation_config.json");
  auto chat = readIfThere(directory / "chat_template.jinja");
  auto model = readIfThere(directory / "config.json");
  for (auto *file : {&config, &generation, &chat, &model})
    if (!*file)
      return file->takeError();
  LoadedTokenizer loaded;
  if (*generation) {
    Result<Json> json = parseJson(**generation, {.maxBytes = 1 << 20, .maxDepth = 32, .maxValues = 1 << 16});
    if (!json)
      return json.takeError().in(escapeForMessage((directory / "generation_config.json").string(), 1000));
    loaded.generation.sampling = samplingOf(*json, loaded.notApplied);
    addNotApplied(*json, loaded.notApplied);
  } else if (*model) {
    *generation = generationFromConfig(**model);
  }
  HuggingFaceFiles files{.tokenizer = *tokenizer};
  if (*config)
    files.tokenizerConfig = **config;
  if (*generation)
    files.generationConfig = **generation;
  if (*chat)
    files.chatTemplate = **chat;
  Result<TokenizerSpec> spec = loadHuggingFaceTokenizer(files);
  if (!spec)
    return spec.takeError().in(escapeForMessage(directory.string(), 1000));
  loaded.spec = std::move(*spec);
  loaded.generation.stops = loaded.spec.stops;
  return std::optional(std::move(loaded));
}

/// What to do about a tokenizer that breaks a rule or is not implemented.
static Result<std::optional<LoadedTokenizer>> explained(Result<std::optional<LoadedTokenizer>> loaded) {
  if (loaded)
    return loaded;
  return loaded.takeError().withNext("compare the tokenizer with the one that was published with the model; byte-level "
                                     "BPE is what is implemented");
}

static Result<std::optional<LoadedTokenizer>> loadFromGguf(const Archive &gguf) {
  const GgufMetadata &metadata = gguf.ggufMetadata();
  if (!metadata.find("tokenizer.ggml.model"))
    return std::optional<LoadedTokenizer>();
  std::string where = escapeForMessage(gguf.path(), 1000);
  auto model = metadata.string("tokenizer.ggml.model");
  auto tokens = metadata.strings("tokenizer.ggml.tokens");
  auto merges = metadata.strings("tokenizer.ggml.merges");
  auto types = metadata.integers("tokenizer.ggml.token_type");
  GgufTokenizerMetadata read;
  if (!model)
    return model.takeError().in(where);
  if (*model == "gpt2") { // else refused by its name, before anything that it may lack
    if (!tokens)
      return tokens.takeError().in(where);
    if (!merges)
      return merges.takeError().in(where);
    if (!types)
      return types.takeError().in(where);
  }
  std::vector<std::string> tokenTexts, mergeTexts;
  std::vector<int32_t> tokenTypes;
  if (tokens)
    tokenTexts.assign(tokens->begin(), tokens->end());
  if (merges)
    mergeTexts.assign(merges->begin(), merges->end());
  if (types)
    for (int64_t type : *types)
      tokenTypes.push_back(static_cast<int32_t>(std::clamp<int64_t>(type, -1, INT32_MAX)));
  read.model = *model;
  read.tokens = tokenTexts;
  read.merges = mergeTexts;
  read.tokenTypes = tokenTypes;
  std::optional<Error> failure;
  auto optional = [&](auto result, const char *key) -> decltype(std::optional(*result)) {
    if (!metadata.find(key))
      return std::nullopt;
    if (!result) {
      if (!failure)
        failure = result.takeError().in(where);
      return std::nullopt;
    }
    return *result;
  };
  auto text = [&](const char *key) { return optional(metadata.string(key), key); };
  auto id = [&](const char *key) { return optional(metadata.integer(key), key); };
  auto flag = [&](const char *key) { return optional(metadata.boolean(key), key); };
  read.pre = text("tokenizer.ggml.pre").value_or(std::string_view());
  read.bos = id("tokenizer.ggml.bos_token_id");
  read.eos = id("tokenizer.ggml.eos_token_id");
  for (const char *key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (auto stop = id(key))
      read.otherStops.push_back(*stop);
  read.addBos = flag("tokenizer.ggml.add_bos_token");
  read.addEos = flag("tokenizer.ggml.add_eos_token");
  read.addSpacePrefix = flag("tokenizer.ggml.add_space_prefix");
  read.chatTemplate = text("tokenizer.chat_template");
  if (failure)
    return std::move(*failure);
  Result<TokenizerSpec> spec = loadGgufTokenizer(read);
  if (!spec)
    return spec.takeError().in(where);
  LoadedTokenizer loaded;
  loaded.spec = std::move(*spec);
  loaded.generation.stops = loaded.spec.stops;
  return std::optional(std::move(loaded));
}

Result<std::optional<LoadedTokenizer>> loadTokenizer(const Archive &gguf) { return explained(loadFromGguf(gguf)); }

Result<std::optional<LoadedTokenizer>> tokenizerFromArtifact(std::string_view tokenizer, std::string_view generation) {
  if (tokenizer.empty() || tokenizer == "{}")
    return std::optional<LoadedTokenizer>();
  Result<TokenizerSpec> spec = TokenizerSpec::fromJson(tokenizer);
  if (!spec)
    return spec.takeError().in("tensor tokenizer");
  LoadedTokenizer loaded;
  loaded.spec = std::move(*spec);
  Result<GenerationDefaults> defaults = GenerationDefaults::fromJson(generation.empty() ? "{}" : generation);
  if (!defaults)
    return defaults.takeError();
  loaded.generation = std::move(*defaults);
  if (loaded.generation.stops.empty())
    loaded.generation.stops = loaded.spec.stops;
  return std::optional(std::move(loaded));
}

Result<std::optional<LoadedTokenizer>> loadTokenizer(const std::string &path) {
  Result<FileKind> kind = classifyFile(path);
  if (!kind)
    return kind.takeError();
  switch (*kind) {
  case FileKind::Directory:
    return explained(loadFromDirectory(path, fs::path(path) / "tokenizer.json"));
  case FileKind::Json:
    return explained(loadFromDirectory(fs::path(path).parent_path(), path));
  case FileKind::Gguf: {
    Result<std::shared_ptr<const Archive>> archive = Archive::open(path);
    if (!archive)
      return archive.takeError();
    return loadTokenizer(**archive);
  }
  case FileKind::Artifact: {
    Result<std::shared_ptr<const ArtifactReader>> artifact = ArtifactReader::open(path);
    if (!artifact)
      return artifact.takeError();
    auto loaded = tokenizerFromArtifact((*artifact)->tokenizer(), *(*artifact)->text("qopt.generation"));
    return loaded ? std::move(loaded) : loaded.takeError().in(escapeForMessage(path, 1000));
  }
  case FileKind::Safetensors:
  case FileKind::Ir:
  case FileKind::Unknown:
    break;
  }
  return badInput("expected a GGUF file, a Hugging Face directory, a tokenizer.json or an artifact, but got " +
                      std::string(describe(*kind)),
                  escapeForMessage(path, 1000))
      .withNext("name the file that the model was imported from, or compile the model");
}

Status checkTokenizer(const TokenizerSpec &spec, int64_t vocabulary) {
  if (static_cast<int64_t>(spec.tokens.size()) > vocabulary)
    return badInput("expected a tokenizer of at most " + std::to_string(vocabulary) +
                        " tokens, the model's vocabulary, but got " + std::to_string(spec.tokens.size()),
                    "tokenizer")
        .withNext("use the tokenizer that belongs to the model");
  if (!spec.chatTemplate.empty())
    if (Result<ChatTemplate> chat = ChatTemplate::parse(spec.chatTemplate); !chat)
      return chat.takeError().in("chat template").withNext("docs/ChatTemplates.md lists what is implemented");
  Result<Tokenizer> tokenizer = Tokenizer::create(spec);
  if (tokenizer)
    return {};
  return tokenizer.takeError()
      .in("tokenizer")
      .withNext("regular expressions are those of PCRE2; import a model whose tokenizer keeps to them");
}

std::string tokenizerDigest(const TokenizerSpec &spec) {
  std::string json = spec.toJson();
  return toString(sha256(std::as_bytes(std::span(json))));
}

} // namespace qopt
