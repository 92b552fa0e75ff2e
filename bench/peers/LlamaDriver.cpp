// The peer's side of the comparison: llama.cpp through its C API, with its own defaults (memory-mapped weights, weights
// repacked at load, flash attention chosen by itself, f16 KV cache). See driver/Measure.h for the commands; besides,
//   llama-driver quantize SOURCE.gguf RESULT.gguf {q4_0|q8_0|f16|q4_k_m} --threads N     head and embedding in Q8_0
#include "driver/Measure.h"

#include "llama.h"

using namespace bench;

namespace {

class Llama {
public:
  explicit Llama(const Arguments &arguments) {
    model = llama_model_load_from_file(arguments.model.c_str(), llama_model_default_params());
    if (!model)
      fail("cannot load " + arguments.model);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(arguments.contextTokens);
    params.n_threads = params.n_threads_batch = arguments.threads;
    context = llama_init_from_model(model, params);
    if (!context)
      fail("cannot make a context");
    vocab = llama_model_get_vocab(model);
  }
  ~Llama() {
    llama_free(context);
    llama_model_free(model);
  }
  Llama(const Llama &) = delete;
  Llama &operator=(const Llama &) = delete;

  int vocabulary() const { return llama_vocab_n_tokens(vocab); }
  void clear() { llama_memory_clear(llama_get_memory(context), false); }
  const float *forward(const int32_t *tokens, int count) {
    batch.assign(tokens, tokens + count);
    if (llama_decode(context, llama_batch_get_one(batch.data(), count)) != 0)
      fail("llama_decode failed");
    return llama_get_logits_ith(context, -1);
  }
  std::vector<int32_t> encode(const std::string &text) const {
    std::vector<int32_t> ids(text.size() + 8);
    int count = llama_tokenize(vocab, text.data(), static_cast<int32_t>(text.size()), ids.data(),
                               static_cast<int32_t>(ids.size()), /*add_special=*/false, /*parse_special=*/true);
    if (count < 1)
      fail("cannot encode the prompt");
    ids.resize(static_cast<size_t>(count));
    return ids;
  }

private:
  llama_model *model = nullptr;
  llama_context *context = nullptr;
  const llama_vocab *vocab = nullptr;
  std::vector<int32_t> batch;
};

} // namespace

static int quantize(const Arguments &arguments) {
  if (arguments.extra.size() != 2)
    fail("expected: quantize SOURCE.gguf RESULT.gguf {q4_0|q8_0|f16}");
  const std::string &to = arguments.extra[1];
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.nthread = arguments.threads;
  params.allow_requantize = true; // the model that we have is in Q4_1
  if (to == "q4_0")
    params.ftype = LLAMA_FTYPE_MOSTLY_Q4_0;
  else if (to == "q8_0")
    params.ftype = LLAMA_FTYPE_MOSTLY_Q8_0;
  else if (to == "f16")
    params.ftype = LLAMA_FTYPE_MOSTLY_F16;
  else if (to == "q4_k_m")
    params.ftype = LLAMA_FTYPE_MOSTLY_Q4_K_M;
  else
    fail("unknown format " + to);
  if (to == "q4_k_m") // for accuracy, which is compared with embedding and head left alone
    params.output_tensor_type = params.token_embedding_type = GGML_TYPE_F32;
  else if (to != "f16")
    params.output_tensor_type = params.token_embedding_type = GGML_TYPE_Q8_0;
  double start = now();
  if (llama_model_quantize(arguments.model.c_str(), arguments.extra[0].c_str(), &params) != 0)
    fail("llama_model_quantize failed");
  std::printf("{\"seconds\":%.4f,\"peak_kib\":%ld}\n", now() - start, peakKiB());
  return 0;
}

int main(int argc, char **argv) {
  double started = now();
  Arguments arguments = parseArguments(argc, argv);
  llama_log_set(
      [](ggml_log_level level, const char *text, void *) {
        if (level >= GGML_LOG_LEVEL_ERROR && level != GGML_LOG_LEVEL_CONT)
          std::fputs(text, stderr);
      },
      nullptr);
  llama_backend_init();
  if (arguments.command == "info") {
    std::printf("{\"name\":%s,\"llama_cpp\":%s,\"compiler\":%s,\"system_info\":%s}\n", quoted(PEER_VERSION).c_str(),
                quoted(llama_version()).c_str(), quoted(PEER_COMPILER).c_str(),
                quoted(llama_print_system_info()).c_str());
  } else if (arguments.command == "run") {
    Llama side(arguments);
    timeLoaded(side, arguments, started, now());
  } else if (arguments.command == "first-token") {
    Llama side(arguments);
    std::vector<int32_t> prompt = side.encode(arguments.prompt);
    const float *logits = side.forward(prompt.data(), static_cast<int>(prompt.size()));
    reportFirstToken(mostLikely(logits, side.vocabulary()), prompt.size());
  } else if (arguments.command == "quantize") {
    return quantize(arguments);
  } else {
    fail("unknown command " + arguments.command);
  }
  return 0;
}
