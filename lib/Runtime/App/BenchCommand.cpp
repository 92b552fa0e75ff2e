// qopt bench: how fast a model runs here.
#include "lib/Archive/Json.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/Commands.h"
#include "lib/Runtime/App/Progress.h"
#include "lib/Runtime/App/Random.h"
#include "lib/Runtime/Context.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

namespace qopt {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

namespace {

struct BenchArguments {
  std::string file;
  int64_t promptTokens = 512, generate = 128, repeat = 5;
  uint64_t seed = 0;
  bool json = false, profile = false;
  ModelArguments model;
};

/// Tokens per second, of every repetition.
struct Rates {
  std::vector<double> samples;

  double median() const {
    std::vector<double> sorted = samples;
    std::sort(sorted.begin(), sorted.end());
    size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
  double low() const { return *std::min_element(samples.begin(), samples.end()); }
  double high() const { return *std::max_element(samples.begin(), samples.end()); }
  Json toJson() const {
    if (samples.empty())
      return nullptr;
    return {{"median", median()}, {"min", low()}, {"max", high()}, {"samples", samples}};
  }
  std::string toText(const char *name) const {
    char text[160];
    std::snprintf(text, sizeof text, "%-10s %10.1f tokens/s  [%.1f, %.1f]\n", name, median(), low(), high());
    return text;
  }
};

/// The dispatches of prompts and of what follows them.
struct Profiles {
  Profile prefill, decode;
};

} // namespace

/// Billions of `count` per second; null where nothing was counted.
static Json billions(double count, double seconds) {
  return count > 0 && seconds > 0 ? Json(count / seconds * 1e-9) : Json(nullptr);
}

/// Null where there were no forwards.
static Json profileToJson(const Profile &profile) {
  if (profile.seconds() == 0)
    return nullptr;
  Json dispatches = Json::array();
  for (const DispatchTime &time : profile.byTime())
    dispatches.push_back({{"kernel", time.kernel},
                          {"calls", time.calls},
                          {"seconds", time.seconds},
                          {"share", time.seconds / profile.seconds()},
                          {"weight_bytes", time.weightBytes},
                          {"gigabytes_per_second", billions(time.weightBytes, time.seconds)},
                          {"gigaoperations_per_second", billions(time.operations, time.seconds)}});
  return {{"seconds", profile.seconds()}, {"dispatches", std::move(dispatches)}};
}

static std::string profileToText(const char *name, const Profile &profile) {
  if (profile.seconds() == 0)
    return "";
  char line[400];
  std::snprintf(line, sizeof line, "\n%-52s %9s %10s %6s %8s %8s\n", name, "calls", "ms", "share", "GB/s", "GOPS");
  std::string text = line;
  auto column = [](double count, double seconds) {
    char number[32] = "-";
    if (count > 0 && seconds > 0)
      std::snprintf(number, sizeof number, "%.1f", count / seconds * 1e-9);
    return std::string(number);
  };
  double rest = profile.seconds();
  for (const DispatchTime &time : profile.byTime()) {
    std::snprintf(line, sizeof line, "%-52.200s %9lld %10.3f %5.1f%% %8s %8s\n", time.kernel.c_str(),
                  static_cast<long long>(time.calls), time.seconds * 1e3, time.seconds / profile.seconds() * 100,
                  column(time.weightBytes, time.seconds).c_str(), column(time.operations, time.seconds).c_str());
    text += line;
    rest -= time.seconds;
  }
  std::snprintf(line, sizeof line, "%-52s %9s %10.3f %5.1f%%\n", "outside of dispatches", "", rest * 1e3,
                rest / profile.seconds() * 100);
  return text + line;
}

/// One prompt and what follows it, in a sequence of its own. Every generated token's logits are computed, none is
/// chosen: the next token is random, so that all repetitions do the same work.
static Status runOnce(Context &context, const BenchArguments &arguments, Rates *prefill, Rates *decode,
                      Profiles *profiles) {
  auto vocabulary = static_cast<uint64_t>(context.model().manifest().model.vocabulary);
  Random random(arguments.seed);
  std::vector<int32_t> tokens(static_cast<size_t>(arguments.promptTokens + arguments.generate));
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random.below(vocabulary));
  std::vector<float> logits(vocabulary);
  Result<SequenceId> sequence = context.cache().createSequence();
  if (!sequence)
    return sequence.takeError();
  auto forward = [&](std::span<const int32_t> part) -> Status {
    auto last = static_cast<int32_t>(part.size() - 1);
    Result<ForwardOutcome> outcome =
        context.forward({.tokens = part, .sequences = {&*sequence, 1}, .rows = {&last, 1}, .logits = logits});
    return outcome ? Status() : Status(outcome.takeError());
  };
  std::span<const int32_t> all(tokens);
  context.setProfile(profiles ? &profiles->prefill : nullptr);
  Clock::time_point start = Clock::now();
  if (arguments.promptTokens != 0)
    if (Status status = forward(all.first(static_cast<size_t>(arguments.promptTokens))); !status)
      return status;
  context.setProfile(profiles ? &profiles->decode : nullptr);
  Clock::time_point middle = Clock::now();
  for (int64_t i = arguments.promptTokens; i < static_cast<int64_t>(tokens.size()); ++i)
    if (Status status = forward(all.subspan(static_cast<size_t>(i), 1)); !status)
      return status;
  Clock::time_point end = Clock::now();
  context.setProfile(nullptr);
  auto seconds = [](Clock::duration time) { return std::chrono::duration<double>(time).count(); };
  if (prefill && arguments.promptTokens != 0)
    prefill->samples.push_back(rate(static_cast<double>(arguments.promptTokens), seconds(middle - start)));
  if (decode && arguments.generate != 0)
    decode->samples.push_back(rate(static_cast<double>(arguments.generate), seconds(end - middle)));
  return context.cache().freeSequence(*sequence);
}

static Status bench(BenchArguments &arguments, const CompileFile &compile) {
  if (arguments.promptTokens + arguments.generate == 0)
    return usageError("expected --prompt-tokens or --generate above 0");
  Result<ModelFile> file = openModelFile(arguments.file, modelOptions(arguments.model), compile);
  if (!file)
    return file.takeError();
  const Manifest &manifest = file->model->manifest();
  ContextOptions options;
  options.threads = arguments.model.threads;
  options.contextTokens = arguments.promptTokens + arguments.generate;
  if (options.contextTokens > manifest.model.context)
    return badInput("expected at most " + std::to_string(manifest.model.context) +
                    " tokens, the model's context, but got " + std::to_string(options.contextTokens))
        .withNext("take fewer: --prompt-tokens and --generate");
  Result<std::unique_ptr<Context>> context = Context::create(file->model, options);
  if (!context)
    return context.takeError();
  Rates prefill, decode;
  std::optional<Profiles> profiles;
  if (arguments.profile)
    profiles.emplace(Profile(manifest), Profile(manifest));
  Progress progress("bench", "runs", 1);
  for (int64_t run = 0; run <= arguments.repeat; ++run) { // the first warms up and is not counted
    bool counted = run != 0;
    if (Status status = runOnce(**context, arguments, counted ? &prefill : nullptr, counted ? &decode : nullptr,
                                counted && profiles ? &*profiles : nullptr);
        !status)
      return status;
    progress.update(run + 1, arguments.repeat + 1);
  }
  progress.finish();
  if (profiles && !(profiles->prefill.agrees() && profiles->decode.agrees()))
    return Error{
        ErrorClass::Bug, "the model's code has other dispatches than its manifest names", arguments.file, {}, {}};
  std::string output;
  if (arguments.json) {
    Json json;
    json["model"] = {{"file", arguments.file},
                     {"name", manifest.model.name},
                     {"target", file->model->target().name},
                     {"weight_bytes", manifest.weightBytes},
                     {"file_bytes", file->model->file().fileBytes().size()}};
    json["threads"] = (*context)->workers();
    json["prompt_tokens"] = arguments.promptTokens;
    json["generate_tokens"] = arguments.generate;
    json["repeat"] = arguments.repeat;
    json["seed"] = arguments.seed;
    json["prefill_tokens_per_second"] = prefill.toJson();
    json["decode_tokens_per_second"] = decode.toJson();
    json["seconds"] = {{"compile", file->compileSeconds}, {"load", file->loadSeconds}};
    json["peak_resident_bytes"] = peakResidentBytes();
    json["profile"] = nullptr;
    if (profiles)
      json["profile"] = {{"prefill", profileToJson(profiles->prefill)}, {"decode", profileToJson(profiles->decode)}};
    output = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  } else {
    if (!prefill.samples.empty())
      output += prefill.toText("prefill");
    if (!decode.samples.empty())
      output += decode.toText("decode");
    char tail[200];
    std::snprintf(tail, sizeof tail, "%-10s %10.3f s\n%-10s %10.0f MB of memory at most\n", "load", file->loadSeconds,
                  "peak", static_cast<double>(peakResidentBytes()) * 1e-6);
    output += tail + std::to_string((*context)->workers()) + " threads, target " + file->model->target().name +
              "; median of " + std::to_string(arguments.repeat) + " and [least, most]\n";
    if (profiles)
      output += profileToText("prefill", profiles->prefill) + profileToText("decode", profiles->decode);
  }
  return writeStandardOutput(output);
}

int benchCommand(int argc, char **argv, const CompileFile &compile) {
  BenchArguments arguments;
  CLI::App app(
      "Measures how fast a model reads a prompt and generates after it: random tokens from a seed, one run to\n"
      "warm up, then the median and the spread of the others.",
      "qopt bench");
  app.footer("Peak memory is that of the whole process; what compiling an IR file took is in it.\n"
             "Example:\n  qopt bench model.qopt --prompt-tokens 512 --generate 128 --threads 1 --json");
  app.add_option("FILE", arguments.file, "an artifact, or an IR file, which is compiled first")->required();
  auto count = CLI::Range(int64_t(0), int64_t(1) << 30);
  app.add_option("--prompt-tokens", arguments.promptTokens, "tokens of the prompt")
      ->check(count)
      ->capture_default_str();
  app.add_option("--generate", arguments.generate, "tokens after it, one by one")->check(count)->capture_default_str();
  app.add_option("--repeat", arguments.repeat, "runs that are counted")
      ->check(CLI::Range(int64_t(1), int64_t(1000000)))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "of the random tokens")->check(anySeed())->capture_default_str();
  app.add_flag("--profile", arguments.profile, "also print where the time went: every dispatch of the counted runs");
  addModelOptions(app, arguments.model);
  app.add_flag("--json", arguments.json, "print JSON (docs/schemas/bench.json)");
  return runCommand(app, argc, argv, "qopt bench", "nothing was measured", [&] { return bench(arguments, compile); });
}

} // namespace qopt
