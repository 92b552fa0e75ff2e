#include "passes/Quantize/ModelStatistics.h"

#include "passes/Calibrate/ModelDigest.h"
#include "passes/Fold/InputScale.h"

using namespace mlir;
using namespace qopt;

Result<ModelStatistics> ModelStatistics::open(ModuleOp module, const std::string &path, const std::string &directory) {
  if (path.empty())
    return usageError("expected statistics")
        .withNext("make them with 'qopt calibrate MODEL --text FILE -o stats.safetensors'");
  Result<StatisticsArchive> archive = StatisticsArchive::open(path);
  if (!archive)
    return archive.takeError();
  Result<std::string> wanted = modelDigest(module, directory);
  if (!wanted)
    return wanted.takeError();
  std::string got = archive->header().key.value("model", "");
  if (*wanted != got)
    return badInput("expected statistics of this model, " + *wanted + ", but got those of " + escapeForMessage(got),
                    escapeForMessage(path, 1000))
        .withNext("calibrate this model, or quantize the one that was calibrated");
  const StatisticsHeader &header = archive->header();
  if (std::string version = header.key.value("qopt", ""); version != QOPT_VERSION)
    return badInput("expected statistics of qopt " QOPT_VERSION ", but got those of version " +
                        escapeForMessage(version),
                    escapeForMessage(path, 1000))
        .withNext("calibrate again with this version");
  if (int64_t samples = header.key.value("samples", header.sampleCount); samples != header.sampleCount)
    return badInput("expected statistics of all " + std::to_string(samples) + " samples, but got those of " +
                        std::to_string(header.sampleCount),
                    escapeForMessage(path, 1000))
        .withNext("join them with the other shards: qopt stats merge");
  return ModelStatistics(std::move(*archive));
}

Result<std::optional<ModelStatistics>> ModelStatistics::openIf(bool needed, ModuleOp module, const std::string &path,
                                                               const std::string &directory) {
  if (!needed)
    return std::optional<ModelStatistics>();
  Result<ModelStatistics> opened = open(module, path, directory);
  if (!opened)
    return opened.takeError();
  return std::optional<ModelStatistics>(std::move(*opened));
}

Result<ModelStatistics::Inputs> ModelStatistics::inputsOf(transformer::ParameterOp weight,
                                                          ParameterEvaluator &parameters, bool needsGram) const {
  const Site *site = statistics.siteOf(weight.getSymName());
  if (statistics.header().sites.empty())
    return badInput("expected statistics of what linears read, but these are samples alone",
                    escapeForMessage(statistics.path(), 1000))
        .withNext("calibrate without --samples-alone");
  if (!site)
    return badInput("expected statistics for every linear to quantize, but found none",
                    "parameter @" + weight.getSymName().str())
        .withNext("calibrate without --match, or keep this weight by a rule");
  if (int64_t inputs = weight.getType().getDimSize(1); site->channels != inputs)
    return badInput("expected statistics of the weight's " + std::to_string(inputs) + " inputs, but got those of " +
                        std::to_string(site->channels) + " channels",
                    "parameter @" + weight.getSymName().str() + ", " + escapeForMessage(statistics.path(), 1000))
        .withNext("calibrate again: these statistics are damaged");
  if (needsGram && !site->wanted.gram)
    return badInput("expected statistics with a Gram matrix for every linear to quantize, but found none",
                    "parameter @" + weight.getSymName().str())
        .withNext("calibrate without --no-gram, or keep this weight by a rule");
  Result<std::vector<float>> scale = inputScale(weight, parameters);
  if (!scale)
    return scale.takeError();
  return Inputs{site, std::move(*scale)};
}

ModelStatistics::Hessian ModelStatistics::hessianOf(const Inputs &inputs) const {
  std::span<const float> gram = statistics.gram(*inputs.site);
  if (inputs.scale.empty())
    return {{}, gram};
  Hessian hessian{AlignedVector<float>(gram.begin(), gram.end()), {}};
  size_t n = inputs.scale.size();
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) // symmetric to the last bit: the product of the two is the same either way
      hessian.own[i * n + j] = gram[i * n + j] / (inputs.scale[i] * inputs.scale[j]);
  hessian.values = hessian.own;
  return hessian;
}
