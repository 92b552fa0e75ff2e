// A directory that Hugging Face transformers loads.
#include "lib/Export/Export.h"

#include "lib/Archive/Json.h"
#include "lib/Archive/OutputFile.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Export/HuggingFaceTokenizer.h"
#include "lib/Export/LlamaModel.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Parameters/ImportedTokenizer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <filesystem>

using namespace mlir;
using namespace qopt;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {
/// The files of one export; they appear together, or not at all.
class OutputDirectory {
public:
  explicit OutputDirectory(std::string path) : path(std::move(path)) {}

  Status make() { return outputs.makeFolder(path); }
  std::string file(const std::string &name) const { return (fs::path(path) / name).string(); }
  Status add(const std::string &name, OutputFile output) {
    names.push_back(name);
    return outputs.add(std::move(output));
  }
  Status write(const std::string &name, std::string_view text) {
    Result<OutputFile> output = OutputFile::create(file(name), text.size());
    if (!output)
      return output.takeError();
    if (Status status = output->append(text); !status)
      return status;
    return add(name, std::move(*output));
  }
  /// The names of what was written.
  Result<std::vector<std::string>> keep() {
    Status status = outputs.publish();
    if (status)
      status = outputs.keep();
    return status ? Result(std::move(names)) : Result<std::vector<std::string>>(status.takeError());
  }

private:
  std::string path;
  std::vector<std::string> names;
  OutputSet outputs;
};
} // namespace

/// The ids of tokens with a role, as config.json and generation_config.json name them; null where there is none.
static constexpr const char *roleKeys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};

/// Sets the roles that are null to what a configuration says: an id, or a list of ids.
static Status addRoles(Json &roles, std::string_view text, const std::string &where) {
  Result<Json> json = parseJson(text, JsonLimits{1 << 20, 32, 1 << 16});
  if (!json)
    return json.takeError().in(escapeForMessage(where, 1000));
  for (const char *key : roleKeys)
    if (auto found = json->find(key); found != json->end() && roles[key].is_null())
      roles[key] = *found;
  return {};
}

/// config.json, as transformers before 5 writes it for LlamaForCausalLM: later ones read both forms. A role without a
/// token is null, which is not what transformers assumes where the key is missing.
static std::string configText(const LlamaConfig &config, const Json &roles) {
  Json json{{"architectures", Json::array({"LlamaForCausalLM"})},
            {"attention_bias", config.attentionBias},
            {"attention_dropout", 0.0},
            {"bos_token_id", roles["bos_token_id"]},
            {"eos_token_id", roles["eos_token_id"]},
            {"head_dim", config.headDim},
            {"hidden_act", "silu"},
            {"hidden_size", config.hidden},
            {"intermediate_size", config.intermediate},
            {"max_position_embeddings", config.context},
            {"mlp_bias", config.mlpBias},
            {"model_type", "llama"},
            {"num_attention_heads", config.heads},
            {"num_hidden_layers", config.layers},
            {"num_key_value_heads", config.kvHeads},
            {"pad_token_id", roles["pad_token_id"]},
            {"pretraining_tp", 1},
            {"rms_norm_eps", config.rmsEpsilon},
            {"rope_scaling", nullptr},
            {"rope_theta", config.rotaryBase},
            {"tie_word_embeddings", config.tied},
            {"torch_dtype", "float32"},
            {"use_cache", true},
            {"vocab_size", config.vocabulary}};
  if (config.scaling)
    json["rope_scaling"] = {{"factor", config.scaling->factor},
                            {"high_freq_factor", config.scaling->highFrequency},
                            {"low_freq_factor", config.scaling->lowFrequency},
                            {"original_max_position_embeddings", config.scaling->originalContext},
                            {"rope_type", "llama3"}};
  return json.dump(2) + "\n";
}

static Status writeWeights(LlamaModel &model, ParameterEvaluator &evaluator, OutputDirectory &output,
                           const std::function<void(int64_t, int64_t)> &progress) {
  std::vector<TensorDeclaration> tensors;
  int64_t total = 0, done = 0;
  for (const LlamaWeight &weight : model.weights) {
    tensors.push_back({weight.name, ElementFormat::F32, {weight.shape.begin(), weight.shape.end()}});
    total += ShapedType::getNumElements(weight.shape);
  }
  Result<SafetensorsPlan> plan = planSafetensors(std::move(tensors));
  if (!plan)
    return plan.takeError();
  Result<SafetensorsWriter> writer =
      SafetensorsWriter::create(output.file("model.safetensors"), std::move(*plan), {{"format", "pt"}});
  if (!writer)
    return writer.takeError();
  for (LlamaWeight &weight : model.weights) {
    Result<FloatView> values = evaluateWeight(weight, evaluator);
    if (!values)
      return values.takeError();
    if (Status status = writer->append(weight.name, std::as_bytes(values->values)); !status)
      return status;
    for (transformer::ParameterOp part : {weight.plain, weight.codes, weight.scales, weight.zeros})
      if (part)
        evaluator.drop(part);
    done += ShapedType::getNumElements(weight.shape);
    if (progress)
      progress(done, total);
  }
  Result<OutputFile> file = writer->finish();
  return file ? output.add("model.safetensors", std::move(*file)) : Status(file.takeError());
}

