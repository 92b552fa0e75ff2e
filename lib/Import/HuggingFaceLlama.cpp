// Directories that Hugging Face transformers saved, of architecture LlamaForCausalLM.
//
// config.json is read by a closed list of keys: those that fix the mathematics are read, those that are known to have
// no influence on logits are passed over, those that have one only with other values than ours must have ours, and any
// other key with a value is refused by its name (null means "not set").
#include "lib/Import/Sources.h"

#include "lib/Archive/Json.h"
#include "lib/Archive/ShardedCheckpoint.h"

#include "llvm/ADT/StringSet.h"

#include <cstring>
#include <filesystem>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;
using Json = nlohmann::ordered_json;

/// Keys without influence on the logits of a forward pass: training, bookkeeping, generation, tokens.
static constexpr llvm::StringRef harmlessKeys[] = {
    "_attn_implementation_autoset",
    "_name_or_path",
    "attention_dropout",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
};

/// Keys that readConfig reads.
static constexpr llvm::StringRef readKeys[] = {
    "architectures",           "attention_bias", "head_dim",        "hidden_size",         "intermediate_size",
    "max_position_embeddings", "mlp_bias",       "model_type",      "num_attention_heads", "num_hidden_layers",
    "num_key_value_heads",     "rms_norm_eps",   "rope_parameters", "rope_scaling",        "rope_theta",
    "tie_word_embeddings",     "vocab_size",
};

/// Keys that must have one value: with another the mathematics would differ.
static std::vector<std::pair<llvm::StringRef, Json>> fixedKeys() {
  return {
      {"add_cross_attention", false},   {"chunk_size_feed_forward", 0}, {"hidden_act", "silu"},
      {"is_encoder_decoder", false},    {"partial_rotary_factor", 1.0}, {"pretraining_tp", 1},
      {"pruned_heads", Json::object()}, {"rope_interleaved", false},    {"tie_encoder_decoder", false},
      {"use_sliding_window", false},
  };
}

namespace {
/// Reads the values of one config.json; the first error is kept.
class ConfigReader {
public:
  ConfigReader(const Json &json, const std::string &path) : json(json), path(path) {}

