// Calibration as a step: runs a model over text and writes statistics of what its linears read.
#include "lib/Compile/Sources.h"
#include "lib/Runtime/App/Progress.h"
#include "passes/Calibrate/CalibrateModel.h"
#include "passes/Calibrate/ModelDigest.h"
#include "passes/Calibrate/Passes.h"
#include "tools/qopt/Steps.h"

#include "mlir/Pass/PassManager.h"

#include <bit>
#include <filesystem>

using namespace qopt;
using Json = nlohmann::ordered_json;

namespace {
/// Some of the samples: [first, first + count).
struct Shard {
  int64_t first = 0, count = 0;
};
} // namespace

/// "2/4": the second of four equal shards, each a subtree of the sums.
static Result<Shard> parseShard(const std::string &text, int64_t samples) {
  if (text.empty())
    return Shard{0, samples};
  auto [first, second] = llvm::StringRef(text).split('/');
  int64_t index = 0, count = 0;
  if (first.getAsInteger(10, index) || second.getAsInteger(10, count) || index < 1 || index > count)
    return usageError("expected a shard such as 2/4, but got \"" + escapeForMessage(text) + "\"", "--shard");
  if (samples < 1 || samples > kMostSamples)
    return usageError("expected 1 to " + std::to_string(kMostSamples) + " samples, but got " + std::to_string(samples),
                      "--samples");
  int64_t size = std::bit_ceil(static_cast<uint64_t>(samples / count + (samples % count != 0)));
  size = std::max(size, kLeafSamples);
  int64_t shards = (samples + size - 1) / size;
  if (count != shards)
    return usageError("expected as many shards as there are equal subtrees of the sums: " + std::to_string(samples) +
                          " samples make " + std::to_string(shards) + " of " + std::to_string(size) + ", but not " +
                          std::to_string(count),
                      "--shard")
        .withNext("say for example --shard 1/" + std::to_string(shards));
  return Shard{(index - 1) * size, std::min<int64_t>(size, samples - (index - 1) * size)};
}

