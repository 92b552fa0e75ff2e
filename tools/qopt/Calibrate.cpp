// qopt calibrate: runs a model over text and writes statistics of what its linears read.
#include "lib/Compile/Sources.h"
#include "lib/Parameters/ArchivePaths.h"
#include "lib/Runtime/App/CommandLine.h"
#include "lib/Runtime/App/Progress.h"
#include "lib/Runtime/UsableCpus.h"
#include "passes/Calibrate/CalibrateModel.h"
#include "passes/Calibrate/ModelDigest.h"
#include "passes/Calibrate/Passes.h"
#include "tools/qopt/Steps.h"
#include "tools/qopt/Subcommands.h"

#include "mlir/Pass/PassManager.h"

#include <bit>
#include <filesystem>

using namespace qopt;
using Json = nlohmann::ordered_json;

namespace {
struct CalibrateArguments {
  std::string model, output, field = "text", match = "*", shard;
  std::vector<std::string> texts, lines;
  SampleOptions samples;
  int64_t memoryMegabytes = 4096;
  int threads = 0;
  bool histogram = false, noGram = false;
};

/// Some of the samples: [first, first + count).
struct Shard {
  int64_t first = 0, count = 0;
};
} // namespace

/// "2/4": the second of four equal shards, each a subtree of the sums.
static Result<Shard> parseShard(const std::string &text, int64_t samples) {
  if (text.empty())
    return Shard{0, samples};
  long long index = 0, count = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%lld/%lld%c", &index, &count, &rest) != 2 || index < 1 || count < 1 || index > count)
    return usageError("expected a shard such as 2/4, but got \"" + escapeForMessage(text) + "\"", "--shard");
  int64_t size = std::bit_ceil(static_cast<uint64_t>((samples + count - 1) / count));
  size = std::max(size, kLeafSamples);
  Shard shard{(index - 1) * size, std::min<int64_t>(size, samples - (index - 1) * size)};
  if (shard.count < 1)
    return usageError("expected fewer shards: " + std::to_string(samples) + " samples make " +
                          std::to_string((samples + size - 1) / size) + " of " + std::to_string(size),
                      "--shard");
  return shard;
}

static Result<std::vector<TextSource>> readSources(const CalibrateArguments &arguments) {
  std::vector<TextSource> sources;
  for (const std::string &text : arguments.texts) {
    Result<TextSource> source = TextSource::parse(text, "");
    if (!source)
      return source.takeError();
    sources.push_back(std::move(*source));
  }
  for (const std::string &text : arguments.lines) {
    Result<TextSource> source = TextSource::parse(text, arguments.field);
    if (!source)
      return source.takeError();
    sources.push_back(std::move(*source));
  }
  return sources;
}

static StatisticsHeader makeHeader(mlir::ModuleOp module, const CalibrateArguments &arguments,
                                   const CompileOptions &options, std::span<const TextSource> sources,
                                   const SampleSet &samples, const Shard &shard) {
  StatisticsHeader header;
  header.sites = findSites(module);
  header.firstSample = shard.first, header.sampleCount = shard.count, header.length = samples.length;
  Json texts = Json::array();
  for (size_t i = 0; i < sources.size(); ++i) {
    const SampleSet::Source &source = samples.sources[i];
    texts.push_back({{"digest", source.digest}, {"field", sources[i].field}, {"weight", sources[i].weight}});
    header.sources.push_back({{"name", std::filesystem::path(sources[i].path).filename().string()},
                              {"documents", source.documents},
                              {"tokens", source.tokens},
                              {"windows", source.windows},
                              {"samples", source.samples},
                              {"held_out", source.heldOut}});
  }
  header.key = {{"model", modelDigest(module)},
                {"tokenizer", options.provenance.value("tokenizer", "")},
                {"qopt", options.provenance.value("qopt", "")},
                {"texts", std::move(texts)},
                {"samples", arguments.samples.samples},
                {"length", arguments.samples.length},
                {"seed", arguments.samples.seed},
                {"held_out", arguments.samples.heldOut}};
  return header;
}