/// Copies or generates the tokenizer's files, and fills in the roles of tokens. What cannot be had is a note, not an
/// error.
static Status writeTokenizer(ModuleOp module, const std::string &irDirectory, OutputDirectory &output, Json &roles,
                             std::vector<std::string> &notes) {
  auto tokenizers = module.getOps<transformer::TokenizerOp>();
  if (tokenizers.empty()) {
    notes.push_back("no tokenizer files: the model has no tokenizer");
    return {};
  }
  std::string path = resolvePath((*tokenizers.begin()).getPath(), irDirectory);
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    Result<std::shared_ptr<const Archive>> archive = Archive::open(path);
    if (!archive)
      return archive.takeError();
    auto files = tokenizerFilesFromGguf(**archive);
    if (!files) {
      notes.push_back("no tokenizer files: " + files.error().rule);
      return {};
    }
    for (const auto &[name, text] : *files) {
      if (Status status = output.write(name, text); !status)
        return status;
      if (name == "generation_config.json")
        if (Status status = addRoles(roles, text, path); !status)
          return status;
    }
    return {};
  }
  for (const char *name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                           "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
                           "generation_config.json", "config.json"}) {
    std::string source = (fs::path(path) / name).string();
    if (!fs::exists(source, ignored))
      continue;
    Result<MappedFile> file = MappedFile::open(source);
    if (!file)
      return file.takeError();
    std::string_view text(reinterpret_cast<const char *>(file->bytes().data()), file->bytes().size());
    bool isConfig = llvm::StringRef(name) == "config.json"; // ours is another; its roles are the last to be asked
    if (isConfig || llvm::StringRef(name) == "generation_config.json")
      if (Status status = addRoles(roles, text, source); !status)
        return status;
    if (isConfig)
      continue;
    if (Status status = output.write(name, text); !status)
      return status;
  }
  return {};
}

/// Whether a file lies in a directory, or one of the names there leads to it: links, as in Hugging Face's cache.
static bool liesIn(const std::string &file, const std::string &directory) {
  std::error_code ignored;
  fs::path parent = fs::path(file).parent_path();
  if (fs::equivalent(parent.empty() ? "." : parent, directory, ignored))
    return true;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, ignored))
    if (fs::equivalent(entry.path(), file, ignored))
      return true;
  return false;
}

Result<ExportReport> qopt::exportHuggingFace(ModuleOp module, const std::string &irDirectory,
                                             const std::string &outputDirectory,
                                             const std::function<void(int64_t, int64_t)> &progress) {
  Result<LlamaModel> model = readLlama(module);
  if (!model)
    return model.takeError();
  auto evaluator = ParameterEvaluator::open(module, irDirectory);
  if (!evaluator)
    return evaluator.takeError();
  for (transformer::ArchiveOp archive : module.getOps<transformer::ArchiveOp>())
    if (liesIn(resolvePath(archive.getPath(), irDirectory), outputDirectory))
      return usageError("expected a directory without archives of the model itself",
                        escapeForMessage(outputDirectory, 1000))
          .withNext("name another directory for the output");
  // Before the weights, which take long. Its files are copied as they lie there, but only if they are the model's.
  for (transformer::TokenizerOp tokenizer : module.getOps<transformer::TokenizerOp>())
    if (Result<LoadedTokenizer> loaded = loadImportedTokenizer(tokenizer, irDirectory); !loaded)
      return loaded.takeError();
  OutputDirectory output(outputDirectory);
  ExportReport report;
  if (Status status = output.make(); !status)
    return status.takeError();
  if (Status status = writeWeights(*model, **evaluator, output, progress); !status)
    return status.takeError();
  Json roles = Json::object();
  for (const char *key : roleKeys)
    roles[key] = nullptr;
  if (Status status = writeTokenizer(module, irDirectory, output, roles, report.notes); !status)
    return status.takeError();
  if (Status status = output.write("config.json", configText(model->config, roles)); !status)
    return status.takeError();
  Result<std::vector<std::string>> written = output.keep();
  if (!written)
    return written.takeError();
  report.written = std::move(*written);
  return report;
}
