// GGUF files of architecture llama, as llama.cpp's converter writes them (ggml, docs/gguf.md).
//
// Keys are taken by a closed list: whatever begins with "llama." and is not known, or has a value that is not
// implemented, is refused by its name. The converter permutes the rows of q and k (lib/Import/LlamaGraph.cpp undoes it
// in the parameter's initializer) and leaves out the output head of a tied model.
#include "lib/Import/Sources.h"

#include "lib/Archive/GgufMetadata.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <filesystem>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

namespace {
/// How a "llama." key is treated.
enum class KeyRule {
  Read,      ///< its value goes into the configuration
  Zero,      ///< must be the number 0
  One,       ///< must be the number 1
  True,      ///< must be true
  NoScaling, ///< must be "none"
  Refused
};
} // namespace

static KeyRule ruleFor(StringRef key) {
  return llvm::StringSwitch<KeyRule>(key)
      .Cases({"block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"}, KeyRule::Read)
      .Cases({"attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"},
             KeyRule::Read)
      .Cases({"attention.layer_norm_rms_epsilon", "rope.freq_base", "rope.dimension_count"}, KeyRule::Read)
      .Cases({"expert_count", "expert_used_count", "attention.sliding_window", "leading_dense_block_count"},
             KeyRule::Zero)
      .Cases({"rope.scale_linear", "rope.scaling.factor", "rope.scaling.attn_factor", "logit_scale", "residual_scale",
              "embedding_scale"},
             KeyRule::One)
      .Case("attention.causal", KeyRule::True)
      .Case("rope.scaling.type", KeyRule::NoScaling)
      .Default(KeyRule::Refused);
}

static std::string describeValue(const GgufValue &value) {
  if (auto text = value.string())
    return "\"" + std::string(*text) + "\"";
  if (auto flag = value.boolean())
    return *flag ? "true" : "false";
  if (auto integer = value.integer())
    return std::to_string(*integer);
  if (auto number = value.number())
    return std::to_string(*number);
  if (const GgufArray *array = value.array())
    return "of " + std::to_string(array->size()) + " elements";
  return std::string(toString(value.type()));
}

/// Refuses what is not known, or known to be something else than we compute.
static Status checkKeys(const Archive &archive) {
  for (const GgufMetadata::Pair &pair : archive.ggufMetadata().pairs()) {
    StringRef key(pair.key);
    auto refuse = [&] { return unsupportedField(key, describeValue(pair.value), archive.path()); };
    if (key.starts_with("tokenizer.") || key.starts_with("quantize."))
      continue;
    if (key.starts_with("general.")) {
      if (key == "general.type" && pair.value.string() != "model")
        return refuse();
      continue;
    }
    if (key == "split.no" || key == "split.count" || key == "split.tensors.count") {
      if (key == "split.count" && pair.value.integer().value_or(2) > 1)
        return std::move(refuse()).withNext("merge the parts with llama-gguf-split --merge");
      continue;
    }
    if (!key.consume_front("llama."))
      return refuse();
    bool fits = false;
    switch (ruleFor(key)) {
    case KeyRule::Read:
      fits = true;
      break;
    case KeyRule::Zero:
      fits = pair.value.number() == 0.0;
      break;
    case KeyRule::One:
      fits = pair.value.number() == 1.0;
      break;
    case KeyRule::True:
      fits = pair.value.boolean() == true;
      break;
    case KeyRule::NoScaling:
      fits = pair.value.string() == "none";
      break;
    case KeyRule::Refused:
      break;
    }
    if (!fits) {
      key = pair.key;
      return refuse();
    }
  }
  return {};
}

/// Reads the configuration. Keys that llama.cpp's reader gives a default have the same default here.
static Result<LlamaConfig> readConfig(const Archive &archive) {
  const GgufMetadata &metadata = archive.ggufMetadata();
  LlamaConfig config;
  struct Field {
    const char *key;
    int64_t &value;
    std::optional<int64_t> fallback;
  };
  std::optional<Error> failure;
  auto read = [&](const char *key, std::optional<int64_t> fallback) -> int64_t {
    if (failure || (fallback && !metadata.find(key)))
      return fallback.value_or(0);
    Result<int64_t> value = metadata.integer(key);
    if (value)
      return *value;
    failure = value.takeError();
    return 0;
  };
  config.layers = read("llama.block_count", std::nullopt);
  config.context = read("llama.context_length", std::nullopt);
  config.hidden = read("llama.embedding_length", std::nullopt);
  config.intermediate = read("llama.feed_forward_length", std::nullopt);
  config.heads = read("llama.attention.head_count", std::nullopt);
  config.kvHeads = read("llama.attention.head_count_kv", config.heads);
  const GgufValue *tokens = metadata.find("tokenizer.ggml.tokens");
  std::optional<int64_t> tokenCount;
  if (tokens && tokens->array())
    tokenCount = static_cast<int64_t>(tokens->array()->size());
  config.vocabulary = read("llama.vocab_size", tokenCount);
  int64_t evenShare = config.heads > 0 ? config.hidden / config.heads : 0;
  config.headDim = read("llama.attention.key_length", evenShare);
  int64_t valueLength = read("llama.attention.value_length", config.headDim);
  int64_t rotaryDim = read("llama.rope.dimension_count", config.headDim);
  auto readNumber = [&](const char *key, std::optional<double> fallback) -> double {
    if (failure || (fallback && !metadata.find(key)))
      return fallback.value_or(0);
    Result<double> value = metadata.number(key);
    if (value)
      return *value;
    failure = value.takeError();
    return 0;
  };
  config.rmsEpsilon = readNumber("llama.attention.layer_norm_rms_epsilon", std::nullopt);
  config.rotaryBase = readNumber("llama.rope.freq_base", 10000.0);
  if (failure)
    return std::move(*failure).in(escapeForMessage(archive.path(), 1000));
  if (valueLength != config.headDim)
    return unsupportedField("llama.attention.value_length", std::to_string(valueLength), archive.path());
  if (rotaryDim != config.headDim)
    return unsupportedField("llama.rope.dimension_count", std::to_string(rotaryDim), archive.path());
  config.name = std::filesystem::path(archive.path()).stem().string();
  config.tied = !archive.find("output.weight");
  config.attentionBias = archive.find("blk.0.attn_q.bias") != nullptr;
  config.mlpBias = archive.find("blk.0.ffn_up.bias") != nullptr;
  return config;
}