static void printReport(const SampleSet &samples, std::span<const TextSource> sources, const Shard &shard,
                        const StatisticsHeader &header, const CalibrationReport &report) {
  for (size_t i = 0; i < sources.size(); ++i) {
    const SampleSet::Source &source = samples.sources[i];
    std::fprintf(stderr, "%s: %lld documents, %lld tokens, %lld windows: %lld samples, %lld held out\n",
                 escapeForMessage(sources[i].path, 1000).c_str(), static_cast<long long>(source.documents),
                 static_cast<long long>(source.tokens), static_cast<long long>(source.windows),
                 static_cast<long long>(source.samples), static_cast<long long>(source.heldOut));
    if (source.droppedBytes > 0)
      std::fprintf(stderr, "  %lld bytes have no token in the vocabulary and were left out\n",
                   static_cast<long long>(source.droppedBytes));
  }
  std::fprintf(stderr, "%zu sites, %lld tokens each; %lld parts of the model, code for %lld of them\n",
               header.sites.size(), static_cast<long long>(shard.count) * static_cast<long long>(header.length),
               static_cast<long long>(report.segments), static_cast<long long>(report.compiled));
  for (const CalibrationReport::Silent &site : report.silent)
    std::fprintf(stderr, "  %s: %lld channels were never active\n", site.site.c_str(),
                 static_cast<long long>(site.channels));
  for (const std::string &site : report.fewTokens)
    std::fprintf(stderr, "  %s: fewer tokens than channels; GPTQ needs more\n", site.c_str());
}

static Status calibrate(const CompilerArguments &compiler, const CalibrateArguments &arguments) {
  Result<std::vector<TextSource>> sources = readSources(arguments);
  if (!sources)
    return sources.takeError();
  Result<Shard> shard = parseShard(arguments.shard, arguments.samples.samples);
  if (!shard)
    return shard.takeError();
  Session session(compiler);
  auto module = readModule(session, arguments.model);
  if (!module)
    return module.takeError();
  if (Status status = checkUnscaled(**module); !status)
    return status.takeError().in(escapeForMessage(arguments.model, 1000));
  std::string directory = directoryOf(arguments.model);

  CompileOptions options;
  Result<std::vector<Target>> targets = findTargets("native");
  if (!targets)
    return targets.takeError();
  options.targets = std::move(*targets);
  if (Status status = describeSources(**module, directory, options); !status)
    return status;
  Result<TokenizerSpec> spec = TokenizerSpec::fromJson(options.tokenizer);
  if (options.tokenizer == "{}" || !spec)
    return badInput("expected a model with a tokenizer", escapeForMessage(arguments.model, 1000))
        .withNext("import it from a checkpoint that has one");
  Result<Tokenizer> tokenizer = Tokenizer::create(std::move(*spec));
  if (!tokenizer)
    return tokenizer.takeError();
  Result<SampleSet> samples = chooseSamples(*tokenizer, *sources, arguments.samples);
  if (!samples)
    return samples.takeError();

  mlir::PassManager passes(&session.context());
  if (mlir::failed(session.compiler().configure(passes)))
    return usageError("the pass manager's options do not fit together");
  InsertObserversOptions observers;
  observers.match = arguments.match, observers.gram = !arguments.noGram, observers.histogram = arguments.histogram;
  passes.addPass(createInsertObservers(observers));
  if (mlir::failed(passes.run(**module)))
    return Error{session.failureClass(), {}, {}, {}, {}};

  auto parameters = ParameterEvaluator::open(**module, directory);
  if (!parameters)
    return parameters.takeError();
  Result<std::unique_ptr<ThreadPool>> pool =
      ThreadPool::create(arguments.threads == 0 ? usableCpus() : arguments.threads);
  if (!pool)
    return pool.takeError();
  StatisticsHeader header = makeHeader(**module, arguments, options, *sources, *samples, *shard);
  auto tokens =
      std::span<const int32_t>(samples->tokens).subspan(shard->first * samples->length, shard->count * samples->length);
  PartRunner runner(options, std::move(*pool), tokens, samples->length);
  Result<StatisticsWriter> writer =
      StatisticsWriter::create(arguments.output, header, tokens, samples->heldOut, samples->heldOutSource);
  if (!writer)
    return writer.takeError();
  Progress progress("calibrate", "samples", 1);
  CalibrateOptions how;
  how.memory = static_cast<uint64_t>(arguments.memoryMegabytes) << 20;
  how.firstSample = shard->first;
  how.progress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  Result<CalibrationReport> report = calibrateModel(**module, **parameters, runner, *writer, how);
  progress.finish();
  if (!report)
    return report.takeError();
  if (Status status = writer->commit(); !status)
    return status;
  printReport(*samples, *sources, *shard, header, *report);
  return {};
}