Result<std::vector<TextSource>> qopt::readSources(const CalibrateArguments &arguments) {
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

Result<Tokenizer> qopt::openTokenizer(const CompileOptions &options) {
  Result<TokenizerSpec> spec = TokenizerSpec::fromJson(options.tokenizer);
  if (options.tokenizer == "{}" || !spec)
    return badInput("expected a model with a tokenizer").withNext("import it from a checkpoint that has one");
  return Tokenizer::create(std::move(*spec));
}

int64_t qopt::contextOf(mlir::ModuleOp module) {
  auto model = module->getAttrOfType<mlir::DictionaryAttr>("transformer.model");
  auto context = model ? model.getAs<mlir::IntegerAttr>("context") : mlir::IntegerAttr();
  return context ? context.getInt() : 0;
}

Result<CalibrationText> qopt::readCalibrationText(mlir::ModuleOp module, const std::string &directory,
                                                  const CalibrateArguments &arguments) {
  CompileOptions options;
  if (Status status = describeSources(module, directory, options); !status)
    return status.takeError();
  Result<Tokenizer> tokenizer = openTokenizer(options);
  if (!tokenizer)
    return tokenizer.takeError();
  Result<std::vector<TextSource>> sources = readSources(arguments);
  if (!sources)
    return sources.takeError();
  int64_t context = contextOf(module), length = arguments.samples.length;
  if (!sources->empty() && context > 0 && length > context)
    return usageError("expected samples of at most " + std::to_string(context) +
                          " tokens, the model's context, but got " + std::to_string(length),
                      "--length")
        .withNext("say --length " + std::to_string(context) + ", or less");
  Result<SampleSet> samples = chooseSamples(*tokenizer, *sources, arguments.samples);
  if (!samples)
    return samples.takeError();
  return CalibrationText{std::move(*sources), std::move(*samples), std::move(options.provenance)};
}

/// `model`: its digest. `target`: the name of what statistics are computed with; other targets sum to other last bits.
static StatisticsHeader makeHeader(mlir::ModuleOp module, const std::string &model, const std::string &target,
                                   const CalibrateArguments &arguments, const CalibrationText &text,
                                   const Shard &shard) {
  const auto &[sources, samples, provenance] = text;
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
  header.key = {{"model", model},
                {"tokenizer", provenance.value("tokenizer", "")},
                {"qopt", provenance.value("qopt", "")},
                {"texts", std::move(texts)},
                {"samples", arguments.samples.samples},
                {"length", arguments.samples.length},
                {"seed", arguments.samples.seed},
                {"held_out", arguments.samples.heldOut}};
  if (!arguments.samplesAlone)
    header.key["target"] = target;
  return header;
}

static void printTexts(const CalibrationText &text) {
  const auto &[sources, samples, provenance] = text;
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
}

static void printReport(const Shard &shard, const StatisticsHeader &header, const CalibrationReport &report) {
  std::fprintf(stderr, "%zu sites, %lld tokens each; %lld parts of the model, code for %lld of them\n",
               header.sites.size(), static_cast<long long>(shard.count) * static_cast<long long>(header.length),
               static_cast<long long>(report.segments), static_cast<long long>(report.compiled));
  for (const CalibrationReport::Silent &site : report.silent)
    std::fprintf(stderr, "  %s: %lld channels were never active\n", site.site.c_str(),
                 static_cast<long long>(site.channels));
  for (const std::string &site : report.fewTokens)
    std::fprintf(stderr, "  %s: fewer tokens than channels; GPTQ needs more\n", site.c_str());
}

Status qopt::calibrateModule(Session &session, mlir::ModuleOp original, const CalibrateArguments &arguments,
                             const std::string &directory, const std::string &output) {
  if (Status status = checkUnscaled(original); !status)
    return status.takeError();
  Result<Shard> shard = parseShard(arguments.shard, arguments.samples.samples);
  if (!shard)
    return shard.takeError();
  mlir::OwningOpRef<mlir::ModuleOp> clone = original.clone(); // which gets observers
  mlir::ModuleOp module = *clone;

  Result<CalibrationText> text = readCalibrationText(module, directory, arguments);
  if (!text)
    return text.takeError();
  const SampleSet &samples = text->samples;

  if (!arguments.samplesAlone) {
    mlir::PassManager passes(&session.context());
    if (mlir::failed(session.compiler().configure(passes)))
      return usageError("the pass manager's options do not fit together");
    InsertObserversOptions observers;
    observers.match = arguments.match;
    observers.weights = {arguments.weights.begin(), arguments.weights.end()};
    observers.gram = !arguments.noGram, observers.histogram = arguments.histogram;
    passes.addPass(createInsertObservers(observers));
    if (mlir::failed(passes.run(module)))
      return Error{session.failureClass(), {}, {}, {}, {}};
  }

  auto parameters = ParameterEvaluator::open(module, directory);
  if (!parameters)
    return parameters.takeError();
  Result<std::string> model = modelDigest(original, directory);
  if (!model)
    return model.takeError();
  auto tokens =
      std::span<const int32_t>(samples.tokens).subspan(shard->first * samples.length, shard->count * samples.length);
  Result<std::unique_ptr<PartRunner>> runner = PartRunner::create(tokens, samples.length, arguments.threads);
  if (!runner)
    return runner.takeError();
  StatisticsHeader header = makeHeader(module, *model, (*runner)->target(), arguments, *text, *shard);
  Result<StatisticsWriter> writer =
      StatisticsWriter::create(output, header, tokens, samples.heldOut, samples.heldOutSource);
  if (!writer)
    return writer.takeError();
  if (arguments.samplesAlone) {
    if (Status status = writer->commit(); !status)
      return status;
    printTexts(*text);
    return {};
  }
  Progress progress("calibrate", "samples", 1);
  CalibrateOptions how;
  how.memory = static_cast<uint64_t>(arguments.memoryMegabytes) << 20;
  how.firstSample = shard->first;
  how.progress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  Result<CalibrationReport> report = calibrateModel(module, **parameters, **runner, *writer, how);
  progress.finish();
  if (!report)
    return report.takeError();
  if (Status status = writer->commit(); !status)
    return status;
  printTexts(*text);
  printReport(*shard, header, *report);
  return {};
}