  Result<LlamaConfig> read();

private:
  /// The value of a key, or null if it is absent or null.
  static const Json *value(const Json &object, const char *key) {
    auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }
  void fail(Error error) {
    if (!failure)
      failure = std::move(error);
  }
  void wrongKind(const std::string &key, const char *wanted, const Json &got) {
    fail(badInput("expected " + std::string(wanted) + " for \"" + key + "\", but got " + dump(got), path));
  }
  static std::string dump(const Json &value) {
    return escapeForMessage(value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  int64_t integer(const char *key, std::optional<int64_t> fallback = std::nullopt);
  double number(const Json &object, const char *key, std::optional<double> fallback = std::nullopt);
  bool boolean(const char *key, bool fallback);
  void checkKeys();
  void checkArchitecture();
  void readRotary(LlamaConfig &config);

  const Json &json;
  const std::string &path;
  std::optional<Error> failure;
};
} // namespace

int64_t ConfigReader::integer(const char *key, std::optional<int64_t> fallback) {
  const Json *found = value(json, key);
  if (!found) {
    if (!fallback)
      fail(badInput("expected a key \"" + std::string(key) + "\"", path));
    return fallback.value_or(0);
  }
  if (!found->is_number_integer() || (found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX)) {
    wrongKind(key, "an integer", *found);
    return 0;
  }
  return found->get<int64_t>();
}

double ConfigReader::number(const Json &object, const char *key, std::optional<double> fallback) {
  const Json *found = value(object, key);
  if (!found) {
    if (!fallback)
      fail(badInput("expected a key \"" + std::string(key) + "\"", path));
    return fallback.value_or(0);
  }
  if (!found->is_number()) {
    wrongKind(key, "a number", *found);
    return 0;
  }
  return found->get<double>();
}

bool ConfigReader::boolean(const char *key, bool fallback) {
  const Json *found = value(json, key);
  if (!found)
    return fallback;
  if (!found->is_boolean()) {
    wrongKind(key, "true or false", *found);
    return false;
  }
  return found->get<bool>();
}

void ConfigReader::checkKeys() {
  const auto fixedValues = fixedKeys();
  for (const auto &[key, value] : json.items()) {
    if (value.is_null() || llvm::is_contained(harmlessKeys, key) || llvm::is_contained(readKeys, key))
      continue;
    auto fixed = llvm::find_if(fixedValues, [&](const auto &entry) { return entry.first == key; });
    if (fixed == fixedValues.end() || fixed->second != value)
      return fail(unsupportedField(key, dump(value), path));
  }
}

void ConfigReader::checkArchitecture() {
  const Json *architectures = value(json, "architectures"), *type = value(json, "model_type");
  bool named = architectures && architectures->is_array() && architectures->size() == 1 &&
               (*architectures)[0] == "LlamaForCausalLM";
  if (!named || (type && *type != "llama"))
    fail(badInput("expected \"architectures\": [\"LlamaForCausalLM\"] and \"model_type\": \"llama\", but got " +
                      (architectures ? dump(*architectures) : "none") + " and " + (type ? dump(*type) : "none"),
                  path)
             .withNext("import a model of the llama architecture; others are not implemented yet"));
}

/// rope_theta and rope_scaling; or, as transformers 5 writes it, both in rope_parameters.
void ConfigReader::readRotary(LlamaConfig &config) {
  config.rotaryBase = number(json, "rope_theta", 10000.0);
  const Json *scaling = value(json, "rope_scaling"), *parameters = value(json, "rope_parameters");
  const char *key = parameters ? "rope_parameters" : "rope_scaling";
  if (parameters && scaling)
    return fail(badInput("expected one of \"rope_scaling\" and \"rope_parameters\", but got both", path));
  if (parameters)
    scaling = parameters;
  if (!scaling)
    return;
  if (!scaling->is_object())
    return wrongKind(key, "an object", *scaling);
  if (parameters) {
    double outside = config.rotaryBase;
    config.rotaryBase = number(*scaling, "rope_theta", config.rotaryBase);
    if (value(json, "rope_theta") && outside != config.rotaryBase)
      return fail(badInput("expected one rotary base, but got " + dump(*value(json, "rope_theta")) +
                               " in \"rope_theta\" and another in \"rope_parameters\"",
                           path)
                      .withNext("remove the one that the model was not trained with"));
  }
  const Json *type = value(*scaling, "rope_type");
  if (!type)
    type = value(*scaling, "type");
  bool isLlama3 = type && *type == "llama3";
  if (type && !isLlama3 && *type != "default")
    return fail(unsupportedField(std::string(key) + ".rope_type", dump(*type), path));
  if (!type && !parameters)
    return fail(badInput("expected a key \"rope_type\" in \"rope_scaling\"", path));
  llvm::StringSet<> known{"rope_type", "type"};
  if (parameters)
    known.insert("rope_theta");
  if (isLlama3) {
    known.insert_range(llvm::ArrayRef<llvm::StringRef>{"factor", "low_freq_factor", "high_freq_factor",
                                                       "original_max_position_embeddings"});
    Llama3Scaling values{number(*scaling, "factor"), number(*scaling, "low_freq_factor"),
                         number(*scaling, "high_freq_factor"), 0};
    const Json *context = value(*scaling, "original_max_position_embeddings");
    if (!context || !context->is_number_integer())
      return fail(
          badInput("expected an integer \"original_max_position_embeddings\" in \"" + std::string(key) + "\"", path));
    values.originalContext = context->get<int64_t>();
    config.scaling = values;
  }
  for (const auto &[name, value] : scaling->items())
    if (!known.contains(name) && !value.is_null())
      return fail(unsupportedField(std::string(key) + "." + name, dump(value), path));
}

Result<LlamaConfig> ConfigReader::read() {
  LlamaConfig config;
  if (!json.is_object())
    return badInput("expected an object, but got " + std::string(json.type_name()), path);
  checkArchitecture();
  checkKeys();
  config.hidden = integer("hidden_size");
  config.intermediate = integer("intermediate_size");
  config.layers = integer("num_hidden_layers");
  config.heads = integer("num_attention_heads");
  config.kvHeads = integer("num_key_value_heads", config.heads);
  config.headDim = integer("head_dim", config.heads > 0 ? config.hidden / config.heads : 0);
  config.vocabulary = integer("vocab_size");
  config.context = integer("max_position_embeddings", 2048);
  config.rmsEpsilon = number(json, "rms_norm_eps", 1e-6);
  config.attentionBias = boolean("attention_bias", false);
  config.mlpBias = boolean("mlp_bias", false);
  config.tied = boolean("tie_word_embeddings", false);
  readRotary(config);
  if (!failure && !value(json, "head_dim") && config.heads > 0 && config.hidden % config.heads != 0)
    fail(badInput("expected a hidden size that the attention heads divide, but got " + std::to_string(config.hidden) +
                      " and " + std::to_string(config.heads),
                  path));
  if (failure)
    return std::move(*failure);
  return config;
}

/// A file as text.
static Result<std::string> readText(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  std::span<const std::byte> bytes = file->bytes();
  return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

/// What transformers saves beside the parameters, and can be computed from the configuration.
static bool isDerived(llvm::StringRef tensor) { return tensor.ends_with(".rotary_emb.inv_freq"); }

/// A tied head that is stored all the same.
static bool isCopyOfEmbedding(const ShardedCheckpoint &checkpoint, const ShardedCheckpoint::Tensor &tensor) {
  auto embedding = checkpoint.find("model.embed_tokens.weight");
  if (tensor.entry->name != "lm_head.weight" || !embedding || embedding->entry->bytes != tensor.entry->bytes ||
      embedding->entry->format != tensor.entry->format)
    return false;
  return std::memcmp(embedding->bytes().data(), tensor.bytes().data(), tensor.entry->bytes) == 0;
}

Result<OwningOpRef<ModuleOp>> qopt::importHuggingFaceLlama(MLIRContext &context, const std::string &path,
                                                           const ImportOptions &options) {
  std::string configPath = path + "/config.json", shown = escapeForMessage(configPath, 1000);
  Result<std::string> text = readText(configPath);
  if (!text) {
    Error error = text.takeError();
    error.next = "name a directory with config.json and model.safetensors, or a .gguf file";
    return error;
  }
  auto explain = [](Error error) {
    return std::move(error).withNext("compare config.json with the one that was published with the checkpoint");
  };
  Result<Json> json = parseJson(*text, JsonLimits{1 << 20, 32, 1 << 16});
  if (!json)
    return explain(json.takeError().in(shown));
  Result<LlamaConfig> config = ConfigReader(*json, shown).read();
  if (!config)
    return explain(config.takeError());
  if (Status status = config->validate(); !status)
    return explain(status.takeError().in(shown));
  std::error_code error;
  std::filesystem::path folder = std::filesystem::weakly_canonical(path, error);
  config->name = folder.has_filename() ? folder.filename().string() : folder.parent_path().filename().string();

  Result<ShardedCheckpoint> checkpoint = ShardedCheckpoint::open(path);
  if (!checkpoint)
    return checkpoint.takeError();
  OwningOpRef<ModuleOp> module = makeModule(context, config->name);
  llvm::DenseMap<const Archive *, std::string> symbols;
  for (const auto &archive : checkpoint->archives()) {
    bool single = checkpoint->archives().size() == 1;
    std::string symbol = single ? "checkpoint" : "checkpoint_" + std::to_string(symbols.size() + 1);
    addArchive(*module, symbol, *archive, options);
    symbols[archive.get()] = symbol;
  }
  if (Status status = addTokenizer(*module, path, loadTokenizer(path), config->vocabulary, options); !status)
    return status.takeError();

  llvm::StringSet<> bound;
  BindParameter bind = [&](const LlamaParameter &parameter) -> Result<ParameterBinding> {
    auto tensor = checkpoint->find(parameter.name);
    if (!tensor)
      return missingTensor(parameter, parameter.name, path);
    bound.insert(parameter.name);
    return bindTensor(parameter, *tensor->archive, symbols[tensor->archive], *tensor->entry, context);
  };
  LlamaLocations locations{[](int64_t layer) { return "model.layers." + std::to_string(layer); }};
  if (Status status = buildLlama(*module, *config, cacheElement(context, options), bind, locations); !status)
    return status.takeError();
  for (const ShardedCheckpoint::Tensor &tensor : checkpoint->tensors()) {
    llvm::StringRef name = tensor.entry->name;
    if (!bound.contains(name) && !isDerived(name) && !(config->tied && isCopyOfEmbedding(*checkpoint, tensor)))
      return surplusTensor(*tensor.entry, tensor.archive->path());
  }
  return module;
}
