// CLI11 throws, and so may the standard library: what is thrown ends in runMain.
#include "lib/Runtime/App/RunCommand.h"

#include "lib/Archive/Json.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/Context.h"
#include "lib/Runtime/Generate.h"
#include "lib/Runtime/Text/ChatTemplate.h"
#include "lib/Runtime/Text/Sampler.h"

#include <chrono>
#include <cstdio>
#include <unistd.h>

namespace qopt {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

namespace {

struct RunArguments {
  std::string file;
  std::optional<std::string> prompt, promptIds, system;
  bool chat = false, json = false, ids = false, timing = false;
  int64_t maxTokens = 256;
  std::optional<float> temperature, topP;
  std::optional<int32_t> topK;
  uint64_t seed = 0;
  ModelArguments model;
};

/// One answer of a model.
class Run {
public:
  Run(RunArguments &arguments, ModelFile &file) : arguments(arguments), file(file) {}

  Status answer(Clock::time_point start);

private:
  Result<std::vector<int32_t>> prompt() const;
  Result<std::string> chatText(const std::string &question) const;
  Result<Sampler> sampler() const;
  bool print(int32_t token);
  void finish(const std::vector<int32_t> &promptIds, const GenerateResult &result, double firstToken);

  RunArguments &arguments;
  ModelFile &file;
  std::optional<StreamDecoder> decoder;
  std::string text; ///< the answer so far; with --json only
  int64_t printed = 0;
};

} // namespace

Result<std::string> Run::chatText(const std::string &question) const {
  std::string where = escapeForMessage(arguments.file, 1000);
  if (file.text->tokenizer.spec().chatTemplate.empty())
    return badInput("expected a model with a chat template, but this one came without", where)
        .withNext("leave out --chat and --system");
  std::vector<ChatMessage> messages;
  if (arguments.system)
    messages.push_back({"system", *arguments.system});
  messages.push_back({"user", question});
  Result<std::string> prompt = file.text->chatPrompt(messages);
  return prompt ? std::move(prompt) : prompt.takeError().in(where);
}

Result<std::vector<int32_t>> Run::prompt() const {
  if (arguments.promptIds)
    return parseTokenIds(*arguments.promptIds, file.model->manifest().model.vocabulary, "--prompt-ids");
  if (!file.text)
    return missingTokenizer(arguments.file);
  Result<std::string> text = argumentOrStandardInput(*arguments.prompt);
  if (text && arguments.chat)
    text = chatText(*text);
  if (!text)
    return text.takeError();
  // A chat template writes the special tokens itself.
  Result<Encoding> encoding =
      file.text->tokenizer.encode(*text, {.recognizeSpecial = true, .addSpecial = !arguments.chat});
  if (!encoding)
    return encoding.takeError();
  if (encoding->droppedBytes != 0)
    std::fprintf(stderr, "warning: the vocabulary lacks %zu bytes of the prompt; they were left out\n",
                 encoding->droppedBytes);
  if (encoding->ids.empty())
    return usageError("expected a prompt of at least one token").withNext("say something: --prompt \"Hello\"");
  return std::move(encoding->ids);
}

Result<Sampler> Run::sampler() const {
  SamplerOptions options;
  if (file.text)
    options = file.text->generation.sampling;
  if (arguments.temperature)
    options.temperature = *arguments.temperature;
  if (arguments.temperature == 0.0 && (arguments.topK || arguments.topP))
    return usageError("expected no --top-k or --top-p with --temperature 0, which takes the most likely token");
  // A filter without a temperature means nothing; asking for one asks for sampling.
  if ((arguments.topK || arguments.topP) && !arguments.temperature && options.temperature == 0)
    options.temperature = 1;
  options.topK = arguments.topK.value_or(options.topK);
  options.topP = arguments.topP.value_or(options.topP);
  options.seed = arguments.seed;
  return Sampler::create(options);
}

/// Shows one token; false when nobody reads any more.
bool Run::print(int32_t token) {
  if (arguments.ids || !decoder) {
    if (!arguments.json)
      std::printf("%s%d", printed++ == 0 ? "" : " ", token);
  } else if (Result<std::string> piece = decoder->push(token)) {
    if (arguments.json)
      text += *piece;
    else
      std::fwrite(piece->data(), 1, piece->size(), stdout);
  }
  return std::fflush(stdout) == 0;
}

Status Run::answer(Clock::time_point start) {
  Result<std::vector<int32_t>> ids = prompt();
  if (!ids)
    return ids.takeError();
  Result<Sampler> chooser = sampler();
  if (!chooser)
    return chooser.takeError();
  ContextOptions contextOptions;
  contextOptions.threads = arguments.model.threads;
  Result<std::unique_ptr<Context>> context = Context::create(file.model, contextOptions);
  if (!context)
    return context.takeError();
  int64_t room = (*context)->contextTokens();
  if (static_cast<int64_t>(ids->size()) > room)
    return badInput("expected a prompt of at most " + std::to_string(room) + " tokens, the model's context, but got " +
                        std::to_string(ids->size()),
                    escapeForMessage(arguments.file, 1000))
        .withNext("shorten the prompt");
  Result<SequenceId> sequence = (*context)->cache().createSequence();
  if (!sequence)
    return sequence.takeError();
  if (file.text)
    decoder.emplace(file.text->tokenizer, /*skipSpecial=*/true);
  GenerateOptions options;
  options.maxTokens = arguments.maxTokens;
  if (file.text)
    options.stopTokens = file.text->generation.stops;
  std::optional<Error> failure;
  double firstToken = 0;
  auto sample = [&](std::span<float> logits) -> int32_t {
    Result<int32_t> token = chooser->sample(logits);
    if (token)
      return *token;
    failure = token.takeError();
    return 0;
  };
  auto onToken = [&](int32_t token) {
    if (firstToken == 0)
      firstToken = std::chrono::duration<double>(Clock::now() - start).count();
    return !failure && print(token);
  };
  Result<GenerateResult> result = generate(**context, *sequence, *ids, options, sample, onToken);
  if (!result)
    return result.takeError();
  if (failure)
    return std::move(*failure).in("logits").withNext("evaluate the model: its numbers are not finite");
  finish(*ids, *result, firstToken);
  return {};
}

static const char *nameOf(GenerateEnd end) {
  switch (end) {
  case GenerateEnd::StopToken:
    return "stop_token";
  case GenerateEnd::MaxTokens:
    return "max_tokens";
  case GenerateEnd::ContextFull:
    return "context_full";
  case GenerateEnd::Callback:
  case GenerateEnd::Aborted:
    break;
  }
  return "aborted";
}

void Run::finish(const std::vector<int32_t> &promptIds, const GenerateResult &result, double firstToken) {
  if (decoder && !arguments.ids) {
    std::string rest = decoder->flush();
    if (arguments.json)
      text += rest;
    else
      std::fwrite(rest.data(), 1, rest.size(), stdout);
  }
  double prefillRate = rate(static_cast<double>(promptIds.size()), result.prefillSeconds);
  double decodeRate = rate(static_cast<double>(result.decodeForwards), result.decodeSeconds);
  if (arguments.json) {
    Json json;
    json["model"] = file.model->manifest().model.name;
    json["target"] = file.model->target().name;
    json["threads"] = threadsOf(arguments.model);
    json["prompt_tokens"] = promptIds.size();
    json["generated_tokens"] = result.tokens.size();
    json["tokens"] = result.tokens;
    json["text"] = decoder && !arguments.ids ? Json(text) : Json(nullptr);
    json["end"] = nameOf(result.end);
    json["seconds"] = {{"compile", file.compileSeconds},
                       {"load", file.loadSeconds},
                       {"prefill", result.prefillSeconds},
                       {"decode", result.decodeSeconds},
                       {"first_token", firstToken}};
    json["tokens_per_second"] = {{"prefill", prefillRate}, {"decode", decodeRate}};
    json["peak_resident_bytes"] = peakResidentBytes();
    std::string line = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
  } else {
    std::fputc('\n', stdout);
  }
  std::fflush(stdout);
  if (arguments.timing)
    std::fprintf(stderr,
                 "load %.3f s; prompt %zu tokens, %.1f/s; generated %zu tokens, %.1f/s; first token after %.3f s; "
                 "peak memory %.1f MB\n",
                 file.loadSeconds, promptIds.size(), prefillRate, result.tokens.size(), decodeRate, firstToken,
                 static_cast<double>(peakResidentBytes()) * 1e-6);
}

int runMain(int argc, char **argv, const std::string &program, const CompileFile &compile) {
  Clock::time_point start = Clock::now();
  RunArguments arguments;
  CLI::App app("Answers a prompt with a compiled model. The answer goes to the standard output as it is made.",
               program);
  app.footer(
      "Sampling that is not said comes from the model (its generation_config.json); without one, the most likely\n"
      "token is taken. The same seed gives the same answer, for any number of threads.\n"
      "Example:\n  " +
      program + " model.qopt --chat --prompt \"What is the capital of France?\"");
  app.add_option("FILE", arguments.file,
                 compile ? "an artifact, or an IR file, which is compiled first" : "an artifact")
      ->required();
  CLI::Option *prompt = app.add_option("-p,--prompt", arguments.prompt, "text to go on from; - is the standard input");
  CLI::Option *promptIds = app.add_option("--prompt-ids", arguments.promptIds, "token ids in place of text, \"1 2 3\"");
  CLI::Option *chat = app.add_flag("--chat", arguments.chat, "put the prompt into the model's chat template");
  app.add_option("--system", arguments.system, "a system message before the prompt")->needs(chat);
  prompt->excludes(promptIds);
  chat->excludes(promptIds);
  app.add_option("-n,--max-tokens", arguments.maxTokens, "most tokens to generate")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 31))
      ->capture_default_str();
  app.add_option("--temperature", arguments.temperature, "0: always the most likely token")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--top-k", arguments.topK, "choose among the K most likely tokens; 0: all")
      ->check(CLI::Range(0, INT32_MAX));
  app.add_option("--top-p", arguments.topP, "choose among the likely tokens whose probabilities add up to P")
      ->check(CLI::Range(1e-9, 1.0));
  app.add_option("--seed", arguments.seed, "of the random numbers")->check(anySeed())->capture_default_str();
  addModelOptions(app, arguments.model);
  app.add_flag("--tokens", arguments.ids, "print token ids in place of text");
  app.add_flag("--json", arguments.json, "print one JSON object at the end (docs/schemas/run.json)");
  app.add_flag("--timing", arguments.timing, "print times and memory to stderr at the end");
  return runCommand(app, argc, argv, program, "no answer was given", [&]() -> Status {
    if (!arguments.prompt && !arguments.promptIds)
      return usageError("expected --prompt or --prompt-ids").withNext("say something: --prompt \"Hello\"");
    Result<ModelFile> file = openModelFile(arguments.file, modelOptions(arguments.model), compile);
    if (!file)
      return file.takeError();
    return Run(arguments, *file).answer(start);
  });
}

} // namespace qopt
