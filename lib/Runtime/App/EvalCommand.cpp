// qopt eval: how far models are from a text and from a reference.
#include "lib/Archive/Json.h"
#include "lib/Archive/MappedFile.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/Commands.h"
#include "lib/Runtime/App/Evaluation.h"
#include "lib/Runtime/App/Progress.h"

#include <chrono>
#include <cstdio>

namespace qopt {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

namespace {
struct EvalArguments {
  std::vector<std::string> files, texts;
  std::string reference;
  EvaluationOptions evaluation;
  int64_t resamples = 10000;
  uint64_t seed = 0;
  std::optional<double> maxDivergence;
  bool json = false;
  ModelArguments model;
};
} // namespace

/// The files' bytes, one after another.
static Result<std::string> readTexts(const std::vector<std::string> &paths) {
  std::string text;
  for (const std::string &path : paths) {
    Result<MappedFile> file = MappedFile::open(path);
    if (!file)
      return file.takeError().withNext("name a file of plain text");
    std::string_view bytes(reinterpret_cast<const char *>(file->bytes().data()), file->size());
    if (bytes.starts_with("\x1f\x8b"))
      return badInput("expected plain text, but got a gzip file", escapeForMessage(path, 1000))
          .withNext("unpack it with gunzip");
    text += bytes;
  }
  return text;
}

static Json toJson(const Estimate &estimate) {
  return {{"value", estimate.value}, {"low", estimate.low}, {"high", estimate.high}};
}

static Json describeModel(const std::string &file, const Model &model) {
  return {{"file", file},
          {"name", model.manifest().model.name},
          {"target", model.target().name},
          {"weight_bytes", model.manifest().weightBytes}};
}

/// The means of each window, in the text's order: what comparisons with another model, paired by window, are made of.
static Json describeWindows(const std::vector<WindowScores> &windows, bool paired) {
  Json list = Json::array();
  for (const WindowScores &window : windows) {
    double predictions = static_cast<double>(window.predictions);
    auto mean = [&](double sum) { return paired ? Json(sum / predictions) : Json(nullptr); };
    list.push_back({{"loss", window.loss / predictions},
                    {"reference_loss", mean(window.referenceLoss)},
                    {"kl_divergence", mean(window.divergence)},
                    {"top1_agreement", mean(static_cast<double>(window.agreements))}});
  }
  return list;
}

static std::string line(const char *name, const Estimate &estimate, const char *format) {
  char number[3][40], text[200];
  for (int i = 0; i < 3; ++i)
    std::snprintf(number[i], sizeof number[i], format, (&estimate.value)[i == 0 ? 0 : i]);
  std::snprintf(text, sizeof text, "%-22s %12s  [%s, %s]\n", name, number[0], number[1], number[2]);
  return text;
}

/// What all models of a run share.
struct EvalRun {
  const EvalArguments &arguments;
  std::shared_ptr<const Model> reference; ///< may be null
  Encoding tokens;
  double seconds = 0; ///< of the whole run
};

static std::string toText(const EvalRun &run, const Evaluation &result) {
  std::string text = std::to_string(result.windows) + " windows of " + std::to_string(run.arguments.evaluation.window) +
                     " tokens, " + std::to_string(result.predictions) + " predictions; 95% intervals by bootstrap\n";
  text += line("perplexity", result.perplexity, "%.4f");
  if (run.reference) {
    text += line("reference perplexity", result.referencePerplexity, "%.4f");
    text += line("perplexity ratio", result.perplexityRatio, "%.5f");
    text += line("KL divergence, nats", result.divergence, "%.6f");
    text += line("top-1 agreement", result.agreement, "%.5f");
  }
  return text;
}

static Json toJson(const EvalRun &run, const std::string &file, const Model &model,
                   const std::vector<WindowScores> &windows, const Evaluation &result) {
  const EvalArguments &arguments = run.arguments;
  Json json;
  json["model"] = describeModel(file, model);
  json["reference"] = run.reference ? describeModel(arguments.reference, *run.reference) : Json(nullptr);
  json["protocol"] = {{"window", arguments.evaluation.window}, {"windows", result.windows},
                      {"spread", arguments.evaluation.spread}, {"predictions", result.predictions},
                      {"text_tokens", run.tokens.ids.size()},  {"dropped_bytes", run.tokens.droppedBytes},
                      {"resamples", arguments.resamples},      {"seed", arguments.seed}};
  json["perplexity"] = toJson(result.perplexity);
  auto paired = [&](const Estimate &estimate) { return run.reference ? toJson(estimate) : Json(nullptr); };
  json["reference_perplexity"] = paired(result.referencePerplexity);
  json["perplexity_ratio"] = paired(result.perplexityRatio);
  json["kl_divergence"] = paired(result.divergence);
  json["top1_agreement"] = paired(result.agreement);
  json["per_window"] = describeWindows(windows, run.reference != nullptr);
  json["threads"] = threadsOf(arguments.model);
  json["seconds"] = run.seconds;
  json["peak_resident_bytes"] = peakResidentBytes();
  return json;
}

/// An object, indented; of several models an object a line.
static std::string allJson(const EvalRun &run, std::span<const EvaluatedModel> models,
                           std::span<const std::vector<WindowScores>> windows, std::span<const Evaluation> results) {
  std::string output;
  for (size_t i = 0; i < models.size(); ++i)
    output += toJson(run, run.arguments.files[i], *models[i].model, windows[i], results[i])
                  .dump(models.size() > 1 ? -1 : 2, ' ', false, Json::error_handler_t::replace) +
              "\n";
  return output;
}

static std::string allText(const EvalRun &run, std::span<const Evaluation> results) {
  std::string output;
  bool several = results.size() > 1;
  for (size_t i = 0; i < results.size(); ++i)
    output += (several ? run.arguments.files[i] + "\n" : "") + toText(run, results[i]) + (several ? "\n" : "");
  char tail[80];
  std::snprintf(tail, sizeof tail, "%.1f s, peak memory %.0f MB\n", run.seconds,
                static_cast<double>(peakResidentBytes()) * 1e-6);
  return output + tail;
}

/// Error (gate): a model's divergence is above `most`; all that fail are named.
static Status judge(std::span<const EvaluatedModel> models, std::span<const Evaluation> results, double most) {
  std::string got, where;
  for (size_t i = 0; i < models.size(); ++i) {
    if (results[i].divergence.value <= most)
      continue;
    char number[40];
    std::snprintf(number, sizeof number, "%g", results[i].divergence.value);
    got += (got.empty() ? "" : ", ") + std::string(number);
    where += (where.empty() ? "" : ", ") + models[i].name;
  }
  if (got.empty())
    return {};
  char rule[80];
  std::snprintf(rule, sizeof rule, "expected a KL divergence of at most %g nats, but got ", most);
  return Error{ErrorClass::Gate, rule + got, where, "the figures above stand", "take more bits or smaller groups"};
}

/// Opens `path`, whose tokens have to be those of `first`; null: there is nothing to compare with.
static Result<ModelFile> openAlike(const std::string &path, const EvalArguments &arguments, const CompileFile &compile,
                                   const ModelText *first, const char *what, const char *next) {
  Result<ModelFile> opened = openModelFile(path, modelOptions(arguments.model), compile);
  if (!opened)
    return opened.takeError();
  if (first && opened->text && opened->text->tokenizer.spec().tokens != first->tokenizer.spec().tokens)
    return badInput(std::string("expected ") + what + ", but its tokens differ", escapeForMessage(path, 1000))
        .withNext(next);
  return opened;
}

static Status evaluate(EvalArguments &arguments, const CompileFile &compile) {
  Clock::time_point start = Clock::now();
  std::vector<EvaluatedModel> models;
  std::optional<ModelText> text; // the first model's
  for (const std::string &path : arguments.files) {
    Result<ModelFile> file = openAlike(path, arguments, compile, text ? &*text : nullptr, "models with one vocabulary",
                                       "evaluate models together that were made from one");
    if (!file)
      return file.takeError();
    if (!file->text)
      return missingTokenizer(path);
    models.push_back({escapeForMessage(path, 1000), std::move(file->model)});
    if (!text)
      text = std::move(file->text);
  }
  Result<std::string> bytes = readTexts(arguments.texts);
  if (!bytes)
    return bytes.takeError();
  // The text is data: tokens that would steer the model are not looked for in it.
  Result<Encoding> tokens = text->tokenizer.encode(*bytes, {.recognizeSpecial = false, .addSpecial = false});
  if (!tokens)
    return tokens.takeError();
  EvalRun run = {arguments, nullptr, std::move(*tokens)};
  if (!arguments.reference.empty()) {
    Result<ModelFile> opened =
        openAlike(arguments.reference, arguments, compile, &*text, "a reference with the model's vocabulary",
                  "compare with the model that this one was made from");
    if (!opened)
      return opened.takeError();
    run.reference = std::move(opened->model);
  }
  arguments.evaluation.threads = arguments.model.threads;
  Progress progress("eval", "windows", 1);
  Result<std::vector<std::vector<WindowScores>>> scored =
      evaluateModels(models, run.reference, run.tokens.ids, arguments.evaluation,
                     [&](int64_t done, int64_t total) { progress.update(done, total); });
  if (!scored)
    return scored.takeError();
  progress.finish();
  if (static_cast<int64_t>(scored->front().size()) < arguments.evaluation.windows)
    std::fprintf(stderr, "note: the text has %zu windows, %lld were asked for\n", scored->front().size(),
                 static_cast<long long>(arguments.evaluation.windows));
  std::vector<Evaluation> results;
  for (const std::vector<WindowScores> &windows : *scored)
    results.push_back(summarize(windows, arguments.resamples, arguments.seed));
  run.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (Status status =
          writeStandardOutput(arguments.json ? allJson(run, models, *scored, results) : allText(run, results));
      !status)
    return status;
  return arguments.maxDivergence ? judge(models, results, *arguments.maxDivergence) : Status();
}

int evalCommand(int argc, char **argv, const CompileFile &compile) {
  EvalArguments arguments;
  CLI::App app(
      "Measures models on a text: perplexity, and against a reference the KL divergence and how often both find\n"
      "the same token most likely. Windows do not overlap, nothing is put before them, softmax is taken in f64.\n"
      "Of several models all see the same windows, and the reference is run once.",
      "qopt eval");
  app.footer("Besides the models, memory holds at most 16 MiB of logits and one window of cache for each.\n"
             "Example:\n  qopt eval q4.qopt q8.qopt --against original.qopt --text manual.txt --windows 64 --json");
  app.add_option("FILE", arguments.files, "artifacts, or IR files, which are compiled first")->required();
  app.add_option("--text", arguments.texts, "files of plain text; several are joined")->required();
  app.add_option("--against", arguments.reference, "the reference: an artifact or an IR file");
  app.add_option("--window", arguments.evaluation.window, "tokens per window")
      ->check(CLI::Range(int64_t(2), int64_t(1) << 24))
      ->capture_default_str();
  app.add_option("--windows", arguments.evaluation.windows, "how many, from the start of the text")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 31))
      ->capture_default_str();
  app.add_flag("--spread", arguments.evaluation.spread, "take the windows evenly over the whole text instead");
  app.add_option("--resamples", arguments.resamples, "draws of the bootstrap")
      ->check(CLI::Range(int64_t(0), int64_t(10000000)))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "of the bootstrap")->check(anySeed())->capture_default_str();
  app.add_option("--max-kl", arguments.maxDivergence, "a gate: exit with 4 if a KL divergence is above this")
      ->check(notNegative())
      ->needs("--against");
  addModelOptions(app, arguments.model);
  app.add_flag("--json", arguments.json, "print JSON (docs/schemas/eval.json), a line for each of several models");
  return runCommand(app, argc, argv, "qopt eval", "nothing was evaluated",
                    [&] { return evaluate(arguments, compile); });
}

} // namespace qopt