int qopt::calibrateMain(int argc, char **argv) {
  CompilerArguments compiler;
  CLI::App app(
      "Runs a model over text and writes statistics of what its linears read, for the algorithms that need them.\n"
      "The text is cut into samples that do not overlap; some windows of it are held out.",
      "qopt calibrate");
  app.footer(std::string(compiler.help()) +
             "\nExample:\n  qopt calibrate model.mlir --text manual.txt --text essays.txt -o stats.safetensors");
  CalibrateArguments arguments;
  app.add_option("MODEL", arguments.model, "an IR file, not quantized")->required();
  app.add_option("-o,--output", arguments.output, "the archive of statistics")->required();
  app.add_option("--text", arguments.texts,
                 "a text file, or FILE@WEIGHT for another share of the samples than the others'")
      ->allow_extra_args(false);
  app.add_option("--jsonl", arguments.lines, "a file of JSON lines, also with @WEIGHT: text, or messages of a chat")
      ->allow_extra_args(false);
  app.add_option("--field", arguments.field, "the key of text or messages in JSON lines")->capture_default_str();
  app.add_option("--samples", arguments.samples.samples, "samples in all")->capture_default_str();
  app.add_option("--length", arguments.samples.length, "tokens in each")->capture_default_str();
  app.add_option("--seed", arguments.samples.seed, "decides which windows are samples")->capture_default_str();
  app.add_option("--held-out", arguments.samples.heldOut, "most windows of each text that are not used")
      ->capture_default_str();
  app.add_option("--match", arguments.match, "a glob for the weights whose inputs are looked at")
      ->capture_default_str();
  app.add_flag("--histogram", arguments.histogram, "also count magnitudes, for static ranges");
  app.add_flag("--no-gram", arguments.noGram, "do not sum x·xᵀ: enough for SmoothQuant, and much smaller");
  app.add_option("--shard", arguments.shard, "I/N: the I-th of N shards; 'qopt stats merge' joins them");
  app.add_option("--memory", arguments.memoryMegabytes, "MiB of activations that stay in memory; more go to a file")
      ->capture_default_str();
  app.add_option("--threads", arguments.threads, "workers (default: the CPUs that this process may use)");
  return runCommand(app, compiler, argc, argv, "qopt calibrate", "nothing was written",
                    [&] { return calibrate(compiler, arguments); });
}

int qopt::statsMain(int argc, char **argv) {
  CLI::App app("Joins archives of statistics that 'qopt calibrate --shard' made.", "qopt stats");
  app.footer("Example:\n  qopt stats merge one.safetensors two.safetensors -o stats.safetensors");
  std::string what, output;
  std::vector<std::string> inputs;
  app.add_option("WHAT", what, "merge")->required()->check(CLI::IsMember({"merge"}));
  app.add_option("FILES", inputs, "archives of statistics")->required();
  app.add_option("-o,--output", output, "the archive to write")->required();
  return runCommand(app, argc, argv, "qopt stats", "nothing was written",
                    [&] { return mergeStatistics(inputs, output); });
}
