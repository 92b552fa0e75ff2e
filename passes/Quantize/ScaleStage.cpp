// See ScaleStage.h.
#include "passes/Quantize/ScaleStage.h"

#include "lib/Archive/Json.h"
#include "lib/Parameters/DeclareArchive.h"
#include "passes/Support/Forward.h"

#include <cmath>
#include <cstring>
#include <utility>

using namespace mlir;
using namespace qopt;
using namespace qopt::transformer;

Result<std::vector<ScaleSite>> qopt::sitesToScale(ModuleOp module, std::string_view algorithm,
                                                  llvm::ArrayRef<SiteKind> kinds, const TargetsByUser *targets) {
  for (const SiteKind *kind = kinds.begin(); kind != kinds.end(); ++kind)
    if (llvm::is_contained(llvm::ArrayRef(kinds.begin(), kind), *kind))
      return usageError("expected each kind of site once, but got one twice").withNext("name it once");
  Result<func::FuncOp> forward = forwardOf(module);
  if (!forward)
    return forward.takeError();
  Result<std::vector<ScaleSite>> sites = findScaleSites(*forward, kinds);
  if (!sites || !targets)
    return sites;
  llvm::erase_if(*sites, [&](const ScaleSite &site) {
    return llvm::none_of(site.readers, [&](Operation *reader) { return targets->contains(reader); });
  });
  if (sites->empty())
    return usageError("expected values to scale whose linears are quantized, but all of those linears are kept")
        .withNext("leave " + std::string(algorithm) + " out, or quantize some of them");
  return sites;
}

Result<ScaleStage> ScaleStage::begin(ModuleOp module, const Options &options) {
  Result<std::vector<ScaleSite>> sites = sitesToScale(module, options.algorithm, options.kinds, options.targets);
  if (!sites)
    return sites.takeError();
  Result<ModelStatistics> statistics = ModelStatistics::open(module, options.statistics, options.directory);
  if (!statistics)
    return statistics.takeError();
  ScaleStage stage(module, options, std::move(*statistics));
  auto evaluator = ParameterEvaluator::open(module, options.directory);
  if (!evaluator)
    return evaluator.takeError();
  // Before the search, which takes long; insertScalePairs looks again.
  if (Status status = checkArchiveToWrite(module, options.overlay, options.directory); !status)
    return status.takeError();
  stage.parameters = std::move(*evaluator);
  stage.found = std::move(*sites);
  return stage;
}

Result<ScaleStage::Calibrated> ScaleStage::calibrated(const ScaleSite &site) {
  Calibrated result;
  for (LinearOp reader : site.readers) {
    auto get = reader.getWeight().getDefiningOp<GetOp>();
    if (!get)
      return badInput("expected a weight that transformer.get reads")
          .withNext("fold the scales of an earlier step first (--fold-scales)");
    result.owners.push_back(module.lookupSymbol<ParameterOp>(get.getParameter()));
    Result<HostTensor> weight = parameters->evaluate(result.owners.back());
    if (!weight)
      return weight.takeError();
    result.weights.push_back(viewAsF32(*weight));
  }
  Result<ModelStatistics::Inputs> inputs = statistics.inputsOf(result.owners.front(), *parameters, options.needsGram);
  if (!inputs)
    return inputs.takeError();
  const StatisticsArchive &archive = statistics.archive();
  reading = inputs->site;
  if (options.needsGram)
    result.hessian = statistics.hessianOf(*inputs);
  result.meanAbs = archive.meanMagnitude(*inputs->site);
  std::span<const float> greatest = archive.greatest(*inputs->site);
  result.greatest.assign(greatest.begin(), greatest.end());
  for (auto [channel, most] : llvm::enumerate(greatest))
    if (double mean = result.meanAbs[channel]; !std::isfinite(most) || most < 0 || !std::isfinite(mean) || mean < 0)
      return Error{ErrorClass::Gate,
                   "expected magnitudes of inputs that are finite and not negative, but channel " +
                       std::to_string(channel) + " has a greatest of " + std::to_string(most) + " and a mean of " +
                       std::to_string(mean),
                   escapeForMessage(archive.path(), 1000), "",
                   "calibrate again: these statistics are damaged, or the model's values are not finite"};
  for (auto [channel, by] : llvm::enumerate(inputs->scale)) {
    result.meanAbs[channel] /= std::fabs(by);
    result.greatest[channel] /= std::fabs(by);
  }
  return result;
}

/// The kind of what was found for a site in a folder to resume from.
static constexpr std::string_view kFinishedSite = "scale";

void ScaleStage::note(const ScaleSite &site, std::vector<float> factor, nlohmann::ordered_json found) {
  found["site"] = site.name();
  record.push_back(std::move(found));
  if (!factor.empty())
    scales.push_back({site, std::move(factor)});
}

Status ScaleStage::keepFound(const ScaleSite &site, std::span<const float> factor,
                             const nlohmann::ordered_json &found) {
  if (!options.context.resume)
    return {};
  SmallVector<ResumeFolder::Part> parts;
  if (!factor.empty())
    parts.push_back({{"factor", ElementFormat::F32, {static_cast<int64_t>(factor.size())}}, std::as_bytes(factor)});
  return options.context.resume->write(kFinishedSite, site.name(), parts, found.dump());
}

Status ScaleStage::add(const ScaleSite &site, std::vector<float> factor, nlohmann::ordered_json found) {
  if (Status status = keepFound(site, factor, found); !status)
    return status;
  note(site, std::move(factor), std::move(found));
  return {};
}

Status ScaleStage::leave(const ScaleSite &site, nlohmann::ordered_json found) {
  return add(site, {}, std::move(found));
}

Status ScaleStage::visit(const ScaleSite &site, llvm::function_ref<Status()> find) {
  ResumeFolder *resume = options.context.resume;
  bool isFinished = resume && resume->contains(kFinishedSite, site.name());
  if (Status status = isFinished ? takeFinished(site) : find(); !status)
    return status.takeError().in("site " + site.name());
  if (reading) // so that memory holds one site, and not the archive
    statistics.archive().drop(*std::exchange(reading, nullptr));
  if (options.context.progress)
    options.context.progress(++visited, static_cast<int64_t>(found.size()), site.name());
  return {};
}

Status ScaleStage::takeFinished(const ScaleSite &site) {
  Result<ResumeFolder::Piece> piece = options.context.resume->read(kFinishedSite, site.name());
  if (!piece)
    return piece.takeError();
  Result<nlohmann::ordered_json> found = parseJson(piece->text);
  const TensorEntry *entry = piece->archive->find("factor");
  if (!found || !found->is_object() ||
      (entry && (entry->format != ElementFormat::F32 || entry->elements() != site.factors())))
    return piece->damaged("expected what was found for site " + site.name() + ", with " +
                          std::to_string(site.factors()) + " factors of f32 or none");
  std::vector<float> factor;
  if (entry) {
    factor.resize(entry->elements());
    std::memcpy(factor.data(), piece->archive->bytes(*entry).data(), entry->bytes);
  }
  note(site, std::move(factor), std::move(*found));
  return {};
}

Status ScaleStage::finish() {
  Result<std::string> digest = statistics.archive().digest();
  if (!digest)
    return digest.takeError();
  nlohmann::ordered_json metadata = {
      {"version", 1}, {"algorithm", options.algorithm}, {"statistics", *digest}, {"sites", record}};
  return insertScalePairs(module, scales, {options.overlay, options.directory, options.algorithm, metadata.dump()});
}