/// The tensor that holds a parameter: "model.layers.3.mlp.up_proj.weight" is "blk.3.ffn_up.weight".
static std::string tensorName(StringRef parameter) {
  StringRef name = parameter;
  if (!name.consume_front("model.layers.")) {
    return llvm::StringSwitch<std::string>(parameter)
        .Case("model.embed_tokens.weight", "token_embd.weight")
        .Case("model.norm.weight", "output_norm.weight")
        .Case("lm_head.weight", "output.weight")
        .Default(parameter.str());
  }
  auto [layer, rest] = name.split('.');
  auto [module, kind] = rest.rsplit('.');
  StringRef stem = llvm::StringSwitch<StringRef>(module)
                       .Case("input_layernorm", "attn_norm")
                       .Case("self_attn.q_proj", "attn_q")
                       .Case("self_attn.k_proj", "attn_k")
                       .Case("self_attn.v_proj", "attn_v")
                       .Case("self_attn.o_proj", "attn_output")
                       .Case("post_attention_layernorm", "ffn_norm")
                       .Case("mlp.gate_proj", "ffn_gate")
                       .Case("mlp.up_proj", "ffn_up")
                       .Case("mlp.down_proj", "ffn_down")
                       .Default(module);
  return ("blk." + layer + "." + stem + "." + kind).str();
}

/// What to do about metadata that are not as llama.cpp's converter writes them.
static Error explainMetadata(Error error) {
  return std::move(error).withNext("convert the model again with a current llama.cpp");
}

Result<OwningOpRef<ModuleOp>> qopt::importGgufLlama(MLIRContext &context, const std::string &path,
                                                    const ImportOptions &options) {
  Result<std::shared_ptr<const Archive>> opened = Archive::open(path);
  if (!opened)
    return opened.takeError();
  const Archive &archive = **opened;
  if (archive.kind() != ArchiveKind::Gguf)
    return badInput("expected a GGUF file or the directory of a Hugging Face checkpoint, but got a safetensors file",
                    escapeForMessage(path, 1000))
        .withNext("name the directory that holds the file and its config.json");
  Result<std::string_view> architecture = archive.ggufMetadata().string("general.architecture");
  if (!architecture)
    return explainMetadata(architecture.takeError().in(escapeForMessage(path, 1000)));
  if (*architecture != "llama")
    return badInput("expected architecture llama, but got \"" + escapeForMessage(*architecture) + "\"",
                    escapeForMessage(path, 1000) + ": general.architecture")
        .withNext("import a model of the llama architecture; others are not implemented yet");
  if (Status status = checkKeys(archive); !status)
    return status.takeError();
  if (const TensorEntry *factors = archive.find("rope_freqs.weight"))
    return unsupportedField("rope_freqs.weight", describe(*factors), path);
  Result<LlamaConfig> config = readConfig(archive);
  if (!config)
    return explainMetadata(config.takeError());

  OwningOpRef<ModuleOp> module = makeModule(context, config->name);
  addArchive(*module, "checkpoint", archive, options);
  if (Status status = addTokenizer(*module, path, loadTokenizer(archive), config->vocabulary, options); !status)
    return status.takeError();
  llvm::StringSet<> bound;
  BindParameter bind = [&](const LlamaParameter &parameter) -> Result<ParameterBinding> {
    std::string name = tensorName(parameter.name);
    const TensorEntry *entry = archive.find(name);
    if (!entry)
      return missingTensor(parameter, name, path);
    bound.insert(name);
    Result<ParameterBinding> binding = bindTensor(parameter, archive, "checkpoint", *entry, context);
    if (binding)
      binding->permuted = parameter.rotaryHeads != 0;
    return binding;
  };
  LlamaLocations locations{[](int64_t layer) { return "blk." + std::to_string(layer); }};
  if (Status status = buildLlama(*module, *config, cacheElement(context, options), bind, locations); !status) {
    Error error = status.takeError();
    return error.where.empty() ? explainMetadata(std::move(error).in(escapeForMessage(path, 1000))) : error;
  }
  for (const TensorEntry &entry : archive.tensors())
    if (!bound.contains(entry.name))
      return surplusTensor(entry, path);
  return module;
}
